// Between a checkpoint's tensors and our weights: which tensor is which parameter, in which layout, and whether all are there.
import { elementCount, FormatError, type HostTensor } from "../base/index.ts";
import { toFloat32 } from "../formats/index.ts";
import { Transformer } from "../models/index.ts";
import { namedParameters } from "../nn/index.ts";
import { familyOf } from "./families.ts";
import type { HubConfig, HubDuplicate, HubWeight } from "./family.ts";

export type Weights = Map<string, HostTensor<"float32">>;

/** A checkpoint as our modules see it. */
export interface HubModel {
  readonly model: Transformer;
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
export class Conversion {
  readonly model: Transformer;
  readonly config: HubConfig;
  readonly pairings: readonly Pairing[];
  readonly #duplicates: ReadonlyMap<string, HubDuplicate>;

  /** Throws ConfigError for a family or an option that is not supported. */
  constructor(config: HubConfig) {
    const family = familyOf(config);
    this.config = config;
    this.model = new Transformer(family.options(config));
    this.#duplicates = family.duplicates(config);
    const stored = family.weights(config);
    this.pairings = [...namedParameters(this.model)].map(([ours, { shape }]) => {
      const weight = stored(ours);
      return { ours, stored: weight, dims: shape, storedDims: storedDims(weight, shape) };
    });
  }

  /**
   * Compares names and shapes before anything is read. Returns the names of duplicates that are there.
   * Throws FormatError naming the tensors, our parameters and both shapes.
   */
  check(tensors: ReadonlyMap<string, { readonly dims: readonly number[] }>, place: string): string[] {
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
    const unexpected = others.filter((name) => !this.#duplicates.has(name));
    if (unexpected.length > 0) {
      const names = unexpected.map((name) => `"${name}" [${tensors.get(name)!.dims.join(", ")}]`);
      throw new FormatError(
        place,
        `holds ${list(names, "tensor")} that a model of type ${String(this.config.model_type)} with this config.json does not have.`,
      );
    }
    return others;
  }

  /** A stored tensor as our parameter, and the rows at its front that no token uses. */
  read(
    { stored, dims }: Pairing,
    tensor: HostTensor,
    place: string,
  ): { weight: HostTensor<"float32">; unused: HostTensor<"float32"> | undefined } {
    const { data } = toFloat32(tensor, `${place}, tensor "${stored.name}"`);
    if (stored.transpose === true) return { weight: transposed(data, tensor.dims), unused: undefined };
    if (stored.skipRows === undefined) return { weight: { dtype: "float32", dims, data }, unused: undefined };
    const skipped = stored.skipRows * elementCount(dims.slice(1));
    const unused = {
      dtype: "float32",
      dims: [stored.skipRows, ...dims.slice(1)],
      data: data.slice(0, skipped),
    } as const;
    return { weight: { dtype: "float32", dims, data: data.slice(skipped) }, unused };
  }

  /** Our parameter as it is stored. Rows that no token uses are zeros where none are given. */
  write(
    { ours, stored, dims, storedDims: wanted }: Pairing,
    weights: ReadonlyMap<string, HostTensor>,
    unusedRows: ReadonlyMap<string, HostTensor>,
  ): HostTensor<"float32"> {
    const weight = weights.get(ours);
    if (weight === undefined)
      throw new FormatError(ours, "no weight of this name was given, and config.json asks for one");
    if (
      weight.dtype !== "float32" ||
      weight.dims.length !== dims.length ||
      weight.dims.some((size, axis) => size !== dims[axis])
    ) {
      throw new FormatError(
        ours,
        `is ${weight.dtype} [${weight.dims.join(", ")}], but config.json asks for float32 [${dims.join(", ")}]`,
      );
    }
    const data = weight.data as Float32Array;
    if (stored.transpose === true) return transposed(data, dims);
    if (stored.skipRows === undefined) return { dtype: "float32", dims: wanted, data };
    const whole = new Float32Array(elementCount(wanted));
    const unused = unusedRows.get(ours);
    const rowSize = elementCount(dims.slice(1));
    if (unused !== undefined && unused.data.length !== stored.skipRows * rowSize) {
      throw new FormatError(
        ours,
        `unused rows are [${unused.dims.join(", ")}], but [${stored.skipRows}, ${dims.slice(1).join(", ")}] are stored`,
      );
    }
    if (unused !== undefined) whole.set(unused.data as Float32Array);
    whole.set(data, stored.skipRows * rowSize);
    return { dtype: "float32", dims: wanted, data: whole };
  }

  /** What a duplicate must equal: another tensor's name, or values. */
  duplicate(name: string): HubDuplicate {
    return this.#duplicates.get(name)!;
  }
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
 * A model and its weights from a parsed config.json and the tensors of its checkpoint, all in memory.
 * Throws ConfigError for a configuration that is not supported and FormatError for tensors that do not fit it.
 *
 * @example
 * const { model, weights } = fromHub(JSON.parse(configText), decodeSafetensors(bytes).tensors);
 */
export function fromHub(
  config: HubConfig,
  tensors: ReadonlyMap<string, HostTensor>,
  { place = "checkpoint" }: { place?: string } = {},
): HubModel {
  const conversion = new Conversion(config);
  for (const name of conversion.check(tensors, place)) {
    const duplicate = conversion.duplicate(name);
    checkDuplicate(
      name,
      tensors.get(name)!,
      "of" in duplicate ? tensors.get(duplicate.of)! : duplicate.values(),
      place,
    );
  }
  const weights: Weights = new Map();
  const unusedRows: Weights = new Map();
  for (const pairing of conversion.pairings) {
    const { weight, unused } = conversion.read(pairing, tensors.get(pairing.stored.name)!, place);
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
  const tensors = conversion.pairings.map(
    (pairing) => [pairing.stored.name, conversion.write(pairing, weights, unusedRows)] as const,
  );
  return new Map(tensors.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function storedDims({ transpose, skipRows = 0, squeeze }: HubWeight, shape: readonly number[]): readonly number[] {
  if (transpose === true) return shape.toReversed();
  if (squeeze === true) return [1, ...shape];
  return skipRows === 0 ? shape : [shape[0]! + skipRows, ...shape.slice(1)];
}

/** [rows, columns] → [columns, rows] */
function transposed(data: Float32Array, [rows, columns]: readonly number[]): HostTensor<"float32"> {
  const result = new Float32Array(data.length);
  for (let row = 0; row < rows!; row++) {
    for (let column = 0; column < columns!; column++) result[column * rows! + row] = data[row * columns! + column]!;
  }
  return { dtype: "float32", dims: [columns!, rows!], data: result };
}

function list(names: readonly string[], thing: string): string {
  const more = names.length > listed ? ` and ${names.length - listed} more` : "";
  return `${names.length} ${thing}${names.length === 1 ? "" : "s"}, ${names.slice(0, listed).join(", ")}${more}`;
}
