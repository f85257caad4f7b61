// tensor: symbolic tensors, the operations on them, their gradients, and the way to ONNX.
export { addDims, dim, divideDims, equalDims, equalShapes, evaluateDim, formatShape, mulDims, sizeOf, subDims, SymbolicDim, type Dim, type Shape } from "./dim.ts";
export { allOperations, apply, constant, constantValue, input, isInput, Node, operation, Tensor, topologicalOrder, type Attributes, type GradientContext, type Operation, type Sample, type SampleInput, type TensorType } from "./graph.ts";
export { gradients } from "./gradients.ts";
export { lower, type LowerOptions } from "./lower.ts";
export { programNodes, usedInputs, type Program } from "./program.ts";
export { inDoublePrecision, rewrite, withoutDropout, type RewriteRule } from "./rewrite.ts";
export { affine, matmul, type MatmulOptions } from "./ops/contraction.ts";
export { abs, add, and, cast, cos, div, equal, erf, exp, floor, greater, greaterOrEqual, less, lessOrEqual, log, maximum, minimum, mul, neg, not, onesLike, or, pow, reciprocal, relu, scalar, sigmoid, sign, sin, softplus, sqrt, sub, tanh, where, type Operand } from "./ops/elementwise.ts";
export { argmax, gather, pick, range, scatterAdd, scatterElementsAdd, topK, zeros } from "./ops/indexing.ts";
export { concat, expand, pad, reshape, slice, sum, sumTo, transpose, type ReduceOptions } from "./ops/layout.ts";
export { layerNorm, layerNormPlain, logSoftmax, softmax } from "./ops/normalization.ts";
export { logSumExp, max, mean } from "./ops/reduction.ts";
export { customGradient, stopGradient } from "./ops/custom-gradient.ts";
export { dropout, randomLabel } from "./ops/dropout.ts";
export { linearCrossEntropy, type LinearCrossEntropy, type LinearCrossEntropyOptions } from "./ops/linear-cross-entropy.ts";
