// Low-rank adapters as data: folded into the weights that they adapt, and taken out again.
import { FormatError, type HostTensor } from "../../base/index.ts";
import { adapterSegment, isAdapterParameter } from "./targets.ts";

export type Values = ReadonlyMap<string, HostTensor>;

export interface MergeOptions {
  /** What the adapters were made with: the gain is scaled with alpha / rank. */
  alpha: number;
}

/**
 * The values of a model without adapters that computes what the adapted one computes: W + (alpha / rank) · A B in place of W,
 * for every `<path>.adapter.down` and `.up` beside a `<path>.weight`. Other tensors are passed on as they are.
 * Throws FormatError for adapters that are no sum with W, and for tensors that do not fit together.
 *
 * @example
 * const plain = mergeLora(values, { alpha: 16 });
 * removeAdapters(model); // the model that `plain` is for
 */
export function mergeLora(values: Values, { alpha }: MergeOptions): Map<string, HostTensor> {
  const merged = new Map([...values].filter(([name]) => !isAdapterParameter(name)));
  addProducts(merged, values, alpha);
  return merged;
}

/**
 * Undoes `mergeLora`: subtracts the adapters from the weights and puts them beside them. The weights come back but for the
 * rounding of two float32 additions.
 *
 * @example
 * const adapted = unmergeLora(plain, adapter, { alpha: 16 });
 */
export function unmergeLora(merged: Values, adapter: Values, { alpha }: MergeOptions): Map<string, HostTensor> {
  const base = new Map(merged);
  addProducts(base, adapter, -alpha);
  for (const [name, tensor] of adapter) if (isAdapterParameter(name)) base.set(name, tensor);
  return base;
}

/** Adds (alpha / rank) · A B to the weight beside each pair in `adapters`; changed weights are new arrays. */
function addProducts(values: Map<string, HostTensor>, adapters: Values, alpha: number): void {
  const end = `.${adapterSegment}.`;
  const paths = new Set(
    [...adapters.keys()].filter(isAdapterParameter).map((name) => name.slice(0, name.lastIndexOf(end))),
  );
  for (const path of paths) {
    const [down, up] = [adapters.get(`${path}${end}down`), adapters.get(`${path}${end}up`)];
    if (down === undefined || up === undefined) {
      const names = [...adapters.keys()].filter((name) => name.startsWith(`${path}${end}`));
      throw new FormatError(
        path,
        `only low-rank adapters can be merged: ${path}${end}down and .up are wanted, got ${names.join(", ")}`,
      );
    }
    const name = `${path}.weight`;
    const weight = values.get(name);
    if (weight === undefined)
      throw new FormatError(name, `is not there, and an adapter for it is. Give the base's values too.`);
    values.set(name, weightPlusProduct(name, weight, down, up, alpha));
  }
}

/** W + (alpha / rank) · A B, summed in double precision and rounded once. */
function weightPlusProduct(
  name: string,
  weight: HostTensor,
  down: HostTensor,
  up: HostTensor,
  alpha: number,
): HostTensor<"float32"> {
  const [from = 0, to = 0] = weight.dims;
  const [, rank = 0] = down.dims;
  const fits = down.dims[0] === from && up.dims[0] === rank && up.dims[1] === to && weight.dims.length === 2;
  if (!fits || [weight, down, up].some(({ dtype }) => dtype !== "float32")) {
    const shown = [weight, down, up].map(({ dtype, dims }) => `${dtype} [${dims.join(", ")}]`);
    throw new FormatError(
      name,
      `float32 [from, to], [from, rank] and [rank, to] are wanted, got ${shown[0]} with down ${shown[1]} and up ${shown[2]}`,
    );
  }
  const [w, a, b] = [weight.data, down.data, up.data] as [Float32Array, Float32Array, Float32Array];
  const sum = new Float32Array(w.length);
  const row = new Float64Array(to);
  for (let i = 0; i < from; i++) {
    row.fill(0);
    for (let r = 0; r < rank; r++) {
      const factor = a[i * rank + r]!;
      for (let j = 0; j < to; j++) row[j]! += factor * b[r * to + j]!;
    }
    for (let j = 0; j < to; j++) sum[i * to + j] = w[i * to + j]! + (alpha / rank) * row[j]!;
  }
  return { dtype: "float32", dims: weight.dims, data: sum };
}
