// Bytes that come in chunks, read piece by piece with memory for a piece and a chunk.

/** Reads up to a byte, or so many bytes, wherever the chunks are cut. */
export class ByteReader {
  /** Bytes read so far. */
  offset = 0;
  readonly #chunks: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  #held = new Uint8Array(0);
  #at = 0;

  constructor(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
    this.#chunks = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  }

  /** What stands before the next such byte, which is passed over, or before the end; undefined at the end or beyond `limit`. */
  async until(byte: number, limit: number): Promise<Uint8Array | undefined> {
    for (let searched = 0; ;) {
      const found = this.#held.indexOf(byte, this.#at + searched);
      if (found >= 0) return found - this.#at > limit ? undefined : this.#take(found - this.#at, 1);
      searched = this.#held.length - this.#at;
      if (searched > limit) return undefined;
      if (!(await this.#more())) return searched === 0 ? undefined : this.#take(searched);
    }
  }

  /** The next bytes: as many as asked for, fewer at the end. */
  async take(count: number): Promise<Uint8Array> {
    while (this.#held.length - this.#at < count && (await this.#more()));
    return this.#take(Math.min(count, this.#held.length - this.#at));
  }

  /** Whether nothing is left. */
  async isAtEnd(): Promise<boolean> {
    while (this.#at === this.#held.length) if (!(await this.#more())) return true;
    return false;
  }

  #take(count: number, passedOver = 0): Uint8Array {
    const piece = this.#held.subarray(this.#at, this.#at + count);
    this.#at += count + passedOver;
    this.offset += count + passedOver;
    return piece;
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#chunks.next();
    if (done === true) return false;
    const rest = this.#held.subarray(this.#at);
    const held = new Uint8Array(rest.length + value.length);
    held.set(rest);
    held.set(value, rest.length);
    [this.#held, this.#at] = [held, 0];
    return true;
  }
}
