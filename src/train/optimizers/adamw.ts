import type { AdamOptions } from "./adam.ts";
import { adaptiveMoments } from "./adam.ts";
import { type Optimizer, requireWithin } from "./optimizer.ts";

export interface AdamWOptions extends AdamOptions {
  /** Each update first multiplies p by 1 − learningRate·weightDecay, apart from gradients and their means. */
  weightDecay?: number;
}

/**
 * Adam with decoupled weight decay. Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2; as in
 * PyTorch, the decay is multiplied by the learning rate and so follows its schedule. Defaults are PyTorch's.
 *
 * @example
 * const optimizer = adamW({ betas: [0.9, 0.95], weightDecay: 0.1 });
 */
export function adamW({ betas = [0.9, 0.999], epsilon = 1e-8, weightDecay = 0.01 }: AdamWOptions = {}): Optimizer {
  requireWithin("adamw.weightDecay", weightDecay, 0);
  return adaptiveMoments({
    name: "adamw",
    betas,
    epsilon,
    decay: ({ weightDecayFactor }, learningRate) => ({
      l2: 0,
      keep: 1 - learningRate * weightDecay * weightDecayFactor,
    }),
  });
}
