// Between a checkpoint's tensors and our weights: which tensor is which parameter, in which layout, and whether all are there.
import { ConfigError, elementCount, FormatError, type HostTensor } from "../base/index.ts";
import { toFloat32 } from "../formats/index.ts";
import { namedParameters, type Module } from "../nn/index.ts";
import { familyOf } from "./families.ts";
import type { HubConfig, HubFamily, HubSpare, HubWeight } from "./family.ts";
import { fromStored, intoStored, storedDims } from "./layout.ts";

export type Weights = Map<string, HostTensor<"float32">>;

/** A class of models, for those who know what a checkpoint holds. */
export type ModelClass<Model extends Module> = abstract new (...parts: never[]) => Model;

/** A checkpoint as our modules see it. */
export interface HubModel<Model extends Module = Module> {
  readonly model: Model;
  /** By our parameters' names. */
  readonly weights: Weights;
  /** The config.json that the model was built from. */
  readonly config: HubConfig;
  /**
   * Rows at the front of stored tables that no token uses, by our parameters' names. Nothing is computed from them; they are
   * kept so that what is written back is what was read.
   */
  readonly unusedRows: Weights;
}

/** One of our parameters and the tensor it is stored as. */
interface Pairing {
  readonly ours: string;
  readonly stored: HubWeight;
  /** Of our parameter. */
  readonly dims: readonly number[];
  /** Of the stored tensor. */
  readonly storedDims: readonly number[];
}

/** Values that a file may carry again agree to this much; tables are computed in another order of rounding there. */
const duplicateTolerance = 1e-5;
/** How many names an error lists. */
const listed = 5;

/** What a config.json stands for: the model and where each of its weights is stored. */
export class Conversion<Model extends Module = Module> {
  readonly model: Model;
  readonly config: HubConfig;
  readonly pairings: readonly Pairing[];
  readonly #family: HubFamily;
  readonly #spareOf: (name: string) => HubSpare | undefined;

  /** Throws ConfigError for a family or an option that is not supported, and for a model of another class than is wanted. */
  constructor(config: HubConfig, wanted?: ModelClass<Model>) {
    const family = familyOf(config);
    this.config = config;
    this.model = wantClass(family.build(config), config, wanted);
    this.#family = family;
    this.#spareOf = family.spares(config);
    const stored = family.weights(config);
    this.pairings = [...namedParameters(this.model)].map(([ours, { shape }]) => {
      const weight = stored(ours);
      return { ours, stored: weight, dims: shape, storedDims: storedDims(weight, shape) };
    });
  }

  /** What lies in a file, under the names that the family gives its tensors today. */
  named<T>(tensors: ReadonlyMap<string, T>): Map<string, T> {
    const { todaysName = (name) => name } = this.#family;
    return new Map([...tensors].map(([name, tensor]) => [todaysName(name), tensor]));
  }

  /**
   * Compares names and shapes before anything is read. Returns the tensors that are there besides and what they must equal.
   * Throws FormatError naming the tensors, our parameters and both shapes.
   */
  check(
    tensors: ReadonlyMap<string, { readonly dims: readonly number[] }>,
    place: string,
  ): Map<string, Exclude<HubSpare, { unused: true }>> {
    const missing = this.pairings.filter(({ stored }) => !tensors.has(stored.name));
    if (missing.length > 0) {
      const names = missing.map(
        ({ ours, stored, storedDims: dims }) => `"${stored.name}" [${dims.join(", ")}] (our ${ours})`,
      );
      throw new FormatError(place, `lacks ${list(names, "tensor")}. Check that config.json belongs to these weights.`);
    }
    for (const { ours, stored, dims, storedDims: wanted } of this.pairings) {
      const got = tensors.get(stored.name)!.dims;
      if (got.length !== wanted.length || got.some((size, axis) => size !== wanted[axis])) {
        const problem = `is [${got.join(", ")}], but config.json asks for [${wanted.join(", ")}] (our ${ours} [${dims.join(", ")}])`;
        throw new FormatError(`${place}, tensor "${stored.name}"`, problem);
      }
    }
    const used = new Set(this.pairings.map(({ stored }) => stored.name));
    const others = [...tensors.keys()].filter((name) => !used.has(name));
    const unexpected = others.filter((name) => this.#spareOf(name) === undefined);
    if (unexpected.length > 0) {
      const names = unexpected.map((name) => `"${name}" [${tensors.get(name)!.dims.join(", ")}]`);
      throw new FormatError(
        place,
        `holds ${list(names, "tensor")} that a model of type ${String(this.config.model_type)} with this config.json does not have.`,
      );
    }
    return new Map(
      others.flatMap((name) => {
        const spare = this.#spareOf(name)!;
        return "unused" in spare ? [] : [[name, spare] as const];
      }),
    );
  }

  /** A stored tensor as our parameter, and the rows at its front that no token uses. */
  read(
    { stored, dims }: Pairing,
    tensor: HostTensor,
    place: string,
  ): { weight: HostTensor<"float32">; unused: HostTensor<"float32"> | undefined } {
    const { data } = toFloat32(tensor, `${place}, tensor "${stored.name}"`);
    const weight = fromStored(stored, dims, data);
    if (stored.skipRows === undefined) return { weight, unused: undefined };
    const unusedDims = [stored.skipRows, ...dims.slice(1)];
    return { weight, unused: { dtype: "float32", dims: unusedDims, data: data.slice(0, elementCount(unusedDims)) } };
  }

  /** Our parameters as they are stored, sorted by name. Rows that no token uses are zeros where none are given. */
  write(
    weights: ReadonlyMap<string, HostTensor>,
    unusedRows: ReadonlyMap<string, HostTensor>,
  ): Map<string, HostTensor<"float32">> {
    const tensors = new Map<string, HostTensor<"float32">>();
    for (const { ours, stored, dims, storedDims: wanted } of this.pairings) {
      const weight = fittingWeight(weights.get(ours), ours, dims);
      const { data } = tensors.get(stored.name) ?? { data: new Float32Array(elementCount(wanted)) };
      const unused = unusedRows.get(ours);
      if (stored.skipRows !== undefined && unused !== undefined) {
        const rows = [stored.skipRows, ...dims.slice(1)];
        if (unused.data.length !== elementCount(rows))
          throw new FormatError(
            ours,
            `unused rows are [${unused.dims.join(", ")}], but [${rows.join(", ")}] are stored`,
          );
        data.set(unused.data as Float32Array);
      }
      intoStored(stored, dims, weight.data, data);
      tensors.set(stored.name, { dtype: "float32", dims: wanted, data });
    }
    return new Map([...tensors].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }
}

function wantClass<Model extends Module>(
  model: Module,
  { model_type: type, architectures }: HubConfig,
  wanted: ModelClass<Model> | undefined,
): Model {
  // Without a class to be of, what is wanted is a Module.
  if (wanted === undefined || model instanceof wanted) return model as Model;
  throw new ConfigError(
    "config.json",
    `describes a ${model.constructor.name} (model_type ${JSON.stringify(type)}, architectures ${JSON.stringify(architectures)}), ` +
      `but a ${wanted.name} is wanted.`,
  );
}

function fittingWeight(weight: HostTensor | undefined, ours: string, dims: readonly number[]): HostTensor<"float32"> {
  if (weight === undefined)
    throw new FormatError(ours, "no weight of this name was given, and config.json asks for one");
  const isFitting =
    weight.dtype === "float32" &&
    weight.dims.length === dims.length &&
    weight.dims.every((size, axis) => size === dims[axis]);
  if (isFitting) return weight as HostTensor<"float32">;
  throw new FormatError(
    ours,
    `is ${weight.dtype} [${weight.dims.join(", ")}], but config.json asks for float32 [${dims.join(", ")}]`,
  );
}

/** Refuses a tensor that is taken for a copy and is none: an untied model would silently become a tied one. */
export function checkDuplicate(name: string, tensor: HostTensor, original: HostTensor, place: string): void {
  const where = `${place}, tensor "${name}"`;
  const [a, b] = [toFloat32(tensor, where), toFloat32(original, where)];
  const same = a.dims.length === b.dims.length && a.dims.every((size, axis) => size === b.dims[axis]);
  if (!same) throw new FormatError(where, `is [${a.dims.join(", ")}], but what it repeats is [${b.dims.join(", ")}]`);
  const at = a.data.findIndex((value, i) => !(Math.abs(value - b.data[i]!) <= duplicateTolerance));
  if (at < 0) return;
  throw new FormatError(
    where,
    `is ${a.data[at]} at ${at}, where the values that it repeats have ${b.data[at]}: its model ties the two, this file does not.`,
  );
}

/**
 * A model and its weights from a parsed config.json and the tensors of its checkpoint, all in memory. `as` says which class is
 * wanted, where that is known.
 * Throws ConfigError for a configuration that is not supported and FormatError for tensors that do not fit it.
 *
 * @example
 * const { model, weights } = fromHub(JSON.parse(configText), decodeSafetensors(bytes).tensors, { as: LanguageModel });
 */
export function fromHub<Model extends Module = Module>(
  config: HubConfig,
  tensors: ReadonlyMap<string, HostTensor>,
  { place = "checkpoint", as }: { place?: string; as?: ModelClass<Model> } = {},
): HubModel<Model> {
  const conversion = new Conversion(config, as);
  const named = conversion.named(tensors);
  for (const [name, spare] of conversion.check(named, place))
    checkDuplicate(name, named.get(name)!, "of" in spare ? named.get(spare.of)! : spare.values(), place);
  const weights: Weights = new Map();
  const unusedRows: Weights = new Map();
  for (const pairing of conversion.pairings) {
    const { weight, unused } = conversion.read(pairing, named.get(pairing.stored.name)!, place);
    weights.set(pairing.ours, weight);
    if (unused !== undefined) unusedRows.set(pairing.ours, unused);
  }
  return { model: conversion.model, weights, config, unusedRows };
}

/**
 * The tensors of a checkpoint, under its names and in its layout, sorted by name.
 *
 * @example
 * const file = new Blob(encodeSafetensors(toHub({ config, weights }), { metadata: { format: "pt" } }));
 */
export function toHub({
  config,
  weights,
  unusedRows = new Map(),
}: {
  config: HubConfig;
  weights: ReadonlyMap<string, HostTensor>;
  unusedRows?: ReadonlyMap<string, HostTensor>;
}): Map<string, HostTensor<"float32">> {
  const conversion = new Conversion(config);
  const known = new Set(conversion.pairings.map(({ ours }) => ours));
  const stray = [...weights.keys()].filter((name) => !known.has(name));
  if (stray.length > 0)
    throw new FormatError(stray[0]!, "the model that config.json describes has no weight of this name");
  return conversion.write(weights, unusedRows);
}

function list(names: readonly string[], thing: string): string {
  const more = names.length > listed ? ` and ${names.length - listed} more` : "";
  return `${names.length} ${thing}${names.length === 1 ? "" : "s"}, ${names.slice(0, listed).join(", ")}${more}`;
}
