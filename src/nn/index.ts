// nn: modules and what they are made of: parameters, linear maps, embeddings, norms, attention, positions, feed-forward layers.
export { activations, gelu, silu, type ActivationName } from "./activations.ts";
export { causalMask, keyMask, maskBias } from "./attention/mask.ts";
export { MultiHeadAttention, type KeyValue, type MultiHeadAttentionOptions } from "./attention/multi-head.ts";
export {
  scaledDotProduct,
  type AttentionResult,
  type ScaledDotProductOptions,
} from "./attention/scaled-dot-product.ts";
export { mergeQueries, queriesByHead, stepAttention } from "./attention/step-attention.ts";
export { Dropout } from "./dropout.ts";
export { Embedding, type EmbeddingOptions } from "./embedding.ts";
export { FeedForward, type FeedForwardOptions } from "./feed-forward/feed-forward.ts";
export { normal, ones, xavierUniform, zeros, type Initializer } from "./initializers.ts";
export { Linear, type LinearOptions } from "./linear.ts";
export { initialize, Module, namedParameters, Parameter, parameterInputs, type ParameterOptions } from "./module.ts";
export { LayerNorm } from "./norms/layer-norm.ts";
export { RmsNorm } from "./norms/rms-norm.ts";
export { PostNorm, PreNorm, Residual, type Norm } from "./norms/residual.ts";
export { AddPositions, ConcatenatePositions, type PositionCombination } from "./position/combine.ts";
export {
  LearnedPositions,
  SinusoidalPositions,
  sinusoidalTable,
  type PositionTable,
  type SinusoidalOptions,
} from "./position/table.ts";
