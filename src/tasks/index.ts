// tasks: what ties a corpus, a model, a loss, a search and a metric together: translation, language models, hidden words.
export { dateExamples, dateTags, datesWithoutEnd, plainText, type DateExample, type DateSplit } from "./dates.ts";
export { distill, type Distilled, type DistillOptions, type Teacher } from "./distillation.ts";
export { type LanguageModelLearningOptions } from "./language-model-training.ts";
export { type TrainingOptions, type Weights } from "./learning.ts";
export { MaskFilling, type Candidate, type Filled, type MaskFillingOptions } from "./mask-filling.ts";
export { type MaskedLearningOptions } from "./masked-training.ts";
export { type CompletionChoices, type CompletionOptions } from "./completion-options.ts";
export { TextGeneration, type Completion, type Continuation, type TextGenerationOptions } from "./text-generation.ts";
export { type ScoringOptions, type TextScore } from "./text-scoring.ts";
export { type AlignmentMap, type AlignOptions } from "./decoding-attention.ts";
export {
  type InspectedStep,
  type InspectedTensor,
  type Inspection,
  type InspectOptions,
} from "./decoding-inspection.ts";
export {
  minimumBayesRisk,
  utilities,
  type MinimumBayesRiskOptions,
  type RankedCandidate,
  type Utility,
} from "./decoding-mbr.ts";
export { type DecodingChoices, type DecodingOptions } from "./decoding-options.ts";
export { rerank, type RerankOptions } from "./decoding-rerank.ts";
export { TextStream } from "./decoding-stream.ts";
export { type Translated, type TranslationLine } from "./decoding-outputs.ts";
export { Translation, type TranslationOptions } from "./translation.ts";
export {
  learnTranslation,
  pairReader,
  Validator,
  type LearningOptions,
  type ValidatorOptions,
} from "./translation-training.ts";
