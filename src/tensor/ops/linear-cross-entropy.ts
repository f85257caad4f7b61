// Cross-entropy of a softmax over a large vocabulary, taken together with the product that makes its logits.
import { equalDims } from "../dim.ts";
import { shapeError, type Tensor } from "../graph.ts";
import { affine, matmul } from "./contraction.ts";
import { customGradient, stopGradient } from "./custom-gradient.ts";
import { add, log, maximum, mul, neg, sub } from "./elementwise.ts";
import { gather, pick, scatterAdd } from "./indexing.ts";
import { reshape, sum } from "./layout.ts";
import { softmax } from "./normalization.ts";
import { mean } from "./reduction.ts";

export interface LinearCrossEntropyOptions {
  /** ε of label smoothing: this share of the target is spread over the whole vocabulary. */
  smoothing?: number;
  /** Added to the logits: [vocabulary]. */
  bias?: Tensor | undefined;
}

export interface LinearCrossEntropy {
  /** What training minimises, a row: [n]. */
  readonly loss: Tensor;
  /** −ln p(label), without smoothing, for perplexity; it has no gradient: [n]. */
  readonly negativeLogLikelihood: Tensor;
}

/**
 * −Σ q ln softmax(x Eᵀ + b) a row, with q = (1 − ε) onehot(label) + ε / V.
 * x [n, dModel], E [vocabulary, dModel], labels [n]. (Szegedy et al. 2016, section 7; Vaswani et al. 2017, section 5.4.)
 *
 * With p the softmax, w what flows back to each row, the gradients need no [n, vocabulary] pass beside p itself:
 *   dx = w (p E − (1 − ε) E[label] − ε/V Σᵥ Eᵥ)
 *   dE = pᵀ (w x) − ε/V 1 (Σₙ wₙ xₙ)ᵀ − scatter-add of (1 − ε) w x at the labels
 *   db = pᵀ w − ε/V Σₙ wₙ − scatter-add of (1 − ε) w at the labels
 * The loss of one row is capped near 85, where float32 has no smaller probability.
 */
export function linearCrossEntropy(
  x: Tensor,
  table: Tensor,
  labels: Tensor,
  { smoothing = 0, bias }: LinearCrossEntropyOptions = {},
): LinearCrossEntropy {
  if (x.rank !== 2 || table.rank !== 2 || labels.rank !== 1) {
    throw shapeError(
      "linearCrossEntropy",
      [x, table, labels],
      "x [n, dModel], table [vocabulary, dModel] and labels [n] are wanted",
    );
  }
  if (!equalDims(x.shape[1]!, table.shape[1]!)) {
    throw shapeError(
      "linearCrossEntropy",
      [x, table, labels],
      `axis 1 of x and of the table do not meet: ${x.shape[1]} and ${table.shape[1]}`,
    );
  }
  if (!equalDims(x.shape[0]!, labels.shape[0]!)) {
    throw shapeError(
      "linearCrossEntropy",
      [x, table, labels],
      `axis 0 of x and of the labels do not meet: ${x.shape[0]} and ${labels.shape[0]}`,
    );
  }
  const [rows, vocabulary, width] = [x.shape[0]!, table.shape[0]!, table.shape[1]!];
  if (typeof vocabulary !== "number")
    throw shapeError("linearCrossEntropy", [x, table, labels], "the vocabulary must have a fixed size");
  const uniform = smoothing / vocabulary;
  const p = softmax(affine(x, table, bias, { transposeB: true })); // [n, vocabulary]
  const own = gather(table, labels); // [n, dModel]
  const logLikelihood = log(maximum(pick(p, reshape(labels, [rows, 1]), 1), 1e-37)); // [n, 1]
  const tableSum = sum(table, { axes: [0] }); // [dModel]
  let loss = neg(logLikelihood);
  if (smoothing > 0) {
    // Σᵥ ln pᵥ / V = mean logit − logsumexp, and logsumexp = own logit − ln p[label].
    let logit = sum(mul(x, own), { axes: [1], keepDims: true });
    let meanLogit = matmul(x, reshape(mul(tableSum, 1 / vocabulary), [width, 1]));
    if (bias !== undefined) {
      logit = add(logit, reshape(gather(bias, labels), [rows, 1]));
      meanLogit = add(meanLogit, mean(bias));
    }
    const meanLogLikelihood = sub(add(meanLogit, logLikelihood), logit);
    loss = sub(mul(loss, 1 - smoothing), mul(meanLogLikelihood, smoothing));
  }
  const withGradient = customGradient(
    reshape(loss, [rows]),
    bias === undefined ? [x, table] : [x, table, bias],
    (dy, wants) => {
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
      const dBias = (): Tensor => {
        const dense = reshape(matmul(p, w, { transposeA: true }), [vocabulary]);
        return scatterAdd(smoothing > 0 ? sub(dense, mul(sum(w), uniform)) : dense, labels, mul(dy, smoothing - 1));
      };
      return [wants(0) ? dx() : undefined, wants(1) ? dTable() : undefined, wants(2) ? dBias() : undefined];
    },
  );
  return { loss: withGradient, negativeLogLikelihood: stopGradient(reshape(neg(logLikelihood), [rows])) };
}
