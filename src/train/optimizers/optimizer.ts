// What an optimizer is: the arrays it keeps beside the parameters, and one update in place.
import { ConfigError } from "../../base/index.ts";
import type { ParameterStore } from "../parameter-store.ts";

export interface UpdateOptions {
  /** Number of the update, counted from 1. */
  step: number;
  /** Of this update, from a schedule. */
  learningRate: number;
  /** Gradients are multiplied by this before anything else: below 1 where their norm was clipped. */
  gradientScale?: number;
}

/**
 * All state lies in the store's slots and the step's number, so a run that loads both goes on bit for bit.
 *
 * @example
 * const optimizer = adam({ betas: [0.9, 0.98], epsilon: 1e-9 });
 * const store = new ParameterStore(parameters, { slots: optimizer.slots });
 * optimizer.update(store, { step: 1, learningRate: 1e-3 });
 */
export interface Optimizer {
  /** Slots that the store must keep for it, zero before the first update. */
  readonly slots: readonly string[];
  /** Changes the store's trainable values, and its slots, by the gradients that lie there. */
  update(store: ParameterStore, options: UpdateOptions): void;
}

/** Throws a ConfigError unless the number is within [from, below). */
export function requireWithin(place: string, value: number, from: number, below = Infinity): void {
  if (!(value >= from && value < below)) {
    throw new ConfigError(
      place,
      `must be at least ${from}${below === Infinity ? "" : ` and below ${below}`} (got ${value}).`,
    );
  }
}
