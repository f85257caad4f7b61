// One width as several heads, and back.
import { reshape, transpose, type Dim, type Tensor } from "../../tensor/index.ts";

/** [batch, time, heads · dHead] → [batch, heads, time, dHead] */
export function splitHeads(x: Tensor, heads: number): Tensor {
  const [batch, time, width] = x.shape as readonly [Dim, Dim, number];
  return transpose(reshape(x, [batch, time, heads, width / heads]), [0, 2, 1, 3]);
}

/** [batch, heads, time, dHead] → [batch, time, heads · dHead] */
export function mergeHeads(x: Tensor): Tensor {
  const [batch, heads, time, dHead] = x.shape as readonly [Dim, number, Dim, number];
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, time, heads * dHead]);
}
