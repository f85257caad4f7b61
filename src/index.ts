// heddle: the names of the README, for any runtime.
export { Corpus, corpusOf } from "./data/index.ts";
export { Transformer, type TransformerOptions } from "./models/index.ts";
export { Translation, type DecodingOptions, type Translated, type TranslationOptions } from "./tasks/index.ts";
export { BpeTokenizer, CharacterTokenizer, loadTokenizer, WordTokenizer, type Tokenizer } from "./text/index.ts";
