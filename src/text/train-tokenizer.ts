// A tokenizer by configuration: the type chooses the class, the rest goes to its `train`.
import { ConfigError } from "../base/index.ts";
import { BpeTokenizer, type BpeOptions } from "./bpe-tokenizer.ts";
import { CharacterTokenizer, type CharacterOptions } from "./character-tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { Lines } from "./word-table.ts";
import { WordTokenizer, type WordOptions } from "./word-tokenizer.ts";

export type TokenizerOptions =
  | ({ type: "bpe" } & BpeOptions)
  | ({ type: "character" } & CharacterOptions)
  | ({ type: "word" } & WordOptions);

/**
 * Learns a tokenizer of the type asked for.
 *
 * @example
 * const tokenizer = await trainTokenizer({ type: "bpe", vocabularySize: 300 }, ["low lower lowest"]);
 */
export async function trainTokenizer({ type, ...options }: TokenizerOptions, lines: Lines): Promise<Tokenizer> {
  switch (type) {
    case "bpe":
      return BpeTokenizer.train(lines, options);
    case "character":
      return CharacterTokenizer.train(lines, options);
    case "word":
      return WordTokenizer.train(lines, options);
    default:
      throw new ConfigError("tokenizer.type", `must be bpe, character or word (got ${JSON.stringify(type)}).`);
  }
}
