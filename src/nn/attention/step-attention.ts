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
 * The query [beams, batch, heads, dHead] is scaled already; key and value [entries, batch, heads, dHead], one entry a step and
 * hypothesis; bias [batch, 1, beams, entries] → context [beams · batch, dModel], weights [batch, heads, beams, entries].
 */
export function stepAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  bias?: Tensor,
): { context: Tensor; weights: Tensor } {
  const scores =
    query.shape[0] === 1
      ? // A product of one row with a transposed matrix packs the matrix first; a sum over whole arrays reads it once.
        transpose(sum(mul(key, query), { axes: [3], keepDims: true }), [1, 2, 3, 0])
      : matmul(queriesByHead(query), transpose(key, [1, 2, 0, 3]), { transposeB: true });
  const weights = softmax(bias === undefined ? scores : add(scores, bias)); // [batch, heads, beams, entries]
  return { context: mergeQueries(matmul(weights, transpose(value, [1, 2, 0, 3]))), weights };
}
