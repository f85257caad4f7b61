// tasks: what ties a corpus, a model, a loss, a search and a metric together: translation.
export { dateExamples, dateTags, datesWithoutEnd, plainText, type DateExample, type DateSplit } from "./dates.ts";
export { type TrainingOptions, type Weights } from "./learning.ts";
export {
  Translation,
  type AlignmentMap,
  type DecodingOptions,
  type Translated,
  type TranslationOptions,
} from "./translation.ts";
export {
  learnTranslation,
  pairReader,
  Validator,
  type LearningOptions,
  type ValidatorOptions,
} from "./translation-training.ts";
