// text for Node: all of the portable part, and tokenizers in files.
export { saveTokenizer, readTokenizer } from "./files.node.ts";
export {
  BpeTokenizer,
  CharacterTokenizer,
  learnMerges,
  loadTokenizer,
  trainTokenizer,
  WordTokenizer,
  type BpeOptions,
  type CharacterOptions,
  type DecodeOptions,
  type EncodeOptions,
  type LearnMergesOptions,
  type LearntMerges,
  type SpecialIds,
  type Tokenizer,
  type TokenizerJson,
  type TokenizerOptions,
  type WordOptions,
} from "./index.ts";
