// A choice of a part: by its name, by its name and options, or by a function that makes it.
import { ConfigError, nearest } from "../../base/index.ts";

/** One value for both stacks, or one each. */
export type PerStack<T> = T | { readonly encoder: T; readonly decoder: T };

export type StackName = "encoder" | "decoder";

export function inStack<T>(value: PerStack<T>, stack: StackName): T {
  return isPerStack(value) ? value[stack] : value;
}

function isPerStack<T>(value: PerStack<T>): value is { readonly encoder: T; readonly decoder: T } {
  return typeof value === "object" && value !== null && "encoder" in value && "decoder" in value;
}

/** A kind by name where its options may all be left out, or an object with its kind and options. */
export type Kind<Options extends { readonly kind: string }> = Options["kind"] | Options;

/** How each kind is made: forget one and it does not compile. */
export type Makers<Options extends { readonly kind: string }, Sizes, Part> = {
  readonly [K in Options["kind"]]: (options: Omit<Extract<Options, { kind: K }>, "kind">, sizes: Sizes) => Part;
};

/** Makes what was chosen; `key` is where a configuration says it. */
export function makePart<Options extends { readonly kind: string }, Sizes, Part>(
  key: string,
  makers: Makers<Options, Sizes, Part>,
  choice: Kind<Options>,
  sizes: Sizes,
): Part {
  const { kind, ...options } = typeof choice === "string" ? { kind: choice } : choice;
  // Which options go with which kind is checked where the table is written; here they meet as one pair.
  const make = makers[kind as Options["kind"]] as ((options: object, sizes: Sizes) => Part) | undefined;
  if (make === undefined)
    throw new ConfigError(`model.${key}`, `"${kind}" is not known; ${Object.keys(makers).join(", ")} are.`);
  return make(options, sizes);
}

/** What parts are made to measure for. */
export interface StackSizes {
  readonly stack: StackName;
  /** Whether positions may only look back. */
  readonly isCausal: boolean;
  readonly dModel: number;
  readonly heads: number;
  readonly maxPositions: number;
}

/** What a choice is called; a part of the user's own making is "own". */
export function kindOf(choice: string | { readonly kind: string } | ((...sizes: never[]) => unknown)): string {
  if (typeof choice === "function") return "own";
  return typeof choice === "string" ? choice : choice.kind;
}

/** Refuses an option that no model of this class has, as a program in JavaScript may give one. */
export function refuseUnknown(options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  const near = nearest(unknown, known);
  throw new ConfigError(
    `model.${unknown}`,
    near === undefined
      ? `there is no such option; there are ${known.join(", ")}.`
      : `there is no such option. Did you mean ${near}?`,
  );
}
