// tensor: symbolic tensors, the operations on them, their gradients, and the way to ONNX.
export {
  addDims,
  dim,
  divideDims,
  equalDims,
  equalShapes,
  evaluateDim,
  floorDivideDim,
  formatShape,
  isName,
  mulDims,
  namesOf,
  sizeOf,
  subDims,
  SymbolicDim,
  type Dim,
  type Shape,
} from "./dim.ts";
export {
  allOperations,
  apply,
  constant,
  constantValue,
  input,
  isInput,
  Node,
  operation,
  Tensor,
  topologicalOrder,
  type Attributes,
  type GradientContext,
  type Operation,
  type Sample,
  type SampleInput,
  type TensorType,
} from "./graph.ts";
export { gradients, vectorJacobian } from "./gradients.ts";
export { lower, type LowerOptions } from "./lower.ts";
export { programNodes, usedInputs, type Program } from "./program.ts";
export { inDoublePrecision, rewrite, withDropoutWhere, withoutDropout, type RewriteRule } from "./rewrite.ts";
export { flip, lowerTriangle, roll, split, squeeze, stack, unsqueeze, upperTriangle } from "./ops/arrangement.ts";
export { affine, matmul, type MatmulOptions } from "./ops/contraction.ts";
export { convolution, convolutionTranspose, type ConvolutionOptions, type PerAxis } from "./ops/convolution.ts";
export {
  abs,
  add,
  and,
  cast,
  cos,
  div,
  equal,
  erf,
  exp,
  greater,
  greaterOrEqual,
  less,
  lessOrEqual,
  log,
  maximum,
  minimum,
  mul,
  neg,
  not,
  onesLike,
  or,
  pow,
  reciprocal,
  relu,
  scalar,
  sigmoid,
  sign,
  sin,
  sqrt,
  sub,
  tanh,
  where,
  type Operand,
} from "./ops/elementwise.ts";
export { elu, expm1, leakyRelu, log1p, logSigmoid, softplus, softsign } from "./ops/exponential.ts";
export {
  argmax,
  argsort,
  gather,
  oneHot,
  pick,
  range,
  scatterAdd,
  scatterElementsAdd,
  sort,
  topK,
  zeros,
} from "./ops/indexing.ts";
export { concat, expand, pad, reshape, slice, sum, sumTo, transpose, type ReduceOptions } from "./ops/layout.ts";
export { layerNorm, layerNormPlain, logSoftmax, rmsNorm, softmax } from "./ops/normalization.ts";
export { phase } from "./ops/phase.ts";
export { averagePool, maxPool, type PoolOptions } from "./ops/pooling.ts";
export { cumulativeSum, logSumExp, max, mean, min } from "./ops/reduction.ts";
export { rotatePairs, type PairLayout } from "./ops/rotation.ts";
export { quantizedProduct } from "./ops/quantized.ts";
export { ceil, clip, floor, floorDiv, isFinite, mod, round } from "./ops/rounding.ts";
export { scan, type Scanned, type ScanInputs, type ScanStep } from "./ops/scan.ts";
export { customGradient, stopGradient } from "./ops/custom-gradient.ts";
export { dropout, randomInputs, randomLabel } from "./ops/dropout.ts";
export { layerDrop } from "./ops/layer-drop.ts";
export { trueIndices } from "./ops/selection.ts";
export {
  linearCrossEntropy,
  type LinearCrossEntropy,
  type LinearCrossEntropyOptions,
} from "./ops/linear-cross-entropy.ts";
