// Rounding and limits, and the division of whole numbers.
import { isFloat, operation, shapeError, type Tensor, type TensorType } from "../graph.ts";
import {
  and,
  broadcastType,
  div,
  equal,
  greaterOrEqual,
  lessOrEqual,
  scalarLike,
  sub,
  unary,
  where,
  type Operand,
} from "./elementwise.ts";

/** The largest whole number ≤ x; no gradient. */
export const floor = unary({ name: "floor", onnx: "Floor", range: [0.25, 0.75] });

/** The smallest whole number ≥ x; no gradient. */
export const ceil = unary({ name: "ceil", onnx: "Ceil", range: [0.25, 0.75] });

/** The nearest whole number, halves to the even one; no gradient. */
export const round = unary({ name: "round", onnx: "Round", range: [0.6, 1.4] });

const applyClip = operation<{ readonly low: number; readonly high: number }>({
  name: "clip",
  type: ([x], { low, high }) => {
    if (!isFloat(x!.dtype))
      throw shapeError("clip", [x!], "floats are wanted; use maximum and minimum for whole numbers");
    if (!(low <= high)) throw shapeError("clip", [x!], `the lower limit ${low} is not below the upper limit ${high}`);
    return x!;
  },
  gradient: ({ dy, inputs: [x], attributes: { low, high } }) => [
    where(and(greaterOrEqual(x!, low), lessOrEqual(x!, high)), dy, 0),
  ],
  onnx: (emitter, [x], node, { low, high }) => {
    const { dtype } = node.outputs[0]!;
    return emitter.one("Clip", [x!, emitter.scalar(low, dtype), emitter.scalar(high, dtype)]);
  },
  samples: [{ inputs: [{ shape: [4, 5] }], attributes: { low: -0.4, high: 0.7 } }],
});

/** min(max(x, low), high); nothing flows back where x is outside. */
export function clip(x: Tensor, low: number, high: number): Tensor {
  return applyClip([x], { low, high })[0]!;
}

const applyMod = operation({
  name: "mod",
  type: (inputs: readonly TensorType[]) => {
    if (inputs.some(({ dtype }) => isFloat(dtype) || dtype === "bool"))
      throw shapeError("mod", inputs, "whole numbers are wanted");
    return broadcastType("mod", inputs);
  },
  onnx: (emitter, inputs) => emitter.one("Mod", inputs),
  samples: [
    {
      inputs: [
        { shape: [2, 3], dtype: "int32", range: [-7, 8] },
        { shape: [3], dtype: "int32", range: [2, 5] },
      ],
    },
    {
      inputs: [
        { shape: [6], dtype: "int64", range: [-7, 8] },
        { shape: [], dtype: "int64", range: [3, 4] },
      ],
    },
  ],
});

/** The remainder of whole numbers, with the sign of the divisor: mod(−1, 3) is 2. */
export function mod(a: Tensor, b: Operand): Tensor {
  return applyMod([a, scalarLike(b, a)], {})[0]!;
}

/** ⌊a ÷ b⌋ of whole numbers, rounded down also below zero; `div` rounds towards zero. */
export function floorDiv(a: Tensor, b: Operand): Tensor {
  return div(sub(a, mod(a, b)), b);
}

/** Where x is neither infinite nor NaN: only there is x − x zero. */
export function isFinite(x: Tensor): Tensor {
  return equal(sub(x, x), 0);
}
