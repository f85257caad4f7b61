// Attention of one query a row, as in decoding: no heads are split off, so nothing is transposed.
import { mul, reshape, softmax, sum, transpose, type Dim, type Tensor } from "../../tensor/index.ts";

/**
 * softmax(q Kᵀ / √dHead) V for one query a row, every head over its own part of the width: the same numbers as
 * `scaledDotProduct`. A product of one row with a matrix, once a row and head, costs more in calls than in arithmetic, so the
 * products are written as sums over whole arrays.
 * query [rows, width], key and value [rows, time, width], width = heads · dHead → context [rows, width], weights [rows, heads, time].
 */
export function singleQueryAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  { heads }: { heads: number },
): { context: Tensor; weights: Tensor } {
  const [rows, time, width] = key.shape as readonly [Dim, Dim, number];
  const dHead = width / heads;
  const scaled = reshape(mul(query, 1 / Math.sqrt(dHead)), [rows, 1, heads, dHead]);
  const scores = sum(mul(reshape(key, [rows, time, heads, dHead]), scaled), { axes: [3] }); // [rows, time, heads]
  const weights = softmax(transpose(scores, [0, 2, 1])); // [rows, heads, time]
  const spread = reshape(transpose(weights, [0, 2, 1]), [rows, time, heads, 1]);
  const context = sum(mul(reshape(value, [rows, time, heads, dHead]), spread), { axes: [1] }); // [rows, heads, dHead]
  return { context: reshape(context, [rows, width]), weights };
}
