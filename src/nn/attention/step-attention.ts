// Attention of one decoding step: every hypothesis asks once, and nothing that is remembered moves in memory.
import { add, matmul, mul, reshape, softmax, sum, transpose, type Dim, type Tensor } from "../../tensor/index.ts";

/**
 * A step's queries as the rows of one product a sentence: [beams, batch, heads, dHead], as its rows lie (row = beam · batch +
 * sentence), → [batch, heads, beams, dHead].
 */
export function queriesByHead(query: Tensor): Tensor {
  const [beams, batch, heads, dHead] = query.shape as readonly [number, Dim, number, number];
  return beams === 1 ? reshape(query, [batch, heads, 1, dHead]) : transpose(query, [1, 2, 0, 3]);
}

/** context [batch, heads, beams, dHead] → [beams · batch, dModel] */
export function mergeQueries(context: Tensor): Tensor {
  const [, heads, beams, dHead] = context.shape as readonly [Dim, number, number, number];
  const rowsFirst = beams === 1 ? context : transpose(context, [2, 0, 1, 3]);
  return reshape(rowsFirst, [-1, heads * dHead]);
}

/**
 * Attention of a step's queries to what their sentence remembers: the entries of all its hypotheses stand side by side, and
 * `bias` hides from each query what is not its own past. So hypotheses that change places only change the bias.
 * The query [beams, batch, heads, dHead] is scaled already; key and value [entries, batch, keyValueHeads, dHead], one entry a
 * step and hypothesis; bias broadcasts to [batch, heads, beams, entries] → context [beams · batch, heads · dHead], weights
 * [batch, heads, beams, entries].
 */
export function stepAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  bias?: Tensor,
): { context: Tensor; weights: Tensor } {
  const [beams, batch, heads, dHead] = query.shape as readonly [number, Dim, number, number];
  const [entries, , groups] = key.shape as readonly [Dim, Dim, number];
  const isShared = groups < heads;
  // Heads that share keys ask them side by side, as rows of one product.
  const sideBySide = (x: Tensor, width: Dim): Tensor =>
    isShared ? reshape(x, [batch, groups, (heads / groups) * beams, width]) : x;
  const apart = (x: Tensor, width: Dim): Tensor => (isShared ? reshape(x, [batch, heads, beams, width]) : x);
  const scores =
    beams === 1 && !isShared
      ? // A product of one row with a transposed matrix packs the matrix first; a sum over whole arrays reads it once.
        transpose(sum(mul(key, query), { axes: [3], keepDims: true }), [1, 2, 3, 0])
      : apart(
          matmul(sideBySide(queriesByHead(query), dHead), transpose(key, [1, 2, 0, 3]), { transposeB: true }),
          entries,
        );
  const weights = softmax(bias === undefined ? scores : add(scores, bias)); // [batch, heads, beams, entries]
  const context = apart(matmul(sideBySide(weights, entries), transpose(value, [1, 2, 0, 3])), dHead);
  return { context: mergeQueries(context), weights };
}
