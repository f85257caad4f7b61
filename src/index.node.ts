// heddle in Node: the portable names, and those that read and write files.
export {
  BpeTokenizer,
  CharacterTokenizer,
  Corpus,
  corpusOf,
  LanguageModel,
  loadTokenizer,
  textsOf,
  Transformer,
  WordTokenizer,
  type DecodingOptions,
  type LanguageModelOptions,
  type Tokenizer,
  type TransformerOptions,
  type Translated,
  type TranslationOptions,
} from "./index.ts";
export { jsonLines, parallelText, textFiles, tsv } from "./data/index.node.ts";
export {
  openTextGeneration,
  openTranslation,
  TextGeneration,
  trainTranslation,
  Translation,
} from "./tasks/index.node.ts";
export { readTokenizer, saveTokenizer } from "./text/index.node.ts";
