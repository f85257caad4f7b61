// One token a character: the shortest vocabulary, the longest sequences.
import { ConfigError } from "../base/index.ts";
import { chooseAlphabet, countCharacters } from "./alphabet.ts";
import { bpeModelJson } from "./model-json.ts";
import { checkWhole } from "./options.ts";
import { PieceTokenizer } from "./piece-tokenizer.ts";
import { meta, type Scheme } from "./scheme.ts";
import { allSpecialTokens, byteTokens } from "./special-tokens.ts";
import type { BpeModelJson } from "./tokenizer.ts";
import { fromWords, type Lines } from "./word-table.ts";

export interface CharacterOptions {
  /** Tokens in all, special ones and bytes included; the rarest characters go without. As many as the text needs when left out. */
  vocabularySize?: number;
  /** Spell characters never seen with their bytes, instead of as unknown. */
  byteFallback?: boolean;
  /** Tokens of the user's own that are kept whole and skipped in decoding. Their ids follow `</s>`. */
  specialTokens?: readonly string[];
}

export class CharacterTokenizer extends PieceTokenizer {
  /**
   * Takes every character of the lines into the vocabulary, by code point.
   *
   * @example
   * CharacterTokenizer.train(["abc"]).tokens("cab"); // ["c", "a", "b"]
   */
  static train(lines: Iterable<string>, options?: CharacterOptions): CharacterTokenizer;
  static train(lines: AsyncIterable<string>, options?: CharacterOptions): Promise<CharacterTokenizer>;
  static train(lines: Lines, options?: CharacterOptions): CharacterTokenizer | Promise<CharacterTokenizer>;
  static train(
    lines: Lines,
    { vocabularySize, byteFallback = false, specialTokens: own = [] }: CharacterOptions = {},
  ): CharacterTokenizer | Promise<CharacterTokenizer> {
    checkWhole("tokenizer.vocabularySize", vocabularySize, 1);
    const scheme: Scheme = { boundary: "none", leadingSpace: false, byteFallback };
    const specialTokens = allSpecialTokens(own);
    const front = [...specialTokens, ...(byteFallback ? byteTokens() : [])];
    const room = (vocabularySize ?? Infinity) - front.length - 1;
    if (room < 1) {
      throw new ConfigError(
        "tokenizer.vocabularySize",
        `${vocabularySize} leaves no room for characters: special tokens, bytes and the space take ${front.length + 1}.`,
      );
    }
    return fromWords(lines, { scheme, specialTokens }, (words) => {
      const counts = countCharacters(words);
      for (const token of [...specialTokens, meta]) counts.delete(token);
      const vocabulary = [...front, meta, ...chooseAlphabet(counts, 1, room)];
      return new CharacterTokenizer({ vocabulary, specialTokens, scheme });
    });
  }

  protected override spell(word: string, dropout: number): number[] {
    if (dropout > 0)
      throw new ConfigError("encode", "dropout leaves out merges, and a character tokenizer has none. Remove it.");
    return this.characterIds(word);
  }

  protected override modelJson(vocab: Record<string, number>): BpeModelJson {
    return bpeModelJson(vocab, [], this.scheme.byteFallback);
  }
}
