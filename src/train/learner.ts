// What the loop trains, seen from the loop: gradients of micro-batches, and updates made of them.
import type { HostTensor } from "../base/index.ts";
import type { Feeds } from "../engine/index.ts";

export interface MicroBatch {
  /** The update that it belongs to, counted from 1: together with the seed it names the randomness. */
  readonly step: number;
  /** Its number within the update, from 0. Gradients of number 0 replace the last update's; the others are added. */
  readonly microBatch: number;
}

export interface MicroBatchResult {
  readonly loss: number;
  /** Further scalars, weighted as the loss is. */
  readonly figures: Readonly<Record<string, number>>;
  /** What the loss hands on to the next batch, for batches that continue one another. */
  readonly carried?: Readonly<Record<string, HostTensor>>;
}

export interface Update {
  /** Counted from 1. */
  readonly step: number;
  readonly learningRate: number;
  /** Gradients are multiplied with this first: below 1 where the norm was clipped. */
  readonly gradientScale: number;
}

/** A model with its gradients and its optimizer. */
export interface Learner {
  /** Runs forward and backward, and leaves the gradients in place. */
  accumulate(feeds: Feeds, microBatch: MicroBatch): Promise<MicroBatchResult>;
  /** √ of the sum of all squared gradients. */
  gradientNorm(): number;
  /** Changes the weights by the gradients that lie there. */
  update(update: Update): void;
  /** The gradients by the names of their parameters; views of the memory they lie in. */
  readonly gradients: Readonly<Record<string, HostTensor<"float32">>>;
}
