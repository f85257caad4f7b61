// Rows of token ids of any length, end to end in one array.
import { DataError, type RandomStream } from "../base/index.ts";

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

/** What this room needs of a tokenizer: the part of `Tokenizer` that any list of ids with its special ids also has. */
export interface Encoder {
  encode(text: string, options?: { dropout?: number; random?: RandomStream }): ArrayLike<number>;
  readonly special: Readonly<Record<"pad" | "start" | "end", number>>;
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

/** Collects rows from an encoder, END after each. */
export class RowsBuilder {
  readonly #tokens = new GrowingInts();
  readonly #offsets = new GrowingInts();
  readonly #end: number;

  constructor({ special }: Encoder) {
    this.#end = special.end;
    this.#offsets.push(0);
  }

  add(ids: ArrayLike<number>): void {
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      // A typed array would take NaN or 1.5 in silence and store another token.
      if ((id | 0) !== id || id < 0) throw new RangeError(`encodePairs: the encoder gave ${id}, which is no token id`);
    }
    this.#tokens.append(ids);
    this.#tokens.push(this.#end);
    this.#offsets.push(this.#tokens.length);
  }

  rows(): TokenRows {
    return new TokenRows(this.#tokens.toArray(), new Uint32Array(this.#offsets.toArray()));
  }
}
