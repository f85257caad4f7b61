// The first places of a sequence, which sparse patterns treat apart: every query sees them, and they may see every key.
import {
  add,
  and,
  concat,
  expand,
  lessOrEqual,
  not,
  pad,
  reshape,
  slice,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";
import type { Dropout } from "../dropout.ts";
import type { BlockLayout, KeyPart } from "./blocks.ts";
import { maskBias } from "./mask.ts";
import { scaledDotProduct } from "./scaled-dot-product.ts";
import type { AttentionScope } from "./scope.ts";

/** Positions 0 to places − 1 of an axis, zeros where the sequence is shorter. */
function firstPlaces(layout: BlockLayout, x: Tensor, axis: number, places: number): Tensor {
  // No sequence is empty, so one place needs no zeros; for others those that fill blocks up do, if there are enough.
  const long = places === 1 ? x : places <= layout.leastTime ? layout.filled(x, axis) : pad(x, { axis, after: places });
  return slice(long, { axis, end: places });
}

/** Positions as [dilation, count, block, 1] and [dilation, count, 1, keys]: are these pairs kept by another part already? */
export type PairTest = (queryPositions: Tensor, keyPositions: Tensor) => Tensor;

/** The first `places` keys before every block of queries, less the pairs that another part has. */
export function leadingKeys(
  layout: BlockLayout,
  scope: AttentionScope,
  { places, isElsewhere }: { places: number; isElsewhere: PairTest },
): KeyPart {
  const { dilation, count, block } = layout;
  const gather = (x: Tensor, axis: number): Tensor => {
    const [leading, trailing] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
    const once = reshape(firstPlaces(layout, x, axis, places), [...leading, 1, 1, places, ...trailing]);
    return expand(once, [...leading, dilation, count, places, ...trailing]);
  };
  const queries = reshape(layout.blocks(scope.queryPositions, 0), [dilation, count, block, 1]);
  const keys = reshape(gather(scope.keyPositions, 0), [dilation, count, 1, places]);
  const fresh = not(isElsewhere(queries, keys));
  return { gather, pairs: scope.isCausal ? and(fresh, lessOrEqual(keys, queries)) : fresh };
}

export interface LeadingQueriesOptions {
  query: Tensor;
  key: Tensor;
  value: Tensor;
  scope: AttentionScope;
  layout: BlockLayout;
  places: number;
  dropout?: Dropout | undefined;
}

/**
 * The first `places` queries against every key: query, key and value [batch, heads, time, dHead] →
 * [batch, heads, places, dHead]. Without causality; under it they see nothing but leading keys.
 */
export function attendFromLeading({
  query,
  key,
  value,
  scope,
  layout,
  places,
  dropout,
}: LeadingQueriesOptions): Tensor {
  let bias: Tensor | undefined;
  if (scope.keys !== undefined) {
    const [batch, keyTime] = scope.keys.shape as readonly [Dim, Dim];
    bias = maskBias(reshape(scope.keys, [batch, 1, 1, keyTime]));
  }
  const placed = scope.positions?.bias?.(firstPlaces(layout, scope.queryPositions, 0, places), scope.keyPositions);
  if (placed !== undefined) bias = bias === undefined ? placed : add(bias, placed);
  return scaledDotProduct(firstPlaces(layout, query, 2, places), key, value, { bias, ...(dropout && { dropout }) })
    .context;
}

/** context [batch, heads, length, dHead] with its first rows replaced by `rows` [batch, heads, places, dHead], made longer if need be. */
export function replaceLeading(context: Tensor, rows: Tensor, leastLength: number): Tensor {
  const places = rows.shape[2] as number;
  const long = pad(context, { axis: 2, after: Math.max(0, places - leastLength) });
  return concat([rows, slice(long, { axis: 2, start: places })], 2);
}
