// heddle: the names of the README, for any runtime.
export { Corpus, corpusOf, textsOf } from "./data/index.ts";
export { LanguageModel, Transformer, type LanguageModelOptions, type TransformerOptions } from "./models/index.ts";
export {
  TextGeneration,
  Translation,
  type DecodingOptions,
  type Translated,
  type TranslationOptions,
} from "./tasks/index.ts";
export { BpeTokenizer, CharacterTokenizer, loadTokenizer, WordTokenizer, type Tokenizer } from "./text/index.ts";
