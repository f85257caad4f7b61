// models: the Transformer in its shapes, and the programs it is trained and decoded with.
export { sparePlaces } from "./block-places.ts";
export { inStack, type Kind, type PerStack, type StackName, type StackSizes } from "./choices/choice.ts";
export {
  exclusions,
  isPossible,
  type ChosenInStack,
  type CombinedChoices,
  type Exclusion,
} from "./choices/combinations.ts";
export {
  feedForwardPart,
  type DenseFeedForwardName,
  type ExpertsOptions,
  type FeedForwardChoice,
  type FeedForwardOptionsByKind,
  type FeedForwardSizes,
} from "./choices/feed-forwards.ts";
export {
  mixerKinds,
  mixerPart,
  type AttentionOptions,
  type MixerChoice,
  type MixerOptions,
  type MixerSizes,
  type RecurrentOptions,
} from "./choices/mixers.ts";
export { normPart, residualPart, type NormChoice, type NormName, type NormPlacement } from "./choices/norms.ts";
export {
  positionKinds,
  positionParts,
  type PositionChoice,
  type PositionOptions,
  type PositionParts,
} from "./choices/positions.ts";
export { labelledTexts, labelledTokens } from "./class-losses.ts";
export { sourceProgram, stepProgram, type StepOptions, type Wanted } from "./decoding-programs.ts";
export {
  Decoder,
  DecoderLayer,
  type CrossAttend,
  type DecoderLayerTrace,
  type DecoderTrace,
  type SelfMix,
} from "./decoder.ts";
export { Encoder, EncoderLayer, type EncoderTrace, type LayerParts } from "./encoder.ts";
export {
  EncoderDecoder,
  type EncodedSource,
  type ResolvedTransformerOptions,
  type TransformerOptions,
} from "./encoder-decoder.ts";
export { KeyValueCache } from "./key-value-cache.ts";
export {
  LanguageModel,
  nextToken,
  type LanguageModelOptions,
  type LanguageModelTrace,
  type ResolvedLanguageModelOptions,
} from "./language-model.ts";
export type { TokenLists } from "./listed-outputs.ts";
export { LstmTranslator, type LstmTranslatorOptions } from "./lstm-translator.ts";
export { LengthPredictor } from "./length-predictor.ts";
export { MemoryRouting, type MemoryChoice, type MemoryRoutingOptions } from "./memory-routing.ts";
export {
  bertPresets,
  gptPresets,
  transformerPresets,
  type BertPreset,
  type GptPreset,
  type PresetSizes,
  type TransformerPreset,
} from "./presets.ts";
export { nextTokenWithMemory, readSegment, SegmentMemory, type SegmentTrace } from "./segment-recurrence.ts";
export {
  NonAutoregressiveTransformer,
  type DecoderInput,
  type NonAutoregressiveOptions,
  type OutputLength,
  type ResolvedNonAutoregressiveOptions,
} from "./non-autoregressive.ts";
export { drawnMasks, nonAutoregressiveLoss, type NonAutoregressiveLossOptions } from "./non-autoregressive-loss.ts";
export { fillingProgram, NonAutoregressiveDecoder, readingProgram, ReadSources } from "./non-autoregressive-writer.ts";
export { ReadTrace, readProgram, type Reader } from "./read-trace.ts";
export { type OutputLayer, type SequenceToSequence, type Writer } from "./sequence-to-sequence.ts";
export { type SourceAttentionChoice } from "./source-attention.ts";
export { cacheBytesPerToken, StepTrace, type CacheShape, type StreamReach } from "./step-trace.ts";
export { poolKeyValueHeads, type PoolKeyValueHeadsOptions } from "./grouped-query-conversion.ts";
export { teacherForcing, type TeacherForcingOptions } from "./teacher-forcing.ts";
export {
  MaskedLanguageModel,
  maskedTokens,
  notAsked,
  TextClassifier,
  TextEncoder,
  TokenClassifier,
  type Pooling,
  type ResolvedTextEncoderOptions,
  type TextEncoderOptions,
  type TextEncoderTrace,
} from "./text-encoder.ts";
export { tokenLoss, type LossProgram, type TokenLossOptions } from "./token-loss.ts";
export {
  resolveSingleStack,
  singleStackParts,
  type ResolvedSingleStackOptions,
  type SingleStackOptions,
} from "./single-stack.ts";
export { StackInput, StackParts, type StackChoices, type StackInputParts } from "./stack-parts.ts";
export { Stack, type StackFrame } from "./stack.ts";
export { Transformer, type CrossAttentionParts, type TransformerTrace } from "./transformer.ts";
export { LanguageModelDecoder } from "./language-model-decoder.ts";
export { StepPrograms, type StepperOptions, type StepProgramsOptions } from "./step-programs.ts";
export { TransformerDecoder } from "./transformer-decoder.ts";
export { TransformerStepper } from "./transformer-stepper.ts";
