// Who may look at whom, worked out inside the program from token ids.
import {
  constant,
  equal,
  lessOrEqual,
  not,
  range,
  reshape,
  scalar,
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

/** Keys that are not padding: ids [batch, keyTime] → bool [batch, 1, 1, keyTime]. */
export function keyMask(ids: Tensor, pad: number): Tensor {
  const [batch, time] = ids.shape as readonly [Dim, Dim];
  return reshape(not(equal(ids, constant({ dtype: "int32", dims: [], data: Int32Array.of(pad) }))), [
    batch,
    1,
    1,
    time,
  ]);
}

/** Each position sees itself and what came before: bool [1, 1, time, time]. */
export function causalMask(time: Dim): Tensor {
  const positions = range(time);
  return lessOrEqual(reshape(positions, [1, 1, 1, time]), reshape(positions, [1, 1, time, 1]));
}
