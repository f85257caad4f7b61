// text for Node: all of the portable part, and tokenizers in files.
export { saveTokenizer, readTokenizer } from "./files.node.ts";
export {
  BpeTokenizer,
  CharacterTokenizer,
  learnMerges,
  loadTokenizer,
  placesOfWords,
  readWordVectors,
  trainTokenizer,
  wordOfToken,
  WordTokenizer,
  type BpeOptions,
  type CharacterOptions,
  type DecodeOptions,
  type EncodeOptions,
  type LearnMergesOptions,
  type LearntMerges,
  type ReadWordVectorsOptions,
  type SpecialIds,
  type Tokenizer,
  type TokenizerJson,
  type TokenizerOptions,
  type WordOptions,
  type WordVectors,
} from "./index.ts";
export { wordVectorsFile } from "./word-vectors.node.ts";
