// Clipping of gradients by their common norm.
import type { ParameterStore } from "./parameter-store.ts";

/** √ of the sum of the squares of all gradients, summed in float64. NaN or infinite where a gradient is. */
export function gradientNorm(store: ParameterStore): number {
  return Math.sqrt(store.memory.sumOfSquares(store.flat("gradient")));
}

/**
 * What to multiply gradients of this norm by so that their norm is at most `maximum`. Pascanu et al. 2013, "On the difficulty of
 * training recurrent neural networks", algorithm 1. Nothing is written: the optimizer takes the factor as its `gradientScale`.
 * A norm that is not finite has no such factor and gives NaN; skip the update then.
 *
 * @example
 * const norm = gradientNorm(store);
 * optimizer.update(store, { step, learningRate, gradientScale: clippingScale(norm, 1) });
 */
export function clippingScale(norm: number, maximum: number): number {
  if (!Number.isFinite(norm)) return NaN;
  return norm > maximum ? maximum / norm : 1;
}
