// Vectors of words as word2vec and GloVe write them, in text and in Mikolov's binary form.
import { FormatError, silent, type Listener } from "../base/index.ts";
import { ByteReader } from "./byte-reader.ts";

export interface WordVectors {
  /** In the file's order, most frequent first as a rule. */
  readonly words: readonly string[];
  readonly dimensions: number;
  /** [words, dimensions] */
  readonly vectors: Float32Array;
}

export interface ReadWordVectorsOptions {
  /**
   * "text": a line a word, `word v₁ v₂ …`, after a line `count dimensions` (word2vec) or without it (GloVe).
   * "binary": that first line, then for each word its bytes, a blank, and little-endian float32 (word2vec's `-binary 1`).
   */
  format?: "text" | "binary";
  /** What errors call the file. */
  place?: string;
  /** Words to keep; the others are read over and take no memory. */
  keep?: (word: string) => boolean;
  /** Hears one warning where words are there twice. */
  listener?: Listener;
}

const mostDimensions = 65_536;
const mostLineBytes = 2 ** 24;
const mostWordBytes = 2 ** 12;
const [lineFeed, blank] = [0x0a, 0x20];

/**
 * Reads vectors from bytes that come in chunks, with memory for those that are kept. Of a word that is there twice the first
 * counts. Throws FormatError with the line or byte offset for what is no such file, and for one that was cut short.
 *
 * @example
 * const bytes = new TextEncoder().encode("2 3\nblue 0 1 0\nred 1 0 0.5\n");
 * const { words, vectors } = await readWordVectors([bytes]);
 */
export async function readWordVectors(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { format = "text", place = "word vectors", keep = () => true, listener = silent }: ReadWordVectorsOptions = {},
): Promise<WordVectors> {
  const reader = new ByteReader(chunks);
  const kept = new Collection(keep);
  const dimensions = format === "text" ? await readText(reader, place, kept) : await readBinary(reader, place, kept);
  if (kept.repeated > 0) {
    const words = kept.repeated === 1 ? "1 word is" : `${kept.repeated} words are`;
    listener({ type: "log", level: "warning", message: `${place}: ${words} there twice; the first vector counts.` });
  }
  return { words: [...kept.words], dimensions, vectors: kept.vectors() };
}

/** What is kept of a file, in arrays that grow. */
class Collection {
  readonly words = new Set<string>();
  repeated = 0;
  readonly #keep: (word: string) => boolean;
  #values = new Float32Array(0);
  #used = 0;

  constructor(keep: (word: string) => boolean) {
    this.#keep = keep;
  }

  add(word: string, vector: Float32Array): void {
    if (!this.#keep(word)) return;
    if (this.words.has(word)) {
      this.repeated++;
      return;
    }
    this.words.add(word);
    if (this.#used + vector.length > this.#values.length) {
      const grown = new Float32Array(Math.max(2 * this.#values.length, 256 * vector.length));
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values.set(vector, this.#used);
    this.#used += vector.length;
  }

  vectors(): Float32Array {
    return this.#values.slice(0, this.#used);
  }
}

interface Header {
  readonly count: number;
  readonly dimensions: number;
}

/** `count dimensions`, or undefined for a line that is something else. */
function readHeader(line: string, place: string): Header | undefined {
  const [, count, dimensions] = /^(\d+) (\d+)$/.exec(line) ?? [];
  if (count === undefined) return undefined;
  const header = { count: Number(count), dimensions: Number(dimensions) };
  if (header.count < 1 || header.dimensions < 1 || header.dimensions > mostDimensions) {
    throw new FormatError(
      `${place}, line 1`,
      `at least one word and 1 to ${mostDimensions} dimensions are wanted, got ${JSON.stringify(line)}`,
    );
  }
  return header;
}

async function readText(reader: ByteReader, place: string, kept: Collection): Promise<number> {
  // A word that is cut in the middle of a character, as word2vec does, matches nothing and harms nothing.
  const utf8 = new TextDecoder();
  let header: Header | undefined;
  let vector: Float32Array | undefined;
  let seen = 0;
  for (let line = 1; !(await reader.isAtEnd()); line++) {
    const bytes = await reader.until(lineFeed, mostLineBytes);
    if (bytes === undefined)
      throw new FormatError(
        `${place}, line ${line}`,
        `is longer than ${mostLineBytes} bytes. Is it word2vec's binary form? Give it a name that ends in .bin.`,
      );
    const text = utf8.decode(bytes).replace(/[ \t\r]+$/, "");
    if (line === 1) {
      header = readHeader(text, place);
      if (header !== undefined) {
        vector = new Float32Array(header.dimensions);
        continue;
      }
    }
    const fields = text.split(/[ \t]/);
    vector ??= new Float32Array(Math.max(0, fields.length - 1));
    kept.add(readLine(fields, vector, `${place}, line ${line}`), vector);
    seen++;
  }
  checkCount(header, seen, place);
  return vector!.length;
}

/** Fills the vector from a line's last fields and gives the word before them, which may hold blanks. */
function readLine(fields: readonly string[], vector: Float32Array, place: string): string {
  const first = fields.length - vector.length;
  const word = fields.slice(0, Math.max(0, first)).join(" ");
  if (first < 1 || word === "" || vector.length === 0) {
    const wanted = vector.length === 0 ? "numbers" : `${vector.length} numbers`;
    throw new FormatError(place, `a word and ${wanted} are wanted, got ${shown(fields.join(" "))}`);
  }
  for (let i = 0; i < vector.length; i++) {
    const field = fields[first + i]!;
    const value = Number(field);
    if (field === "" || !Number.isFinite(value))
      throw new FormatError(
        place,
        `number ${i + 1} of ${vector.length} is ${shown(field)}. Is it word2vec's binary form? Give it a name that ends in .bin.`,
      );
    vector[i] = value;
  }
  return word;
}

async function readBinary(reader: ByteReader, place: string, kept: Collection): Promise<number> {
  const utf8 = new TextDecoder();
  const opening = await reader.until(lineFeed, 64);
  const header = opening && readHeader(utf8.decode(opening).trimEnd(), place);
  if (header === undefined) {
    const got = opening === undefined ? "" : `, got ${shown(utf8.decode(opening))}`;
    throw new FormatError(place, `must begin with a line of two whole numbers, the words and the dimensions${got}`);
  }
  const { count, dimensions } = header;
  const vector = new Float32Array(dimensions);
  for (let i = 0; i < count; i++) {
    const { offset } = reader;
    const where = `${place}, byte offset ${offset}`;
    if (await reader.isAtEnd()) checkCount(header, i, place);
    const bytes = await reader.until(blank, mostWordBytes);
    if (bytes === undefined)
      throw new FormatError(where, `no blank ends word ${i + 1}. Is it word2vec's binary form? Text ends in .txt.`);
    // word2vec writes a line feed behind each vector, other programs nothing.
    const word = utf8.decode(bytes[0] === lineFeed ? bytes.subarray(1) : bytes);
    const values = await reader.take(4 * dimensions);
    if (values.length < 4 * dimensions) {
      throw new FormatError(
        where,
        `the file ends in the vector of word ${i + 1} of ${count}. It was cut short: fetch it again.`,
      );
    }
    const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
    for (let k = 0; k < dimensions; k++) {
      vector[k] = view.getFloat32(4 * k, true);
      if (!Number.isFinite(vector[k]))
        throw new FormatError(
          where,
          `value ${k + 1} of ${shown(word)} is ${vector[k]}: the file is damaged, or no binary one`,
        );
    }
    kept.add(word, vector);
  }
  const left = await reader.take(2);
  if (left.length > 1 || (left.length === 1 && left[0] !== lineFeed))
    throw new FormatError(
      `${place}, byte offset ${reader.offset - left.length}`,
      `more follows after the ${count} words of the first line`,
    );
  return dimensions;
}

function checkCount(header: Header | undefined, seen: number, place: string): void {
  if (seen === 0) throw new FormatError(place, "holds no word");
  if (header === undefined || header.count === seen) return;
  const remedy = seen < header.count ? "It was cut short: fetch it again." : "Correct the first line.";
  throw new FormatError(place, `the first line says ${header.count} words, and ${seen} are there. ${remedy}`);
}

const shown = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
