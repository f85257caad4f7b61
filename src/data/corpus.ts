// A corpus of sentence pairs: something that can be read from the start as often as needed, and knows where each pair stood.

/** One sentence pair. `line` counts from 1 in `file`; for two parallel files, `file` is the source's. */
export interface PairRecord {
  readonly source: string;
  readonly target: string;
  readonly file: string;
  readonly line: number;
}

export type Side = "source" | "target";

/**
 * Sentence pairs, read anew at every iteration and never held whole. Nothing is left out here: an empty line is a pair with an
 * empty side, so line n stays line n; `encodePairs` is where such pairs are dropped and counted.
 *
 * @example
 * const corpus = corpusOf([["a house", "ein Haus"]]);
 * for await (const { source, target } of corpus) `${source} → ${target}`;
 */
export class Corpus implements AsyncIterable<PairRecord> {
  /** What messages about the whole corpus call it. */
  readonly name: string;
  readonly #read: () => AsyncIterable<PairRecord>;

  /** `read` starts at the first pair each time it is called. */
  constructor(name: string, read: () => AsyncIterable<PairRecord>) {
    this.name = name;
    this.#read = read;
  }

  [Symbol.asyncIterator](): AsyncIterator<PairRecord> {
    return this.#read()[Symbol.asyncIterator]();
  }

  /** The text of one side, or of both (source then target, pair by pair), as a tokenizer learns from it. */
  async *lines(side?: Side): AsyncGenerator<string, void, undefined> {
    for await (const record of this) {
      if (side !== "target") yield record.source;
      if (side !== "source") yield record.target;
    }
  }

  /** All pairs in memory: for sets that are decoded and scored, which are small. */
  async collect(): Promise<PairRecord[]> {
    const records: PairRecord[] = [];
    for await (const record of this) records.push(record);
    return records;
  }
}

/**
 * A corpus from pairs in memory; line n is the n-th pair.
 *
 * @example
 * corpusOf([["one", "eins"], ["two", "zwei"]], "numbers");
 */
export function corpusOf(
  pairs: readonly (readonly [source: string, target: string])[],
  name = "pairs in memory",
): Corpus {
  return new Corpus(name, async function* () {
    for (const [index, [source, target]] of pairs.entries()) yield { source, target, file: name, line: index + 1 };
  });
}
