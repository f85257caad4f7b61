// The attention every other kind is measured against.
import { add, matmul, softmax, type Tensor } from "../../tensor/index.ts";
import type { Dropout } from "../dropout.ts";

export interface ScaledDotProductOptions {
  /** Added to the scores; large and negative where a query may not look. Broadcasts to [batch, heads, queryTime, keyTime]. */
  bias?: Tensor | undefined;
  /** On the weights, while training. */
  dropout?: Dropout;
}

/**
 * softmax(Q Kᵀ / √dHead) V. Vaswani et al. 2017, section 3.2.1, equation 1. Without the root the scores of random vectors
 * have variance dHead, and softmax saturates.
 * query [batch, heads, queryTime, dHead], key and value [batch, heads, keyTime, dHead].
 */
export function scaledDotProduct(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  { bias, dropout }: ScaledDotProductOptions = {},
): { context: Tensor; weights: Tensor } {
  const dHead = query.shape.at(-1) as number;
  const scores = matmul(query, key, { transposeB: true, alpha: 1 / Math.sqrt(dHead) }); // [batch, heads, queryTime, keyTime]
  const weights = softmax(bias === undefined ? scores : add(scores, bias));
  const kept = dropout === undefined ? weights : dropout.forward(weights);
  return { context: matmul(kept, value), weights };
}
