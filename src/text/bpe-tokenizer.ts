// Byte-pair encoding with spaces kept and bytes to fall back on: every text comes back as it was.
import { ConfigError, type Listener } from "../base/index.ts";
import { chooseAlphabet, countCharacters } from "./alphabet.ts";
import { learnMerges } from "./bpe-learn.ts";
import { MergeTable } from "./bpe-merge.ts";
import { bpeModelJson } from "./model-json.ts";
import { checkWhole } from "./options.ts";
import { isReserved, PieceTokenizer, type Pieces } from "./piece-tokenizer.ts";
import { meta, type Scheme } from "./scheme.ts";
import { allSpecialTokens, byteTokens } from "./special-tokens.ts";
import type { BpeModelJson, EncodeOptions } from "./tokenizer.ts";
import { fromWords, type Lines } from "./word-table.ts";

export interface BpeOptions {
  /** Tokens in all, special ones and bytes included; fewer where the text gives no more. This or `merges`, 8,000 without either. */
  vocabularySize?: number;
  /** Merges to learn. */
  merges?: number;
  /** Give every byte a token, so that nothing is unknown. */
  byteFallback?: boolean;
  /** Share of the text, 0 to 1, whose characters get tokens of their own: 0.9999, or all of it where bytes are no way out. The rarest go without. */
  characterCoverage?: number;
  /** Tokens of the user's own that are kept whole and skipped in decoding, such as languages' tags. Their ids follow `</s>`. */
  specialTokens?: readonly string[];
  /** Part punctuation from the word beside it. Off for text that is tokenised already: there the spaces say it all. */
  splitPunctuation?: boolean;
  /** A pair seen less often is not merged. */
  minimumFrequency?: number;
  listener?: Listener;
}

const defaultVocabularySize = 8000;

export class BpeTokenizer extends PieceTokenizer {
  readonly #merges: readonly (readonly [string, string])[];
  readonly #table: MergeTable;

  constructor(pieces: Pieces, merges: readonly (readonly [string, string])[]) {
    super(pieces);
    this.#merges = merges;
    this.#table = new MergeTable(
      merges.map(([left, right]) => {
        const id = (token: string): number => {
          const found = this.textId(token);
          if (found === undefined)
            throw new ConfigError(
              "tokenizer",
              `the merge of ${JSON.stringify(left)} and ${JSON.stringify(right)} needs ${JSON.stringify(token)} in the vocabulary.`,
            );
          return found;
        };
        return { left: id(left), right: id(right), joint: id(left + right) };
      }),
    );
  }

  /**
   * Learns merges from lines of text, in the way of SentencePiece: Kudo and Richardson 2018; Sennrich et al. 2016.
   * The same words in any order give the same tokenizer; `learnMerges` states how ties are broken.
   *
   * @example
   * const tokenizer = BpeTokenizer.train(["low lower lowest", "low"], { vocabularySize: 280 });
   * tokenizer.decode(tokenizer.encode("lowest")); // "lowest"
   */
  static train(lines: Iterable<string>, options?: BpeOptions): BpeTokenizer;
  static train(lines: AsyncIterable<string>, options?: BpeOptions): Promise<BpeTokenizer>;
  static train(lines: Lines, options?: BpeOptions): BpeTokenizer | Promise<BpeTokenizer>;
  static train(
    lines: Lines,
    {
      vocabularySize,
      merges,
      byteFallback = true,
      characterCoverage = byteFallback ? 0.9999 : 1,
      specialTokens: own = [],
      splitPunctuation = true,
      minimumFrequency = 2,
      listener,
    }: BpeOptions = {},
  ): BpeTokenizer | Promise<BpeTokenizer> {
    if (vocabularySize !== undefined && merges !== undefined) {
      throw new ConfigError("tokenizer", "vocabularySize and merges both say when to stop. Give one of them.");
    }
    const size = merges === undefined ? (vocabularySize ?? defaultVocabularySize) : undefined;
    checkWhole("tokenizer.vocabularySize", size, 1);
    checkWhole("tokenizer.merges", merges, 0);
    checkWhole("tokenizer.minimumFrequency", minimumFrequency, 1);
    if (!(characterCoverage > 0 && characterCoverage <= 1)) {
      throw new ConfigError("tokenizer.characterCoverage", `must be above 0 and at most 1 (got ${characterCoverage}).`);
    }
    const scheme: Scheme = { boundary: splitPunctuation ? "punctuation" : "spaces", leadingSpace: true, byteFallback };
    const specialTokens = allSpecialTokens(own);
    const reserved = new Set(specialTokens);
    const front = byteFallback ? [...specialTokens, ...byteTokens()] : specialTokens;

    return fromWords(lines, { scheme, specialTokens }, (words) => {
      const counts = countCharacters(words);
      for (const token of [...specialTokens, meta]) counts.delete(token);
      const letters = [meta, ...chooseAlphabet(counts, characterCoverage)];
      const least = front.length + letters.length;
      if (size !== undefined && size < least) {
        throw new ConfigError(
          "tokenizer.vocabularySize",
          `${size} is too small: ${front.length} special tokens and bytes and ${letters.length} characters take ${least}. Ask for more, or lower characterCoverage.`,
        );
      }
      const learnt = learnMerges(words, {
        alphabet: letters,
        minimumFrequency,
        forbidden: (token) => isReserved(token, reserved),
        ...(merges === undefined ? {} : { merges }),
        ...(size === undefined ? {} : { tokens: size - front.length }),
        ...(listener === undefined ? {} : { listener }),
      });
      return new BpeTokenizer(
        { vocabulary: [...front, ...letters, ...learnt.tokens], specialTokens, scheme },
        learnt.merges,
      );
    });
  }

  protected override spell(word: string, dropout: number, { random }: EncodeOptions): number[] {
    return this.#table.apply(this.characterIds(word), dropout, random);
  }

  protected override modelJson(vocab: Record<string, number>): BpeModelJson {
    return bpeModelJson(vocab, this.#merges, this.scheme.byteFallback);
  }
}
