// Batches without end for training, from a position that can be saved; and a fixed round of them for validation.
import { ConfigError } from "../base/index.ts";
import { checkLimits, fixedPlan, shuffledPlan, type BatchLimits, type BatchPlan } from "./batch-plan.ts";
import type { EncodedPairs } from "./encoded-pairs.ts";
import { pairBatch, type PairBatch } from "./pair-batch.ts";

/** Where a run stands: the next batch is number `position` (from 0) of `epoch` (from 0). Plain data, to be saved as JSON. */
export interface Cursor {
  readonly epoch: number;
  readonly position: number;
  /** What the position refers to: data, limits and seed. A cursor that carries it is refused where they differ. */
  readonly fingerprint?: string;
}

export interface BatchesOptions extends BatchLimits {
  /** Names the order of everything; the same seed gives the same batches. */
  seed?: number;
  /**
   * Up to this many tokens are added by chance to each length before sorting. More noise mixes the batches more from epoch to
   * epoch and pads more; at 0, half of a row's neighbours already change (Multi30k, 4,096 tokens).
   */
  lengthNoise?: number;
}

/**
 * Training batches, epoch after epoch without end: every pair once an epoch, pairs of like length together, in an order drawn
 * from (seed, epoch). The cursor is the whole state: a run that seeks it sees the batches that the other would have seen.
 *
 * Throws DataError for a pair that alone is over the budget, ConfigError for limits that are none.
 *
 * @example
 * const batches = new Batches(pairs, { batchTokens: 4096, seed: 1 });
 * const batch = batches.take();
 * const saved = batches.cursor; // { epoch: 0, position: 1, fingerprint: "…" }
 */
export class Batches implements Iterable<PairBatch> {
  readonly pairs: EncodedPairs;
  readonly #limits: BatchLimits;
  readonly #seed: number;
  readonly #lengthNoise: number;
  readonly #fingerprint: string;
  #epoch = 0;
  #position = 0;
  /** The pairs as this epoch spells them. */
  #spelt: EncodedPairs;
  #plan: BatchPlan;

  constructor(pairs: EncodedPairs, { batchTokens, maxRows = Infinity, seed = 0, lengthNoise = 0 }: BatchesOptions) {
    if (!Number.isSafeInteger(seed)) throw new ConfigError("seed", `must be a whole number (got ${seed}).`);
    if (!(Number.isInteger(lengthNoise) && lengthNoise >= 0)) {
      throw new ConfigError("lengthNoise", `must be a whole number, at least 0 (got ${lengthNoise}).`);
    }
    this.pairs = pairs;
    this.#limits = { batchTokens, maxRows };
    this.#seed = seed;
    this.#lengthNoise = lengthNoise;
    this.#fingerprint = [pairs.fingerprint, batchTokens, maxRows, seed, lengthNoise].join("-");
    checkLimits(pairs, this.#limits);
    this.#spelt = pairs.inEpoch(this.#epoch);
    this.#plan = this.#planOf(this.#spelt, this.#epoch);
  }

  /** Where the next batch comes from. */
  get cursor(): Cursor {
    return { epoch: this.#epoch, position: this.#position, fingerprint: this.#fingerprint };
  }

  /** Batches in the epoch that the cursor is in; epochs differ by a few. */
  get batchesInEpoch(): number {
    return this.#plan.starts.length - 1;
  }

  /** The next batch; the cursor moves behind it. */
  take(): PairBatch {
    const { order, starts } = this.#plan;
    const batch = pairBatch(this.#spelt, order.subarray(starts[this.#position], starts[this.#position + 1]));
    this.#position++;
    if (this.#position === this.batchesInEpoch) this.seek({ epoch: this.#epoch + 1, position: 0 });
    return batch;
  }

  /** Goes to a saved cursor. Throws ConfigError for one that these data, limits and seed cannot have given. */
  seek({ epoch, position, fingerprint }: Cursor): void {
    if (fingerprint !== undefined && fingerprint !== this.#fingerprint) {
      const found = `saved with ${fingerprint}, now ${this.#fingerprint}; data-batchTokens-maxRows-seed-lengthNoise`;
      throw new ConfigError(
        "cursor",
        `the data or the batch settings have changed since it was saved (${found}). Put them back, or start a new run.`,
      );
    }
    if (!Number.isSafeInteger(epoch) || epoch < 0)
      throw new ConfigError("cursor.epoch", `must be a whole number, at least 0 (got ${epoch}).`);
    const spelt = epoch === this.#epoch ? this.#spelt : this.pairs.inEpoch(epoch);
    const plan = this.#planOf(spelt, epoch);
    const last = plan.starts.length - 2;
    if (!(Number.isInteger(position) && position >= 0 && position <= last)) {
      throw new ConfigError(
        "cursor.position",
        `must be a whole number from 0 to ${last} in epoch ${epoch} (got ${position}).`,
      );
    }
    this.#epoch = epoch;
    this.#position = position;
    this.#spelt = spelt;
    this.#plan = plan;
  }

  /** Takes batches for as long as the caller goes on. */
  *[Symbol.iterator](): Generator<PairBatch, never, undefined> {
    while (true) yield this.take();
  }

  #planOf(pairs: EncodedPairs, epoch: number): BatchPlan {
    return shuffledPlan(pairs, this.#limits, { seed: this.#seed, epoch, lengthNoise: this.#lengthNoise });
  }
}

/**
 * Every pair once, from short to long, the same at each iteration: for validation. `indices` leads a row back to its place.
 *
 * Throws as `Batches` does.
 *
 * @example
 * for (const { targetTokens } of new FixedBatches(pairs, { batchTokens: 4096 })) targetTokens;
 */
export class FixedBatches implements Iterable<PairBatch> {
  readonly pairs: EncodedPairs;
  readonly #plan: BatchPlan;

  constructor(pairs: EncodedPairs, limits: BatchLimits) {
    checkLimits(pairs, limits);
    this.pairs = pairs;
    this.#plan = fixedPlan(pairs, limits);
  }

  /** Number of batches. */
  get count(): number {
    return this.#plan.starts.length - 1;
  }

  *[Symbol.iterator](): Generator<PairBatch, void, undefined> {
    const { order, starts } = this.#plan;
    for (let b = 0; b < this.count; b++) yield pairBatch(this.pairs, order.subarray(starts[b], starts[b + 1]));
  }
}
