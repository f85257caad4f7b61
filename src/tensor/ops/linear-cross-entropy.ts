// Cross-entropy of a softmax over a large vocabulary, taken together with the product that makes its logits.
import { shapeError, type Tensor } from "../graph.ts";
import { matmul } from "./contraction.ts";
import { customGradient } from "./custom-gradient.ts";
import { add, log, maximum, mul, neg, sub } from "./elementwise.ts";
import { gather, pick, scatterAdd } from "./indexing.ts";
import { reshape, sum } from "./layout.ts";
import { softmax } from "./normalization.ts";

export interface LinearCrossEntropyOptions {
  /** ε of label smoothing: this share of the target is spread over the whole vocabulary. */
  smoothing?: number;
}

/**
 * −Σ q ln softmax(x Eᵀ) a row, with q = (1 − ε) onehot(label) + ε / V.
 * x [n, dModel], E [vocabulary, dModel], labels [n] → [n]. (Szegedy et al. 2016, section 7; Vaswani et al. 2017, section 5.4.)
 *
 * With p the softmax, w what flows back to each row, the gradients need no [n, vocabulary] pass beside p itself:
 *   dx = w (p E − (1 − ε) E[label] − ε/V Σᵥ Eᵥ)
 *   dE = pᵀ (w x) − ε/V 1 (Σₙ wₙ xₙ)ᵀ − scatter-add of (1 − ε) w x at the labels
 * The loss of one row is capped near 85, where float32 has no smaller probability.
 */
export function linearCrossEntropy(x: Tensor, table: Tensor, labels: Tensor, { smoothing = 0 }: LinearCrossEntropyOptions = {}): Tensor {
  if (x.rank !== 2 || table.rank !== 2 || labels.rank !== 1) {
    throw shapeError("linearCrossEntropy", [x, table, labels], "x [n, dModel], table [vocabulary, dModel] and labels [n] are wanted");
  }
  const vocabulary = table.shape[0]!;
  const width = table.shape[1]!;
  const rows = x.shape[0]!;
  if (typeof vocabulary !== "number") throw shapeError("linearCrossEntropy", [x, table, labels], "the vocabulary must have a fixed size");
  const uniform = smoothing / vocabulary;
  const ids = reshape(labels, [rows, 1]);
  const p = softmax(matmul(x, table, { transposeB: true })); // [n, vocabulary]
  const own = gather(table, labels); // [n, dModel]
  const logLikelihood = log(maximum(pick(p, ids, 1), 1e-37)); // [n, 1]
  let loss = neg(logLikelihood);
  const tableSum = sum(table, { axes: [0] }); // [dModel]
  if (smoothing > 0) {
    // Σᵥ ln pᵥ / V = mean logit − logsumexp, and logsumexp = own logit − ln p[label].
    const logit = sum(mul(x, own), { axes: [1], keepDims: true });
    const meanLogit = matmul(x, reshape(mul(tableSum, 1 / vocabulary), [width, 1]));
    const meanLogLikelihood = sub(add(meanLogit, logLikelihood), logit);
    loss = sub(mul(loss, 1 - smoothing), mul(meanLogLikelihood, smoothing));
  }
  return customGradient(reshape(loss, [rows]), [x, table], (dy, wants) => {
    const w = reshape(dy, [rows, 1]);
    const dx = (): Tensor => {
      const away = smoothing > 0 ? add(mul(own, 1 - smoothing), mul(tableSum, uniform)) : own;
      return mul(sub(matmul(p, table), away), w);
    };
    const dTable = (): Tensor => {
      const weighted = mul(x, w);
      const dense = matmul(p, weighted, { transposeA: true });
      const spread = smoothing > 0 ? sub(dense, mul(sum(weighted, { axes: [0] }), uniform)) : dense;
      return scatterAdd(spread, labels, mul(weighted, smoothing - 1));
    };
    return [wants(0) ? dx() : undefined, wants(1) ? dTable() : undefined];
  });
}
