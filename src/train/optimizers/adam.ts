import { ConfigError } from "../../base/index.ts";
import type { ParameterRange } from "../parameter-store.ts";
import { type Optimizer, requireWithin } from "./optimizer.ts";

export interface AdamOptions {
  /** Decay of the running means of gradients and of their squares. The Transformer paper (section 5.3) takes 0.9 and 0.98. */
  betas?: readonly [first: number, second: number];
  /** Added to the root in the denominator. The Transformer paper takes 1e-9. */
  epsilon?: number;
  /** Adds weightDecay·p to the gradient (L2 regularization), before the means. For decay apart from them see `adamW`. */
  weightDecay?: number;
}

/**
 * Adam: p ← p − learningRate · m̂ / (√v̂ + ε), where m̂ and v̂ are running means of g and g² corrected for their start at zero.
 * Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1. Defaults are the paper's and PyTorch's.
 *
 * @example
 * const optimizer = adam({ betas: [0.9, 0.98], epsilon: 1e-9 });
 */
export function adam({ betas = [0.9, 0.999], epsilon = 1e-8, weightDecay = 0 }: AdamOptions = {}): Optimizer {
  requireWithin("adam.weightDecay", weightDecay, 0);
  return adaptiveMoments({
    name: "adam",
    betas,
    epsilon,
    decay: ({ weightDecayFactor }) => ({ l2: weightDecay * weightDecayFactor, keep: 1 }),
  });
}

interface AdaptiveMomentsOptions {
  name: string;
  betas: readonly [first: number, second: number];
  epsilon: number;
  /** What weight decay adds to gradients (l2·p), and the part of p that it leaves (keep), in a range at a learning rate. */
  decay: (range: ParameterRange, learningRate: number) => { l2: number; keep: number };
}

/** The update that Adam and AdamW share; they differ in where weight decay enters. */
export function adaptiveMoments({ name, betas: [beta1, beta2], epsilon, decay }: AdaptiveMomentsOptions): Optimizer {
  requireWithin(`${name}.betas`, beta1, 0, 1);
  requireWithin(`${name}.betas`, beta2, 0, 1);
  // With 0, a parameter whose gradients were all 0, such as the row of an unused token, would turn into 0 / 0.
  if (!(epsilon > 0)) throw new ConfigError(`${name}.epsilon`, `must be above 0 (got ${epsilon}).`);
  return {
    slots: ["firstMoment", "secondMoment"],
    update(store, { step, learningRate, gradientScale = 1 }) {
      const root = Math.sqrt(1 - beta2 ** step);
      for (const range of store.ranges) {
        const rate = learningRate * range.learningRateFactor;
        const [p, g, m, v] = [
          store.flat("value", range),
          store.flat("gradient", range),
          store.flat("firstMoment", range),
          store.flat("secondMoment", range),
        ];
        store.memory.adam(p, g, m, v, {
          gradientScale,
          ...decay(range, rate),
          beta1,
          beta2,
          // m̂ / (√v̂ + ε) with both corrections moved out of the loop: m / (1 − β₁ᵗ) · root / (√v + ε·root).
          epsilon: epsilon * root,
          stepSize: (rate / (1 - beta1 ** step)) * root,
        });
      }
    },
  };
}
