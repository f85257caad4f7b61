// Who may look at whom, worked out inside the program from token ids.
import {
  constant,
  equal,
  lessOrEqual,
  not,
  range,
  reshape,
  scalar,
  slice,
  subDims,
  where,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";

/** Finite, because a row of −∞ alone gives NaN; below it the exponential is exactly zero in float32. */
const forbidden = -1e9;

/** A mask (true: may look) as a bias on attention scores. */
export function maskBias(mask: Tensor): Tensor {
  return where(mask, scalar(0), scalar(forbidden));
}

/** What is no padding: ids [batch, time] → bool [batch, time]. */
export function notPadding(ids: Tensor, pad: number): Tensor {
  return not(equal(ids, constant({ dtype: "int32", dims: [], data: Int32Array.of(pad) })));
}

/**
 * Each position sees itself and what came before: bool [1, 1, queryTime, keyTime]. Where there are more keys than queries, the
 * queries are the last of them.
 */
export function causalMask(queryTime: Dim, keyTime: Dim = queryTime): Tensor {
  const keys = range(keyTime);
  const earlier = subDims(keyTime, queryTime);
  const queries = earlier === 0 ? keys : slice(keys, { axis: 0, start: earlier });
  return lessOrEqual(reshape(keys, [1, 1, 1, keyTime]), reshape(queries, [1, 1, queryTime, 1]));
}
