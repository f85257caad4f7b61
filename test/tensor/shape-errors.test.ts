// Wrong uses of every operation: each is refused where it is traced, and the text has the operation, the shapes and the place.
import { describe, expect, test } from "vitest";
import { ShapeError, type DType } from "../../src/base/index.ts";
import * as t from "../../src/tensor/index.ts";

const x = (shape: t.Shape, dtype: DType = "float32"): t.Tensor => t.input("x", dtype, shape);
const whole = (shape: t.Shape): t.Tensor => x(shape, "int32");
const truth = (shape: t.Shape): t.Tensor => x(shape, "bool");
const [batch, time] = [t.dim("batch"), t.dim("time")];

/** What was done, and pieces that the message must have. */
const wrong: Record<string, [() => unknown, ...string[]][]> = {
  add: [
    [() => t.add(x([2, 3]), x([4])), "[2, 3]", "[4]", "axis -1", "3 and 4"],
    [() => t.add(x([batch, 3]), x([time, 3])), "[batch, 3]", "[time, 3]", "axis -2", "batch and time"],
    [() => t.add(x([2]), x([2], "float64")), "float32", "float64", "dtypes differ"],
    [() => t.add(truth([2]), truth([2])), "bool"],
    [() => t.add(1, 2), "tensor"],
  ],
  quantizedProduct: [
    [() => t.quantizedProduct(x([2, 4]), x([4, 3]), x([3])), "the weight must be int8"],
    [() => t.quantizedProduct(x([2, 5]), x([4, 3], "int8"), x([3])), "must be 4"],
    [() => t.quantizedProduct(x([2, 4]), x([4, 3], "int8"), x([4])), "scale and bias of [3]"],
  ],
  sub: [[() => t.sub(x([5, 1, 2]), x([3])), "[5, 1, 2]", "[3]", "axis -1", "2 and 3"]],
  mul: [[() => t.mul(x([3, 1]), x([2, 4])), "[3, 1]", "[2, 4]", "axis -2", "3 and 2"]],
  div: [[() => t.div(x([2]), whole([2])), "dtypes differ"]],
  pow: [[() => t.pow(whole([2]), whole([2])), "floats", "int32 [2]"]],
  maximum: [[() => t.maximum(x([2]), x([3])), "axis -1"]],
  minimum: [[() => t.minimum(x([2]), x([3])), "axis -1"]],
  exp: [[() => t.exp(whole([2])), "floats", "int32 [2]"]],
  log: [[() => t.log(truth([2])), "floats"]],
  sqrt: [[() => t.sqrt(whole([2])), "floats"]],
  reciprocal: [[() => t.reciprocal(whole([2])), "floats"]],
  tanh: [[() => t.tanh(whole([2])), "floats"]],
  sigmoid: [[() => t.sigmoid(whole([2])), "floats"]],
  relu: [[() => t.relu(whole([2])), "floats"]],
  erf: [[() => t.erf(whole([2])), "floats"]],
  sin: [[() => t.sin(whole([2])), "floats"]],
  cos: [[() => t.cos(whole([2])), "floats"]],
  softplus: [[() => t.softplus(whole([2])), "floats"]],
  log1p: [[() => t.log1p(whole([2])), "floats"]],
  expm1: [[() => t.expm1(whole([2])), "floats"]],
  floor: [[() => t.floor(whole([2])), "floats"]],
  ceil: [[() => t.ceil(whole([2])), "floats"]],
  round: [[() => t.round(whole([2])), "floats"]],
  neg: [[() => t.neg(truth([2])), "bool"]],
  abs: [[() => t.abs(truth([2])), "bool"]],
  sign: [[() => t.sign(truth([2])), "bool"]],
  clip: [
    [() => t.clip(x([2]), 1, 0), "1", "0"],
    [() => t.clip(whole([2]), 0, 1), "floats"],
  ],
  mod: [
    [() => t.mod(x([2]), 2), "whole numbers"],
    [() => t.mod(whole([2]), whole([3])), "[2]", "[3]", "axis -1"],
  ],
  equal: [[() => t.equal(x([2]), x([3])), "[2]", "[3]", "axis -1"]],
  less: [[() => t.less(truth([2]), truth([2])), "bool"]],
  lessOrEqual: [[() => t.lessOrEqual(x([2]), x([3])), "axis -1"]],
  greater: [[() => t.greater(x([2]), x([3])), "axis -1"]],
  greaterOrEqual: [[() => t.greaterOrEqual(x([2]), x([3])), "axis -1"]],
  and: [[() => t.and(x([2]), truth([2])), "bool is wanted"]],
  or: [[() => t.or(truth([2]), truth([3])), "[2]", "[3]", "axis -1"]],
  not: [[() => t.not(x([2])), "bool is wanted"]],
  where: [
    [() => t.where(x([2]), 1, x([2])), "condition", "bool"],
    [() => t.where(truth([2]), x([3]), x([3])), "[2]", "[3]", "axis -1"],
    [() => t.where(truth([2]), truth([2]), truth([2])), "bool"],
  ],
  sum: [
    [() => t.sum(x([2, 3]), { axes: [2] }), "[2, 3]", "axis 2"],
    [() => t.sum(truth([2])), "bool"],
  ],
  mean: [
    [() => t.mean(whole([2])), "floats"],
    [() => t.mean(x([2]), { axes: [-2] }), "axis -2"],
  ],
  max: [
    [() => t.max(x([2, 3]), { axes: [5] }), "axis 5"],
    [() => t.max(x([2, 0])), "axis 1", "no values"],
  ],
  min: [[() => t.min(truth([2])), "bool"]],
  cumulativeSum: [
    [() => t.cumulativeSum(x([2]), 1), "axis 1"],
    [() => t.cumulativeSum(truth([2]), 0), "bool"],
  ],
  logSumExp: [[() => t.logSumExp(whole([2])), "floats"]],
  matmul: [
    [
      () => t.matmul(x([batch, time, 512]), x([256, 1024])),
      "[batch, time, 512]",
      "[256, 1024]",
      "axis -1 of a",
      "axis -2 of b",
      "512 and 256",
    ],
    [() => t.matmul(x([2, 3]), x([4, 3])), "axis -1 of a", "3 and 4"],
    [() => t.matmul(x([3, 2]), x([3, 4]), { transposeB: true }), "axis -1 of b", "2 and 4"],
    [() => t.matmul(x([2, 3, 4]), x([5, 4, 3])), "axis -3", "2 and 5"],
    [() => t.matmul(x([3]), x([3, 2])), "two axes"],
    [() => t.matmul(whole([2, 2]), whole([2, 2])), "floats"],
  ],
  affine: [
    [() => t.affine(x([2, 3]), x([4, 5]), x([5])), "3 and 4"],
    [() => t.affine(x([2, 3]), x([3, 5]), x([4])), "bias of [5]", "[4]"],
    [() => t.affine(x([2, 3]), x([1, 3, 5]), x([5])), "weight must have two axes"],
  ],
  rotatePairs: [
    [() => t.rotatePairs(x([4]), x([4, 2]), x([4, 2])), "[.., time, width] is wanted"],
    [() => t.rotatePairs(x([time, 4]), x([3, 2]), x([3, 2])), "float32 [time or 1, pairs]", "[3, 2]"],
    [() => t.rotatePairs(x([3, 4]), x([3, 2]), x([3, 1])), "both alike"],
    [() => t.rotatePairs(x([3, 4]), x([3, 2], "float64"), x([3, 2], "float64")), "float32 [3 or 1, pairs]"],
    [() => t.rotatePairs(x([3, 4]), x([3, 3]), x([3, 3])), "axis -1 is 4", "3 pairs"],
    [() => t.rotatePairs(whole([3, 4]), x([3, 2]), x([3, 2])), "floats"],
  ],
  softmax: [
    [() => t.softmax(x([])), "axis"],
    [() => t.softmax(whole([2])), "floats"],
  ],
  logSoftmax: [[() => t.logSoftmax(x([])), "axis"]],
  layerNorm: [
    [() => t.layerNorm(x([2, 4]), x([3]), x([4])), "[2, 4]", "[3]", "axis -1 is 4"],
    [() => t.layerNorm(x([2, time]), x([time]), x([time])), "fixed size"],
  ],
  rmsNorm: [[() => t.rmsNorm(x([2, 4]), x([3])), "[2, 4]", "[3]", "axis -1 is 4"]],
  reshape: [
    [() => t.reshape(x([2, 3]), [4]), "[2, 3]", "[4]", "6"],
    [() => t.reshape(x([2, 3]), [4, -1]), "-1"],
    [() => t.reshape(x([batch, 3]), [time, 3]), "[batch, 3]", "[time, 3]"],
  ],
  transpose: [[() => t.transpose(x([2, 3]), [0, 0]), "[2, 3]", "[0, 0]"]],
  expand: [[() => t.expand(x([2, 3]), [2, 4]), "[2, 3]", "[2, 4]"]],
  concat: [
    [() => t.concat([x([2, 3]), x([4, 5])], 1), "[2, 3]", "[4, 5]", "axis 0", "2 and 4"],
    [() => t.concat([x([2]), x([2, 1])], 0), "numbers of axes"],
    [() => t.concat([x([2]), whole([2])], 0), "dtypes differ"],
    [() => t.concat([], 0), "at least one"],
    [() => t.concat([x([2]), x([2])], 1), "axis 1"],
  ],
  slice: [
    [() => t.slice(x([2, 5]), { axis: 1, end: 6 }), "[2, 5]", "axis 1", "0 to 6"],
    [() => t.slice(x([2, 5]), { axis: 1, start: 3, end: 2 }), "3 to 2"],
  ],
  pad: [[() => t.pad(x([2]), { axis: 0, before: -1 }), "-1 before", "axis 0"]],
  split: [
    [() => t.split(x([2, 5]), { axis: 1, parts: 2 }), "axis 1 of size 5"],
    [() => t.split(x([2, 5]), { axis: 1, parts: [2, 2] }), "2 + 2 = 4", "axis 1 of size 5"],
  ],
  unsqueeze: [[() => t.unsqueeze(x([2]), 3), "axis 3"]],
  squeeze: [[() => t.squeeze(x([2, 1]), 0), "axis 0 has size 2"]],
  flip: [[() => t.flip(x([2]), 1), "axis 1"]],
  roll: [[() => t.roll(x([2]), 1, 1), "axis 1"]],
  triangle: [[() => t.lowerTriangle(x([2])), "two axes"]],
  gather: [
    [() => t.gather(x([5, 3]), x([2])), "int32 or int64"],
    [() => t.gather(x([]), whole([2])), "no axis 0"],
    [() => t.gather(x([5, 3]), whole([2]), -3), "axis -3"],
  ],
  scatterAdd: [
    [() => t.scatterAdd(x([5, 3]), whole([2]), x([2, 4])), "[5, 3]", "[2, 4]", "axis 1"],
    [() => t.scatterAdd(x([5, 3]), whole([2]), x([3, 3])), "axis 0", "is 3"],
    [() => t.scatterAdd(x([5, 3]), x([2]), x([2, 3])), "int32 or int64"],
    [() => t.scatterAdd(x([5, 3]), whole([2]), x([2, 3], "float64")), "dtypes"],
  ],
  pick: [
    [() => t.pick(x([3, 5]), whole([2, 1]), 1), "[3, 5]", "[2, 1]", "axis 0", "3 and 2"],
    [() => t.pick(x([3, 5]), whole([3]), 1), "numbers of axes"],
    [() => t.pick(x([3, 5]), x([3, 1]), 1), "int32 or int64"],
  ],
  scatterElementsAdd: [
    [() => t.scatterElementsAdd(x([3, 5]), whole([3, 2]), x([3, 1]), 1), "[3, 5]", "[3, 2]", "[3, 1]"],
  ],
  topK: [
    [() => t.topK(x([3, 5]), 6), "[3, 5]", "6"],
    [() => t.topK(x([3, 5]), 1.5), "1.5"],
    [() => t.topK(x([]), 1), "axis -1"],
  ],
  sort: [[() => t.sort(x([])), "axis"]],
  argmax: [[() => t.argmax(x([2]), 3), "axis 3"]],
  oneHot: [[() => t.oneHot(x([2]), 3), "int32 or int64"]],
  dropout: [[() => t.dropout(x([2]), 1), "below 1"]],
  convolution: [
    [() => t.convolution(x([2, 3, 7]), x([4, 2, 3])), "[2, 3, 7]", "[4, 2, 3]", "axis 1", "3 channels"],
    [() => t.convolution(x([2, 3, 7]), x([4, 3, 3, 3])), "spatial axes"],
    [() => t.convolution(x([2, 3, 2]), x([4, 3, 3])), "axis 2 is shorter"],
    [() => t.convolution(x([2, 3, 7]), x([4, 3, 3]), { stride: 0 }), "stride 0"],
    [() => t.convolution(x([2, 3, 7]), x([4, 3, 3]), { padding: [1, 1] }), "padding"],
    [() => t.convolution(x([2, 4, 7]), x([3, 2, 3]), { groups: 2 }), "2 groups"],
    [() => t.convolution(x([2, 3, 7]), x([4, 3, 3]), { bias: x([3]) }), "bias of float32 [4]"],
  ],
  convolutionTranspose: [
    [() => t.convolutionTranspose(x([2, 3, 7]), x([4, 2, 3])), "[2, 3, 7]", "[4, 2, 3]", "3 and 4"],
  ],
  averagePool: [[() => t.averagePool(x([2, 3, 4]), { size: 5 }), "axis 2 is shorter"]],
  maxPool: [[() => t.maxPool(x([2, 3, 4]), { size: 2, padding: 2 }), "padding of axis 2"]],
  linearCrossEntropy: [
    [() => t.linearCrossEntropy(x([2, 4]), x([9, 5]), whole([2])), "[2, 4]", "[9, 5]", "axis 1", "4 and 5"],
    [() => t.linearCrossEntropy(x([2, 4]), x([9, 4]), whole([3])), "axis 0", "2 and 3"],
    [() => t.linearCrossEntropy(x([2, 4]), x([9, 4]), whole([2, 1])), "labels [n]"],
  ],
  scan: [
    [
      () => t.scan({ carry: [x([2])], sequences: [] }, (carry) => ({ carry, outputs: [] })),
      "[2]",
      "at least one sequence",
    ],
    [
      () => t.scan({ carry: [x([2])], sequences: [x([])] }, (carry) => ({ carry, outputs: [] })),
      "sequence 0",
      "no axis of time",
    ],
    [
      () => t.scan({ carry: [], sequences: [x([3, 2]), x([4, 2])] }, () => ({ carry: [], outputs: [] })),
      "sequences 0 and 1",
      "3 and 4",
    ],
    [
      () => t.scan({ carry: [x([2])], sequences: [x([3, 2])] }, () => ({ carry: [], outputs: [] })),
      "a carry of 1",
      "hands on 0",
    ],
    [
      () => t.scan({ carry: [x([2])], sequences: [x([3, 4])] }, (_, slices) => ({ carry: slices, outputs: [] })),
      "carry 0",
      "float32 [2]",
      "float32 [4]",
    ],
    [
      () =>
        t.scan({ carry: [x([2])], sequences: [x([3, 2])] }, ([c], [s]) => ({
          carry: [t.dropout(t.add(c!, s!), 0.5)],
          outputs: [],
        })),
      "random bytes",
      "before or behind the loop",
    ],
  ],
  phase: [
    [() => t.phase(x([2, 3]), x([3])), "[2, 3]", "[3]", "same shape"],
    [() => t.phase(x([2]), whole([2])), "float32", "int32", "same dtype"],
  ],
  layerDrop: [
    [() => t.layerDrop(x([2, 3]), x([3]), 0.5), "[2, 3]", "[3]", "shape"],
    [() => t.layerDrop(x([2]), x([2]), 1), "below 1", "got 1"],
  ],
  trueIndices: [
    [() => t.trueIndices(x([2])), "float32 [2]", "bool [n]"],
    [() => t.trueIndices(truth([2, time])), "bool [2, time]", "one axis"],
  ],
  gradients: [[() => t.gradients(x([2]), []), "scalar", "[2]"]],
};

describe("a wrong use is refused at the line that traces it", () => {
  for (const [name, uses] of Object.entries(wrong)) {
    for (const [i, [use, ...pieces]] of uses.entries()) {
      test(`${name} ${i}: ${pieces.join(", ")}`, () => {
        let error: unknown;
        try {
          use();
        } catch (thrown) {
          error = thrown;
        }
        expect(error).toBeInstanceOf(ShapeError);
        const { message } = error as ShapeError;
        for (const piece of [name, ...pieces]) expect(message).toContain(piece);
      });
    }
  }

  test("every operation that can be misused has a row", () => {
    // These take anything, or only what other operations give them.
    const unguarded = ["input", "constant", "cast", "size", "range", "customGradient"];
    const missing = [...t.allOperations().keys()].filter((name) => !(name in wrong) && !unguarded.includes(name));
    expect(missing).toEqual([]);
  });
});
