// Dropout: the mask is worked out from random bytes that are an input of the program, so a run can be repeated bit for bit.
import { equalShapes, largestDim, sizeOf, type Shape } from "../dim.ts";
import { input, operation, shapeError, type Tensor } from "../graph.ts";
import { programNodes, type Program } from "../program.ts";
import { reshape, slice } from "./layout.ts";

/** Bytes below this are kept, so rates are multiples of 1/256 and the exact keep rate enters the scale. */
export const keptBytes = (rate: number): number => Math.max(1, Math.round(256 * (1 - rate)));

const applyDropout = operation<{ readonly rate: number }>({
  name: "dropout",
  type: (inputs) => {
    const [x, bytes] = inputs;
    if (bytes!.dtype !== "uint8" || !equalShapes(x!.shape, bytes!.shape))
      throw shapeError("dropout", inputs, "random uint8 bytes of the shape of x are wanted");
    return x!;
  },
  gradient: ({ dy, inputs: [, bytes], attributes: { rate } }) => [masked(dy, bytes!, rate), undefined],
  // The scaled mask is one value that the forward and the backward pass share.
  onnx: (emitter, [x, bytes], node, { rate }) => {
    const { dtype } = node.inputs[0]!;
    const kept = keptBytes(rate);
    const mask = emitter.cast(emitter.one("Less", [bytes!, emitter.scalar(kept, "uint8")]), dtype);
    return emitter.one("Mul", [x!, emitter.one("Mul", [mask, emitter.scalar(256 / kept, dtype)])]);
  },
  samples: [
    { inputs: [{ shape: [4, 5] }, { shape: [4, 5], dtype: "uint8", range: [0, 256] }], attributes: { rate: 0.4 } },
  ],
});

const masked = (x: Tensor, bytes: Tensor, rate: number): Tensor => applyDropout([x, bytes], { rate })[0]!;

/** Label by which the training step knows the inputs that it must fill with random bytes. */
export const randomLabel = "random bytes";

/**
 * The inputs of a program that dropout and its like want filled with random bytes, in the order in which the program computes
 * them, which is the same in every trace.
 */
export function randomInputs(program: Program): Tensor[] {
  return programNodes(program).flatMap(({ operation, attributes, outputs: [bytes] }) =>
    operation.name === "input" && attributes.label === randomLabel ? [bytes!] : [],
  );
}

/**
 * Sets each value to zero with the chance `rate` (to the nearest 1/256) and scales the rest, so that the expectation stays.
 * Its random bytes are a new input of the program, found again by `randomInputs`.
 * Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
 */
export function dropout(x: Tensor, rate: number): Tensor {
  if (!(rate >= 0 && rate < 1))
    throw shapeError("dropout", [x], `the rate must be at least 0 and below 1, got ${rate}`);
  if (rate < 1 / 512) return x;
  return masked(x, randomBytes(x.shape), rate);
}

/** Random bytes of this shape: an input of the program, or the first of one where the shape is known too late to fill it. */
function randomBytes(shape: Shape): Tensor {
  const most = shape.map(largestDim);
  if (equalShapes(shape, most)) return input(randomLabel, "uint8", shape);
  const bytes = input(randomLabel, "uint8", [sizeOf(most)]);
  return reshape(slice(bytes, { axis: 0, end: sizeOf(shape) }), shape);
}
