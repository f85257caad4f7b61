// nn: modules and what they are made of: parameters, linear maps, embeddings, norms, attention, positions, feed-forward layers.
export { activations, gelu, geluTanh, silu, type ActivationName } from "./activations.ts";
export {
  adapterOptions,
  adapterParameters,
  addAdapter,
  addHoulsby,
  addLora,
  freezeBase,
  removeAdapters,
  sublayerOutputs,
  type AdapterOptions,
  type AddHoulsbyOptions,
  type AddLoraOptions,
} from "./adapters/add.ts";
export { HoulsbyAdapter } from "./adapters/houlsby.ts";
export { LoraAdapter, type LoraOptions } from "./adapters/lora.ts";
export { mergeLora, unmergeLora, type MergeOptions } from "./adapters/merge.ts";
export { isAdapterParameter, namedLinears, targetedLinears } from "./adapters/targets.ts";
export { BigBirdAttention, type BigBirdOptions } from "./attention/big-bird.ts";
export { CausalBlocksAttention, type CausalBlocksOptions } from "./attention/causal-blocks.ts";
export {
  FullAttention,
  MaskedAttention,
  type AttentionKernel,
  type AttentionResult,
  type PatternQuestion,
} from "./attention/kernel.ts";
export { LongformerAttention, type LongformerOptions } from "./attention/longformer.ts";
export { causalMask, maskBias, notPadding } from "./attention/mask.ts";
export {
  MultiHeadAttention,
  type Attended,
  type KeyValue,
  type MultiHeadAttentionOptions,
} from "./attention/multi-head.ts";
export { patternMap, type PatternMapOptions } from "./attention/pattern-map.ts";
export { scaledDotProduct, type ScaledDotProductOptions } from "./attention/scaled-dot-product.ts";
export { AttentionScope, type AttentionScopeOptions } from "./attention/scope.ts";
export { SlidingWindowAttention, type SlidingWindowOptions, type WindowOptions } from "./attention/sliding-window.ts";
export { mergeQueries, queriesByHead, stepAttention } from "./attention/step-attention.ts";
export { TiledAttention, type TiledAttentionOptions } from "./attention/tiled.ts";
export { Dropout } from "./dropout.ts";
export { Embedding, type EmbeddingOptions } from "./embedding.ts";
export { ExpertsFeedForward, type ExpertsFeedForwardOptions } from "./feed-forward/experts.ts";
export { FeedForward, type FeedForwardLayer, type FeedForwardOptions } from "./feed-forward/feed-forward.ts";
export { GatedFeedForward, type GatedFeedForwardOptions } from "./feed-forward/gated.ts";
export { normal, ones, xavierUniform, zeros, type Initializer } from "./initializers.ts";
export { LayerDrop } from "./layer-drop.ts";
export { Linear, type LinearAdapter, type LinearOptions } from "./linear.ts";
export { ctc, linearCtc, type Ctc, type CtcLabels, type CtcOptions } from "./losses/ctc.ts";
export { canRead, isRecurrent, type Mixed, type Mixer, type MixerState, type RecurrentMixer } from "./mixer.ts";
export {
  LinearAttention,
  type LinearAttentionOptions,
  type LinearAttentionSettings,
} from "./mixers/linear-attention.ts";
export { Retention, type RetentionOptions, type RetentionSettings } from "./mixers/retention.ts";
export {
  SelectiveStateSpace,
  type SelectiveStateSpaceOptions,
  type SelectiveStateSpaceSettings,
} from "./mixers/selective-state-space.ts";
export {
  initialize,
  Module,
  namedModules,
  namedParameters,
  Parameter,
  parameterInputs,
  type ParameterOptions,
} from "./module.ts";
export { nearestNeighbours, type NearestNeighboursOptions, type Neighbour } from "./nearest-neighbours.ts";
export { BatchNorm, type BatchNormOptions } from "./norms/batch-norm.ts";
export { DeepNorm, deepNormScale, type DeepNormScale } from "./norms/deep-norm.ts";
export { LayerNorm } from "./norms/layer-norm.ts";
export { RmsNorm } from "./norms/rms-norm.ts";
export { PostNorm, PreNorm, Residual, type Norm } from "./norms/residual.ts";
export { Pass, PassReports } from "./pass.ts";
export { alibiSlopes, AlibiPositions } from "./position/alibi.ts";
export { type AttentionPositions } from "./position/attention-positions.ts";
export { AddPositions, ConcatenatePositions, type PositionCombination } from "./position/combine.ts";
export { distanceBuckets, RelativeBias, type RelativeBiasOptions } from "./position/relative-bias.ts";
export {
  DynamicNtkScaling,
  LinearScaling,
  NtkScaling,
  rotaryScaling,
  YarnScaling,
  type Rotation,
  type RotaryScaling,
  type RotaryScalingOptions,
  type YarnOptions,
} from "./position/rotary-scaling.ts";
export {
  RotaryPositions,
  type RotaryOptions,
  type RotaryPositionsOptions,
  type RotaryTables,
} from "./position/rotary.ts";
export {
  LearnedPositions,
  SinusoidalPositions,
  sinusoidalTable,
  type PositionTable,
  type SinusoidalOptions,
} from "./position/table.ts";
export { XPositions, type XposOptions } from "./position/xpos.ts";
export { coverageText, embedWords, type EmbedWordsOptions, type WordCoverage } from "./pretrained-embedding.ts";
export { BidirectionalLstm } from "./recurrent/bidirectional-lstm.ts";
export { Lstm, type LstmInput, type LstmOptions, type LstmState } from "./recurrent/lstm.ts";
export { LuongAttention, type LuongMemory } from "./recurrent/luong-attention.ts";
