// What can go wrong where the runtime takes over, said in the program's words.
import { ConfigError, HeddleError, type HostTensor } from "../base/index.ts";

/** The runtime refused a program, or a run of it; `cause` is what it said itself. */
export class EngineError extends HeddleError {
  override name = "EngineError";
  /** Name of the program. */
  readonly program: string;

  constructor(program: string, problem: string, cause: unknown) {
    super(`${program}: ${problem}: ${messageOf(cause)}`, { cause });
    this.program = program;
  }
}

function messageOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).trim();
}

/** Feeds as an error shows them, those whose size can vary first: a program has hundreds of weights and a handful of these. */
export function describeFeeds(feeds: ReadonlyMap<string, HostTensor>, isVarying: (name: string) => boolean): string {
  const names = [...feeds.keys()];
  const varying = names.filter(isVarying);
  const shown = (varying.length > 0 ? varying : names).slice(0, 8);
  const described = shown.map((name) => {
    const { dtype, dims } = feeds.get(name)!;
    return `${name} ${dtype} [${dims.join(", ")}]`;
  });
  const others = names.length - shown.length;
  return described.join(", ") + (others > 0 ? ` and ${others} more` : "");
}

/** A provider that is not there: which one, what would bring it, and what the runtime said. */
export function providerError(provider: string, remedy: string, cause: unknown): ConfigError {
  const error = new ConfigError(
    "provider",
    `"${provider}" cannot be used here. ${remedy} The runtime says: ${messageOf(cause)}`,
  );
  error.cause = cause;
  return error;
}
