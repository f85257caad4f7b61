// One token a word, as text before subwords was done; what is not in the vocabulary is unknown.
import { ConfigError } from "../base/index.ts";
import { wordModelJson } from "./model-json.ts";
import { checkWhole } from "./options.ts";
import { PieceTokenizer } from "./piece-tokenizer.ts";
import type { Scheme } from "./scheme.ts";
import { allSpecialTokens } from "./special-tokens.ts";
import type { WordModelJson } from "./tokenizer.ts";
import { fromWords, type Lines } from "./word-table.ts";

export interface WordOptions {
  /** Tokens in all, special ones included; the rarest words go without. Every word when left out. */
  vocabularySize?: number;
  /** A word seen less often goes without a token. */
  minimumFrequency?: number;
  /** Tokens of the user's own that are kept whole and skipped in decoding. Their ids follow `</s>`. */
  specialTokens?: readonly string[];
  /** Part punctuation from the word beside it. Off for text that is tokenised already. */
  splitPunctuation?: boolean;
}

export class WordTokenizer extends PieceTokenizer {
  /**
   * Takes the most frequent words of the lines into the vocabulary, most frequent first, among equals by UTF-16 order.
   * A word's token holds the space before it, as `▁`, so that known words come back with the very spaces they had.
   *
   * @example
   * WordTokenizer.train(["a man and a dog"]).tokens("a dog barks"); // ["▁a", "▁dog", "<unk>"]
   */
  static train(lines: Iterable<string>, options?: WordOptions): WordTokenizer;
  static train(lines: AsyncIterable<string>, options?: WordOptions): Promise<WordTokenizer>;
  static train(lines: Lines, options?: WordOptions): WordTokenizer | Promise<WordTokenizer>;
  static train(
    lines: Lines,
    { vocabularySize, minimumFrequency = 1, specialTokens: own = [], splitPunctuation = true }: WordOptions = {},
  ): WordTokenizer | Promise<WordTokenizer> {
    checkWhole("tokenizer.vocabularySize", vocabularySize, 1);
    checkWhole("tokenizer.minimumFrequency", minimumFrequency, 1);
    const scheme: Scheme = {
      boundary: splitPunctuation ? "punctuation" : "spaces",
      leadingSpace: true,
      byteFallback: false,
    };
    const specialTokens = allSpecialTokens(own);
    const room = (vocabularySize ?? Infinity) - specialTokens.length;
    if (room < 1) {
      throw new ConfigError(
        "tokenizer.vocabularySize",
        `${vocabularySize} leaves no room for words: special tokens take ${specialTokens.length}.`,
      );
    }
    return fromWords(lines, { scheme, specialTokens }, (words) => {
      const ranked = [...words]
        .filter(([word, count]) => count >= minimumFrequency && !specialTokens.includes(word))
        .sort(([a, aCount], [b, bCount]) => bCount - aCount || (a < b ? -1 : 1))
        .slice(0, room)
        .map(([word]) => word);
      return new WordTokenizer({ vocabulary: [...specialTokens, ...ranked], specialTokens, scheme });
    });
  }

  protected override spell(word: string, dropout: number): number[] {
    if (dropout > 0)
      throw new ConfigError("encode", "dropout leaves out merges, and a word tokenizer has none. Remove it.");
    return [this.textId(word) ?? this.special.unknown];
  }

  protected override modelJson(vocab: Record<string, number>): WordModelJson {
    return wordModelJson(vocab);
  }
}
