// text: tokenizers, which turn text into ids and ids back into the same text.
export { BpeTokenizer, type BpeOptions } from "./bpe-tokenizer.ts";
export { learnMerges, type LearnMergesOptions, type LearntMerges } from "./bpe-learn.ts";
export { CharacterTokenizer, type CharacterOptions } from "./character-tokenizer.ts";
export { loadTokenizer } from "./load-tokenizer.ts";
export type { DecodeOptions, EncodeOptions, SpecialIds, Tokenizer, TokenizerJson } from "./tokenizer.ts";
export { trainTokenizer, type TokenizerOptions } from "./train-tokenizer.ts";
export { WordTokenizer, type WordOptions } from "./word-tokenizer.ts";
export { readWordVectors, type ReadWordVectorsOptions, type WordVectors } from "./word-vectors.ts";
export { placesOfWords, wordOfToken } from "./words-of-tokens.ts";
