// tasks, with runs that live in folders.
export {
  dateExamples,
  datesWithoutEnd,
  dateTags,
  pairReader,
  plainText,
  Translation,
  Validator,
  type AlignmentMap,
  type DateExample,
  type DateSplit,
  type DecodingOptions,
  type Translated,
  type TranslationOptions,
  type ValidatorOptions,
} from "./index.ts";
export {
  corporaOf,
  modelOf,
  openSplit,
  openTranslation,
  readWeights,
  trainTranslation,
  type OpenTranslationOptions,
  type TranslationRunOptions,
} from "./translation-run.node.ts";
