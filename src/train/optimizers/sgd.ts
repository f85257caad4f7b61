import { ConfigError } from "../../base/index.ts";
import { type Optimizer, requireWithin } from "./optimizer.ts";

export interface SgdOptions {
  /** Part of the last update's direction that is kept; 0 keeps nothing and needs no memory. */
  momentum?: number;
  /** The gradient enters the direction times 1 − dampening, but for the first. */
  dampening?: number;
  /** Looks ahead: the direction is g + momentum·m in place of m. */
  nesterov?: boolean;
  /** Adds weightDecay·p to the gradient. */
  weightDecay?: number;
}

/**
 * Stochastic gradient descent: m ← momentum·m + (1 − dampening)·g, p ← p − learningRate·m. Sutskever et al. 2013, "On the
 * importance of initialization and momentum in deep learning", for momentum and Nesterov's form; arranged as in PyTorch, where
 * the learning rate stands outside of m. Defaults are PyTorch's.
 *
 * @example
 * const optimizer = sgd({ momentum: 0.9 });
 */
export function sgd({ momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 }: SgdOptions = {}): Optimizer {
  requireWithin("sgd.momentum", momentum, 0, 1);
  requireWithin("sgd.dampening", dampening, 0, 1);
  requireWithin("sgd.weightDecay", weightDecay, 0);
  if (momentum === 0 && (dampening > 0 || nesterov))
    throw new ConfigError(
      `sgd.${nesterov ? "nesterov" : "dampening"}`,
      "has no effect without momentum. Set momentum, or leave this out.",
    );
  if (nesterov && dampening > 0)
    throw new ConfigError("sgd.dampening", "does not go with nesterov. Leave out one of them.");
  return {
    slots: momentum === 0 ? [] : ["momentum"],
    update(store, { step, learningRate, gradientScale = 1 }) {
      for (const range of store.ranges) {
        const [p, g] = [store.flat("value", range), store.flat("gradient", range)];
        const numbers = {
          gradientScale,
          l2: weightDecay * range.weightDecayFactor,
          learningRate: learningRate * range.learningRateFactor,
        };
        if (momentum === 0) {
          store.memory.sgd(p, g, numbers);
        } else {
          store.memory.sgdMomentum(p, g, store.flat("momentum", range), {
            ...numbers,
            momentum,
            take: step === 1 ? 1 : 1 - dampening,
            fromGradient: nesterov ? 1 : 0,
            fromMomentum: nesterov ? momentum : 1,
          });
        }
      }
    },
  };
}
