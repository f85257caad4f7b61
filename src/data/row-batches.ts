// Batches of rows that are all alike in length: only their order has to be drawn.
import { ConfigError, randomKey, RandomStream } from "../base/index.ts";
import type { Cursor } from "./batches.ts";

export interface RowBatchesOptions<Batch> {
  /** Rows that there are. */
  count: number;
  /** Rows of a batch; the last one of an epoch may have fewer. */
  rowsPerBatch: number;
  /** Names the order; the same seed gives the same batches. */
  seed: number;
  /** What rows are cut from: a cursor is refused where it differs. */
  fingerprint: string;
  /** Makes a batch of these rows; it may depend on the epoch, and on nothing else that changes. */
  gather: (rows: Uint32Array, epoch: number) => Batch;
}

/**
 * Training batches, epoch after epoch without end: every row once an epoch, in an order drawn from (seed, epoch). The cursor is
 * the whole state: a run that seeks it sees the batches that the other would have seen.
 *
 * @example
 * const batches = new RowBatches({ count: 100, rowsPerBatch: 8, seed: 1, fingerprint: "", gather: (rows) => rows });
 * batches.take(); // eight of the numbers from 0 to 99
 */
export class RowBatches<Batch> {
  readonly #options: RowBatchesOptions<Batch>;
  readonly #fingerprint: string;
  #epoch = 0;
  #position = 0;
  #order: Uint32Array;

  constructor(options: RowBatchesOptions<Batch>) {
    const { count, rowsPerBatch, seed, fingerprint } = options;
    for (const [name, value] of Object.entries({ count, rowsPerBatch }))
      if (!(Number.isInteger(value) && value > 0))
        throw new ConfigError(name, `must be a whole number above 0 (got ${value}).`);
    if (!Number.isSafeInteger(seed)) throw new ConfigError("seed", `must be a whole number (got ${seed}).`);
    this.#options = options;
    this.#fingerprint = [fingerprint, count, rowsPerBatch, seed].join("-");
    this.#order = this.#orderOf(0);
  }

  /** Where the next batch comes from. */
  get cursor(): Cursor {
    return { epoch: this.#epoch, position: this.#position, fingerprint: this.#fingerprint };
  }

  get batchesInEpoch(): number {
    return Math.ceil(this.#options.count / this.#options.rowsPerBatch);
  }

  /** The next batch; the cursor moves behind it. */
  take(): Batch {
    const { rowsPerBatch, gather } = this.#options;
    const from = this.#position * rowsPerBatch;
    const batch = gather(this.#order.subarray(from, from + rowsPerBatch), this.#epoch);
    this.#position++;
    if (this.#position === this.batchesInEpoch) this.seek({ epoch: this.#epoch + 1, position: 0 });
    return batch;
  }

  /** Goes to a saved cursor. Throws ConfigError for one that these rows and this seed cannot have given. */
  seek({ epoch, position, fingerprint }: Cursor): void {
    if (fingerprint !== undefined && fingerprint !== this.#fingerprint) {
      const found = `saved with ${fingerprint}, now ${this.#fingerprint}; data-rows-rowsPerBatch-seed`;
      throw new ConfigError(
        "cursor",
        `the data or the batch settings have changed since it was saved (${found}). Put them back, or start a new run.`,
      );
    }
    if (!Number.isSafeInteger(epoch) || epoch < 0)
      throw new ConfigError("cursor.epoch", `must be a whole number, at least 0 (got ${epoch}).`);
    const last = this.batchesInEpoch - 1;
    if (!(Number.isInteger(position) && position >= 0 && position <= last))
      throw new ConfigError("cursor.position", `must be a whole number from 0 to ${last} (got ${position}).`);
    if (epoch !== this.#epoch) this.#order = this.#orderOf(epoch);
    this.#epoch = epoch;
    this.#position = position;
  }

  #orderOf(epoch: number): Uint32Array {
    const { count, seed } = this.#options;
    const rows = Array.from({ length: count }, (_, row) => row);
    return Uint32Array.from(new RandomStream(randomKey(seed, epoch, 0)).shuffle(rows));
  }
}
