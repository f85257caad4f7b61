// Lines as they are searched for: what their sources, forced beginnings and phrases are in ids, and which lie in one batch.
import { randomKey, randomWord, type Listener } from "../base/index.ts";
import type { Shortlist } from "../data/index.ts";
import type { Tokenizer } from "../text/index.ts";
import type { SentenceFromIds } from "./decoding-joining.ts";
import type { DecodingChoices } from "./decoding-options.ts";
import type { TranslationLine } from "./decoding-outputs.ts";

export interface SentenceReaderOptions {
  source: Tokenizer;
  target: Tokenizer;
  /** The most tokens of a source; what is longer is cut, with a warning. */
  maxPositions: number;
  listener: Listener;
}

export class SentenceReader {
  readonly #options: SentenceReaderOptions;

  constructor(options: SentenceReaderOptions) {
    this.#options = options;
  }

  /** A line's ids with END, cut to what the model has positions for. */
  ids(line: string, index: number): number[] {
    const { source, maxPositions, listener } = this.#options;
    const ids = source.encode(line, { end: true });
    if (ids.length <= maxPositions) return ids;
    listener({
      type: "log",
      level: "warning",
      message: `line ${index + 1}: ${ids.length} tokens, of which the first ${maxPositions - 1} are translated`,
    });
    return [...ids.slice(0, maxPositions - 1), source.special.end];
  }

  /** All that a search wants to know of a line; its draws depend on its number, `index`. */
  sentence(
    line: TranslationLine,
    index: number,
    { phrases: common, oneOf, seed }: DecodingChoices,
    shortlist: Shortlist | undefined,
  ): SentenceFromIds {
    const { target } = this.#options;
    const { text, phrases: own = [], prefix: beginning = "" } = typeof line === "string" ? { text: line } : line;
    const ids = this.ids(text, index);
    const phrases = [...common, ...own].map((phrase) => target.encode(phrase));
    const prefix = beginning === "" ? [] : target.encode(beginning);
    const asked = (): number[] => [...phrases.flat(), ...prefix, ...oneOf.flatMap((output) => target.encode(output))];
    return {
      ids,
      sourceTokens: ids.length,
      phrases,
      prefix,
      ...(shortlist && { list: shortlist.of(ids, asked()) }),
      seed: randomWord(randomKey(seed, index), 0),
    };
  }
}

/**
 * The places of sources of these lengths in batches, the longest first: so many together that a batch has at most `mostTokens`,
 * padding included.
 */
export function* batchesByLength(
  lengths: readonly number[],
  { mostTokens, of = lengths.map((_, i) => i) }: { mostTokens: number; of?: readonly number[] },
): Generator<readonly number[]> {
  const order = of.toSorted((a, b) => lengths[b]! - lengths[a]! || a - b);
  for (let start = 0; start < order.length;) {
    const size = Math.max(1, Math.floor(mostTokens / lengths[order[start]!]!));
    yield order.slice(start, (start += size));
  }
}
