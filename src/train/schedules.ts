// Learning rates as pure functions of the update's number, which counts from 1: nothing to save, nothing to resume.
import { ConfigError } from "../base/index.ts";

/** The learning rate of update `step`, counted from 1. */
export type Schedule = (step: number) => number;

export interface WarmupOptions {
  /** The highest learning rate, reached at the end of the warm-up. */
  learningRate: number;
  /** Updates over which the rate rises in a straight line from 0: update `warmup` is the first at the full rate. */
  warmup?: number;
}

export interface DecayOptions extends WarmupOptions {
  /** Updates of the whole run, warm-up included; from there on the rate stays at the minimum. */
  steps: number;
  /** The learning rate at the end. */
  minimum?: number;
}

/**
 * Warm-up, then learningRate · √(warmup / step). It is the Transformer paper's shape with the peak named directly, as
 * fairseq's `inverse_sqrt` has it. (fairseq counts updates from 0 and starts at its warmup-init-lr, so its rate lags one update.)
 *
 * @example
 * const rate = inverseSquareRoot({ learningRate: 5e-4, warmup: 4000 });
 * rate(4000); // 5e-4
 * rate(16000); // 2.5e-4
 */
export function inverseSquareRoot({ learningRate, warmup = 4000 }: WarmupOptions): Schedule {
  const at = "inverse-square-root";
  requirePositive(`${at}.learningRate`, learningRate);
  requireSteps(`${at}.warmup`, warmup, 1);
  return (step) => learningRate * Math.min(step / warmup, Math.sqrt(warmup / step));
}

/**
 * factor · dModel^−0.5 · min(step^−0.5, step · warmup^−1.5). Vaswani et al. 2017, "Attention Is All You Need", equation 3.
 *
 * @example
 * const rate = noam({ dModel: 512, warmup: 4000 });
 */
export function noam({
  dModel,
  warmup = 4000,
  factor = 1,
}: {
  dModel: number;
  warmup?: number;
  factor?: number;
}): Schedule {
  requireSteps("noam.dModel", dModel, 1);
  requireSteps("noam.warmup", warmup, 1);
  requirePositive("noam.factor", factor);
  return (step) => factor * dModel ** -0.5 * Math.min(step ** -0.5, step * warmup ** -1.5);
}

/**
 * Warm-up, then half a wave of the cosine from learningRate down to `minimum` at update `steps`. Loshchilov and Hutter 2017,
 * "SGDR: Stochastic Gradient Descent with Warm Restarts", equation 5, without restarts.
 *
 * @example
 * const rate = cosine({ learningRate: 3e-4, warmup: 1000, steps: 100_000, minimum: 3e-5 });
 */
export function cosine(options: DecayOptions): Schedule {
  return decay("cosine", options, (progress) => (1 + Math.cos(Math.PI * progress)) / 2);
}

/**
 * Warm-up, then a straight line from learningRate down to `minimum` at update `steps`. Devlin et al. 2019, "BERT", section A.2.
 *
 * @example
 * const rate = linear({ learningRate: 2e-5, warmup: 100, steps: 3000 });
 */
export function linear(options: DecayOptions): Schedule {
  return decay("linear", options, (progress) => 1 - progress);
}

/**
 * Warm-up, then the same rate for ever.
 *
 * @example
 * const rate = constant({ learningRate: 1e-3 });
 */
export function constant({ learningRate, warmup = 0 }: WarmupOptions): Schedule {
  requirePositive("constant.learningRate", learningRate);
  requireSteps("constant.warmup", warmup, 0);
  return (step) => (step < warmup ? (learningRate * step) / warmup : learningRate);
}

/** Every schedule by the name that configurations use. */
export const schedules = { "inverse-square-root": inverseSquareRoot, noam, cosine, linear, constant } as const;

export type ScheduleName = keyof typeof schedules;

/** `shape` falls from 1 to 0 while its argument, the part of the way from warm-up to end, goes from 0 to 1. */
function decay(
  name: string,
  { learningRate, warmup = 0, steps, minimum = 0 }: DecayOptions,
  shape: (progress: number) => number,
): Schedule {
  requirePositive(`${name}.learningRate`, learningRate);
  requireSteps(`${name}.warmup`, warmup, 0);
  requireSteps(`${name}.steps`, steps, 1);
  if (warmup >= steps)
    throw new ConfigError(
      `${name}.warmup`,
      `must be below steps, or nothing is left for the decay (got warmup ${warmup}, steps ${steps}).`,
    );
  if (!(minimum >= 0 && minimum <= learningRate))
    throw new ConfigError(`${name}.minimum`, `must be within 0 and learningRate ${learningRate} (got ${minimum}).`);
  return (step) => {
    if (step < warmup) return (learningRate * step) / warmup;
    if (step >= steps) return minimum;
    return minimum + (learningRate - minimum) * shape((step - warmup) / (steps - warmup));
  };
}

function requirePositive(place: string, value: number): void {
  if (!(value > 0 && value < Infinity)) throw new ConfigError(place, `must be above 0 (got ${value}).`);
}

function requireSteps(place: string, value: number, least: number): void {
  if (!(Number.isInteger(value) && value >= least))
    throw new ConfigError(place, `must be a whole number of at least ${least} (got ${value}).`);
}
