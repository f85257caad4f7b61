// Adapters put on a model that is there already, and taken off again.
import { ConfigError } from "../../base/index.ts";
import type { Linear } from "../linear.ts";
import { namedParameters, type Module, type Parameter } from "../module.ts";
import { HoulsbyAdapter } from "./houlsby.ts";
import { LoraAdapter } from "./lora.ts";
import { isAdapterParameter, namedLinears, targetedLinears } from "./targets.ts";

export interface AddLoraOptions {
  /** Ends of paths: see `targetedLinears`. */
  targets: readonly string[];
  rank: number;
  /** 2 · rank if not said. */
  alpha?: number;
  dropout?: number;
}

export interface AddHoulsbyOptions {
  bottleneck: number;
  /** The last projection of every sublayer if not said. */
  targets?: readonly string[];
}

/** What `addAdapter` puts on a model. */
export type AdapterOptions = ({ kind: "lora" } & AddLoraOptions) | ({ kind: "houlsby" } & AddHoulsbyOptions);

/** Every attention's projection of what it gathered, and the second layer of every feed-forward. */
export const sublayerOutputs: readonly string[] = ["layers.*.*.output", "layers.*.*.contract"];

/**
 * Puts a low-rank adapter on every targeted linear layer and gives their paths. The parameters are
 * `<path>.adapter.down` [from, rank] and `<path>.adapter.up` [rank, to]; first values come from `initialize`.
 * Throws ConfigError for a target that is not there, or a layer that has an adapter.
 *
 * @example
 * addLora(model, { targets: ["query", "value"], rank: 8 });
 * freezeBase(model);
 */
export function addLora(model: Module, { targets, rank, alpha = 2 * rank, dropout = 0 }: AddLoraOptions): string[] {
  wantWhole("rank", rank);
  if (!(Number.isFinite(alpha) && alpha > 0))
    throw new ConfigError("adapter.alpha", `must be a number above 0 (got ${alpha})`);
  if (!(dropout >= 0 && dropout < 1))
    throw new ConfigError("adapter.dropout", `must be at least 0 and below 1 (got ${dropout})`);
  const linears = targetedLinears(model, targets);
  for (const [path, linear] of linears) {
    const [from, to] = linear.weight.shape as readonly [number, number];
    if (rank > Math.min(from, to)) {
      throw new ConfigError(
        "adapter.rank",
        `must not exceed what the layer has: ${path} is [${from}, ${to}], got rank ${rank}`,
      );
    }
  }
  return attach(linears, (from, to) => new LoraAdapter({ from, to, rank, alpha, dropout }));
}

/**
 * Puts a bottleneck adapter behind the last projection of every sublayer and gives their paths. The parameters are
 * `<path>.adapter.down.weight` [width, bottleneck], `.down.bias`, `.up.weight` [bottleneck, width] and `.up.bias`.
 * Throws ConfigError where nothing is found to put them on, or a layer has an adapter.
 *
 * @example
 * addHoulsby(model, { bottleneck: 64 });
 * freezeBase(model);
 */
export function addHoulsby(model: Module, { bottleneck, targets }: AddHoulsbyOptions): string[] {
  wantWhole("bottleneck", bottleneck);
  return attach(
    targets === undefined ? lastProjections(model) : targetedLinears(model, targets),
    (_, width) => new HoulsbyAdapter({ width, bottleneck }),
  );
}

/** Either kind, as a configuration says it. */
export function addAdapter(model: Module, options: AdapterOptions): string[] {
  return options.kind === "lora" ? addLora(model, options) : addHoulsby(model, options);
}

/**
 * What `addAdapter` would have to be told to put the adapters on that a model has, layer by layer; undefined where there are
 * none. Throws ConfigError for adapters of several kinds or sizes, which one call does not make.
 */
export function adapterOptions(model: Module): AdapterOptions | undefined {
  const each = [...namedLinears(model)].flatMap(([path, { adapter }]): AdapterOptions[] => {
    if (adapter instanceof LoraAdapter) {
      const { rank, alpha, dropout } = adapter;
      return [{ kind: "lora", targets: [path], rank, alpha, dropout: dropout.rate }];
    }
    return adapter instanceof HoulsbyAdapter
      ? [{ kind: "houlsby", targets: [path], bottleneck: adapter.down.weight.shape[1]! }]
      : [];
  });
  const [first] = each;
  if (first === undefined) return undefined;
  const other = each.find(
    (options) => JSON.stringify({ ...options, targets: first.targets }) !== JSON.stringify(first),
  );
  if (other !== undefined)
    throw new ConfigError(
      "adapter",
      `${first.targets![0]} and ${other.targets![0]} have adapters of unlike kinds or sizes, which no one description fits`,
    );
  return { ...first, targets: each.flatMap(({ targets = [] }) => targets) };
}

/** Takes every adapter off; their values are of no use afterwards unless they were merged or saved. */
export function removeAdapters(model: Module): void {
  for (const linear of namedLinears(model).values()) linear.adapter = undefined;
}

/** The parameters of all adapters on a model by their names in it. */
export function adapterParameters(model: Module): Map<string, Parameter> {
  return new Map([...namedParameters(model)].filter(([name]) => isAdapterParameter(name)));
}

/**
 * Leaves only the adapters to be trained; without adapters it is an error. Call it before the parameter store and the
 * training program are made: they ask once.
 */
export function freezeBase(model: Module): void {
  if (adapterParameters(model).size === 0)
    throw new ConfigError("adapter", "the model has none, so nothing would be left to train. Add one first.");
  for (const [name, parameter] of namedParameters(model)) parameter.setTrainable(isAdapterParameter(name));
}

function lastProjections(model: Module): Map<string, Linear> {
  const found = new Map<string, Linear>();
  const problems: ConfigError[] = [];
  // A stack of another kind may lack one of the two, and is adapted at the other.
  for (const target of sublayerOutputs) {
    try {
      for (const [path, linear] of targetedLinears(model, [target])) found.set(path, linear);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(error);
    }
  }
  if (found.size === 0) throw problems[0]!;
  return found;
}

function attach(linears: ReadonlyMap<string, Linear>, make: (from: number, to: number) => Linear["adapter"]): string[] {
  const taken = [...linears].find(([, { adapter }]) => adapter !== undefined);
  if (taken !== undefined)
    throw new ConfigError("adapter", `${taken[0]} has one already. Merge it or take it off first.`);
  for (const linear of linears.values()) {
    const [from, to] = linear.weight.shape as readonly [number, number];
    linear.adapter = make(from, to);
  }
  return [...linears.keys()];
}

function wantWhole(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1)
    throw new ConfigError(`adapter.${name}`, `must be a whole number of at least 1 (got ${value})`);
}
