// The first values of an embedding from vectors that words have already.
import { ConfigError, randomKey, RandomStream, type HostTensor } from "../base/index.ts";
import { placesOfWords, type Tokenizer, type WordVectors } from "../text/index.ts";
import { normal } from "./initializers.ts";

export interface EmbedWordsOptions {
  /** Width of the model; the vectors must have it. */
  dModel: number;
  /** For the vectors of tokens that have none. */
  seed: number;
  /** How often the training text has each token, by id, to count coverage of text as well. */
  tokenCounts?: ArrayLike<number>;
}

/** How much of a vocabulary, and of a text, found its vector. */
export interface WordCoverage {
  readonly entries: number;
  readonly found: number;
  /** The same for the text that was counted. */
  readonly tokens?: { readonly all: number; readonly found: number };
}

/**
 * The table [vocabulary, dModel] of an embedding: whole-word tokens take their word's vector, pieces of words and special
 * tokens are drawn as `Embedding` draws them. All vectors are scaled by one number, so that their mean square is that of the
 * drawn ones, 1 / dModel: to the layers above both look alike, and directions and relative lengths stay.
 * Throws ConfigError for vectors of another width.
 *
 * @example
 * const { table, coverage } = embedWords(tokenizer, vectors, { dModel: 300, seed: 1 });
 * values.set("source.embedding.table", table);
 */
export function embedWords(
  tokenizer: Tokenizer,
  { words, dimensions, vectors }: WordVectors,
  { dModel, seed, tokenCounts }: EmbedWordsOptions,
): { table: HostTensor<"float32">; coverage: WordCoverage } {
  if (dimensions !== dModel) {
    throw new ConfigError(
      "model.dModel",
      `must be the width of the word vectors (got dModel ${dModel}, vectors of ${dimensions}). Set it to ${dimensions}, or take other vectors.`,
    );
  }
  const entries = tokenizer.vocabularySize;
  const places = placesOfWords(tokenizer, words);
  const data = new Float32Array(entries * dModel);
  normal(dModel ** -0.5)(data, [entries, dModel], new RandomStream(randomKey(seed, 0x776f7264)));
  const foundIds = Array.from(places.keys()).filter((id) => places[id]! >= 0);
  const vectorOf = (id: number): Float32Array => vectors.subarray(places[id]! * dModel, (places[id]! + 1) * dModel);
  let squares = 0;
  for (const id of foundIds) for (const value of vectorOf(id)) squares += value * value;
  const scale = squares === 0 ? 1 : Math.sqrt(foundIds.length / squares);
  for (const id of foundIds) {
    data.set(
      vectorOf(id).map((value) => value * scale),
      id * dModel,
    );
  }
  const count = (ids: Iterable<number>): number => {
    let sum = 0;
    for (const id of ids) sum += tokenCounts?.[id] ?? 0;
    return sum;
  };
  return {
    table: { dtype: "float32", dims: [entries, dModel], data },
    coverage: {
      entries,
      found: foundIds.length,
      ...(tokenCounts && { tokens: { all: count(places.keys()), found: count(foundIds) } }),
    },
  };
}

/** For example "coverage: 4,816 of 8,000 entries (60.2 %), 401,220 of 420,000 tokens (95.5 %)". */
export function coverageText({ entries, found, tokens }: WordCoverage): string {
  const share = (part: number, whole: number, what: string): string =>
    `${part.toLocaleString("en")} of ${whole.toLocaleString("en")} ${what} (${((100 * part) / Math.max(1, whole)).toFixed(1)} %)`;
  const text = tokens === undefined ? "" : `, ${share(tokens.found, tokens.all, "tokens")}`;
  return `coverage: ${share(found, entries, "entries")}${text}`;
}
