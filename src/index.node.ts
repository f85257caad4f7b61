// heddle in Node: the portable names, and those that read and write files.
export {
  BpeTokenizer,
  CharacterTokenizer,
  Corpus,
  corpusOf,
  loadTokenizer,
  Transformer,
  WordTokenizer,
  type DecodingOptions,
  type Tokenizer,
  type TransformerOptions,
  type Translated,
  type TranslationOptions,
} from "./index.ts";
export { jsonLines, parallelText, tsv } from "./data/index.node.ts";
export { openTranslation, trainTranslation, Translation } from "./tasks/index.node.ts";
export { readTokenizer, saveTokenizer } from "./text/index.node.ts";
