// Rows of token ids of any length, end to end in one array.
import { DataError } from "../base/index.ts";

/** Row i is tokens[offsets[i] … offsets[i + 1]]. */
export class TokenRows {
  readonly tokens: Int32Array;
  /** One more than there are rows. */
  readonly offsets: Uint32Array;

  constructor(tokens: Int32Array, offsets: Uint32Array) {
    this.tokens = tokens;
    this.offsets = offsets;
  }

  get count(): number {
    return this.offsets.length - 1;
  }

  /** Tokens in row i. */
  lengthOf(i: number): number {
    return this.offsets[i + 1]! - this.offsets[i]!;
  }

  /** Row i, a view without a copy. */
  row(i: number): Int32Array {
    return this.tokens.subarray(this.offsets[i], this.offsets[i + 1]);
  }
}

/** Collects 32-bit numbers without knowing how many will come; memory at most doubles. */
export class GrowingInts {
  length = 0;
  #values = new Int32Array(1024);

  push(value: number): void {
    if (this.length === this.#values.length) this.#grow(this.length + 1);
    this.#values[this.length++] = value;
  }

  append(values: ArrayLike<number>): void {
    const end = this.length + values.length;
    if (end > this.#values.length) this.#grow(end);
    this.#values.set(values, this.length);
    this.length = end;
  }

  /** What was collected, in an array of just that size. */
  toArray(): Int32Array {
    return this.#values.slice(0, this.length);
  }

  #grow(atLeast: number): void {
    if (atLeast > maxTokens) {
      throw new DataError(
        "encodePairs",
        undefined,
        `more than ${maxTokens} tokens do not fit into memory. Use a smaller corpus or a larger vocabulary.`,
      );
    }
    const larger = new Int32Array(Math.min(maxTokens, Math.max(atLeast, 2 * this.#values.length)));
    larger.set(this.#values);
    this.#values = larger;
  }
}

/** 8 GiB of ids a side; more would not fit the 32-bit places that some runtimes give a typed array. */
const maxTokens = 2 ** 31 - 1;
