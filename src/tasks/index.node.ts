// tasks, with runs that live in folders.
export {
  dateExamples,
  datesWithoutEnd,
  dateTags,
  pairReader,
  plainText,
  learnTranslation,
  Validator,
  type AlignmentMap,
  type DateExample,
  type DateSplit,
  type DecodingOptions,
  type LearningOptions,
  type TrainingOptions,
  type Translated,
  type TranslationOptions,
  type ValidatorOptions,
  type Weights,
} from "./index.ts";
export { readWeights } from "./run-folder.node.ts";
export {
  FolderTranslation as Translation,
  corporaOf,
  modelOf,
  openSplit,
  openTranslation,
  trainTranslation,
  type FolderLearningOptions,
  type OpenTranslationOptions,
  type TranslationRunOptions,
} from "./translation-run.node.ts";
