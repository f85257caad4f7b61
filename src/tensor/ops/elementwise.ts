// Operations on each element alone, with broadcasting: arithmetic, functions of one variable, comparison, choice, cast.
import type { DType } from "../../base/index.ts";
import { broadcast } from "../broadcast.ts";
import type { Emitter } from "../emitter.ts";
import {
  constant,
  isFloat,
  operation,
  shapeError,
  Tensor,
  wantFloats,
  wantNumbers,
  type Sample,
  type TensorType,
} from "../graph.ts";
import { scalarValue } from "../scalar-value.ts";
import { sumTo } from "./layout.ts";

/** A tensor, or a number that takes its partner's dtype. */
export type Operand = Tensor | number;

/** A constant of rank 0. */
export function scalar(value: number, dtype: DType = "float32"): Tensor {
  return constant(scalarValue(value, dtype));
}

/** Ones of rank 0 broadcast for free, which is how gradients start. */
export function onesLike(x: TensorType): Tensor {
  return scalar(1, x.dtype);
}

/** A number as a tensor of its partner's dtype. */
export function scalarLike(value: Operand, like: TensorType): Tensor {
  return value instanceof Tensor ? value : scalar(value, like.dtype);
}

function pair(name: string, a: Operand, b: Operand): readonly [Tensor, Tensor] {
  if (a instanceof Tensor) return [a, scalarLike(b, a)];
  if (b instanceof Tensor) return [scalarLike(a, b), b];
  throw shapeError(name, [], "at least one operand must be a tensor");
}

/** The dtype that all inputs share and the shape they broadcast to. */
export function broadcastType(name: string, inputs: readonly TensorType[]): TensorType {
  let shape = inputs[0]!.shape;
  for (const next of inputs.slice(1)) {
    if (next.dtype !== inputs[0]!.dtype) throw shapeError(name, inputs, "dtypes differ; cast one of them");
    const common = broadcast(shape, next.shape);
    if ("offendingAxis" in common) {
      const at = common.offendingAxis;
      throw shapeError(name, inputs, `axis ${at} does not meet: ${shape.at(at)} and ${next.shape.at(at)}`);
    }
    shape = common.shape;
  }
  return { dtype: inputs[0]!.dtype, shape };
}

/** Shapes that exercise broadcasting on either side. */
const pairs = (range?: readonly [number, number]): readonly Sample[] =>
  [
    [
      [2, 3],
      [2, 3],
    ],
    [[2, 3], [3]],
    [[1], [2, 2]],
    [
      [2, 1, 3],
      [4, 1],
    ],
    [[], [3]],
  ].map((shapes) => ({ inputs: shapes.map((shape) => ({ shape, ...(range && { range }) })) }));

interface Binary {
  readonly name: string;
  readonly onnx: string;
  /** Partial derivatives times dy, before they are summed to each operand's shape. */
  readonly gradient: (dy: Tensor, a: Tensor, b: Tensor, y: Tensor) => readonly [() => Tensor, () => Tensor];
  readonly range?: readonly [number, number];
  /** Whether whole numbers are refused. */
  readonly float?: boolean;
}

function binary({ name, onnx, gradient, range, float = false }: Binary): (a: Operand, b: Operand) => Tensor {
  const applyBinary = operation({
    name,
    type: (inputs) => {
      if (float) wantFloats(name, inputs);
      else wantNumbers(name, inputs);
      return broadcastType(name, inputs);
    },
    gradient: ({ dy, inputs: [a, b], outputs: [y], wants }) => {
      const [da, db] = gradient(dy, a!, b!, y!);
      return [wants(0) ? sumTo(da(), a!.shape) : undefined, wants(1) ? sumTo(db(), b!.shape) : undefined];
    },
    onnx: (emitter, inputs) => emitter.one(onnx, inputs),
    samples: pairs(range),
  });
  return (a, b) => applyBinary(pair(name, a, b), {})[0]!;
}

const applyAdd = binary({ name: "add", onnx: "Add", gradient: (dy) => [() => dy, () => dy] });
const applyMul = binary({ name: "mul", onnx: "Mul", gradient: (dy, a, b) => [() => mul(dy, b), () => mul(dy, a)] });
const applyDiv = binary({
  name: "div",
  onnx: "Div",
  gradient: (dy, _, b, y) => [() => div(dy, b), () => neg(div(mul(dy, y), b))],
  range: [0.5, 2],
});

/** a + b. */
export const add = (a: Operand, b: Operand): Tensor =>
  a === 0 && b instanceof Tensor ? b : b === 0 && a instanceof Tensor ? a : applyAdd(a, b);

/** a · b. */
export const mul = (a: Operand, b: Operand): Tensor =>
  a === 1 && b instanceof Tensor ? b : b === 1 && a instanceof Tensor ? a : applyMul(a, b);

/** a ÷ b. */
export const div = (a: Operand, b: Operand): Tensor => (b === 1 && a instanceof Tensor ? a : applyDiv(a, b));

/** a − b. */
export const sub = binary({ name: "sub", onnx: "Sub", gradient: (dy) => [() => dy, () => neg(dy)] });

/** a to the power b, for positive a. d/da = b aᵇ⁻¹, d/db = aᵇ ln a. */
export const pow = binary({
  name: "pow",
  onnx: "Pow",
  gradient: (dy, a, b, y) => [() => mul(dy, mul(b, pow(a, sub(b, 1)))), () => mul(dy, mul(y, log(a)))],
  range: [0.5, 2],
  float: true,
});

/** The larger of a and b; where they are equal the gradient goes to both by half. */
export const maximum = binary({
  name: "maximum",
  onnx: "Max",
  gradient: (dy, a, b) => [() => mul(dy, share(a, b)), () => mul(dy, share(b, a))],
});

/** The smaller of a and b; where they are equal the gradient goes to both by half. */
export const minimum = binary({
  name: "minimum",
  onnx: "Min",
  gradient: (dy, a, b) => [() => mul(dy, share(b, a)), () => mul(dy, share(a, b))],
});

/** 1 where a > b, ½ where they are equal, else 0. */
const share = (a: Tensor, b: Tensor): Tensor => add(mul(sign(sub(a, b)), 0.5), 0.5);

interface Unary {
  readonly name: string;
  /** ONNX's operator, or the operators it is written with. */
  readonly onnx: string | ((emitter: Emitter, x: string, dtype: DType) => string);
  readonly gradient?: (dy: Tensor, x: Tensor, y: Tensor) => Tensor;
  readonly range?: readonly [number, number];
  /** The runtime has no float64 kernel. */
  readonly float32?: boolean;
  /** Whether it is also defined on whole numbers. */
  readonly whole?: boolean;
}

/** Declares a function of one variable. */
export function unary({ name, onnx, gradient, range, float32 = false, whole = false }: Unary): (x: Tensor) => Tensor {
  const applyUnary = operation({
    name,
    type: (inputs) => {
      if (whole) wantNumbers(name, inputs);
      else wantFloats(name, inputs);
      return inputs[0]!;
    },
    ...(gradient && { gradient: ({ dy, inputs: [x], outputs: [y] }) => [gradient(dy, x!, y!)] }),
    onnx: (emitter, [x], node) =>
      typeof onnx === "string" ? emitter.one(onnx, [x!]) : onnx(emitter, x!, node.outputs[0]!.dtype),
    samples: [{ inputs: [{ shape: [2, 3], ...(range && { range }) }], ...(float32 && { float32, tolerance: 1e-2 }) }],
  });
  return (x) => applyUnary([x], {})[0]!;
}

/** −x. */
export const neg = unary({ name: "neg", onnx: "Neg", gradient: (dy) => neg(dy), whole: true });

/** eˣ. dy/dx = y. */
export const exp = unary({ name: "exp", onnx: "Exp", gradient: (dy, _, y) => mul(dy, y) });

/** ln x. dy/dx = 1/x. */
export const log = unary({ name: "log", onnx: "Log", gradient: (dy, x) => div(dy, x), range: [0.5, 2] });

/** √x. dy/dx = 1/(2y). */
export const sqrt = unary({ name: "sqrt", onnx: "Sqrt", gradient: (dy, _, y) => div(dy, mul(y, 2)), range: [0.5, 2] });

/** 1/x. dy/dx = −y². */
export const reciprocal = unary({
  name: "reciprocal",
  onnx: "Reciprocal",
  gradient: (dy, _, y) => neg(mul(dy, mul(y, y))),
  range: [0.5, 2],
});

/** tanh x. dy/dx = 1 − y². */
export const tanh = unary({ name: "tanh", onnx: "Tanh", gradient: (dy, _, y) => mul(dy, sub(1, mul(y, y))) });

/** 1/(1 + e⁻ˣ). dy/dx = y(1 − y). */
export const sigmoid = unary({ name: "sigmoid", onnx: "Sigmoid", gradient: (dy, _, y) => mul(dy, mul(y, sub(1, y))) });

/** max(x, 0). dy/dx = 1 where x > 0, else 0; written as a comparison, as the runtime's Sign takes five times as long. */
export const relu = unary({
  name: "relu",
  onnx: "Relu",
  gradient: (dy, _, y) => mul(dy, cast(greater(y, 0), y.dtype)),
});

/** 2/√π ∫₀ˣ exp(−t²) dt. */
export const erf = unary({
  name: "erf",
  onnx: "Erf",
  gradient: (dy, x) => mul(dy, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
  float32: true,
});

/** |x|. dy/dx = sign x. */
export const abs = unary({
  name: "abs",
  onnx: "Abs",
  gradient: (dy, x) => mul(dy, sign(x)),
  range: [0.25, 1],
  whole: true,
});

/** sin x. */
export const sin = unary({ name: "sin", onnx: "Sin", gradient: (dy, x) => mul(dy, cos(x)) });

/** cos x. */
export const cos = unary({ name: "cos", onnx: "Cos", gradient: (dy, x) => neg(mul(dy, sin(x))) });

/** −1, 0 or 1; no gradient. */
export const sign = unary({ name: "sign", onnx: "Sign", range: [0.25, 1], whole: true });

function comparison(name: string, onnx: string): (a: Operand, b: Operand) => Tensor {
  const applyComparison = operation({
    name,
    type: (inputs) => {
      if (name !== "equal") wantNumbers(name, inputs);
      return { dtype: "bool", shape: broadcastType(name, inputs).shape };
    },
    onnx: (emitter, inputs) => emitter.one(onnx, inputs),
    samples: pairs(),
  });
  return (a, b) => applyComparison(pair(name, a, b), {})[0]!;
}

export const equal = comparison("equal", "Equal");
export const less = comparison("less", "Less");
export const lessOrEqual = comparison("lessOrEqual", "LessOrEqual");
export const greater = comparison("greater", "Greater");
export const greaterOrEqual = comparison("greaterOrEqual", "GreaterOrEqual");

function logical(name: string, onnx: string): (a: Tensor, b: Tensor) => Tensor {
  const applyLogical = operation({
    name,
    type: (inputs) => {
      if (inputs.some(({ dtype }) => dtype !== "bool")) throw shapeError(name, inputs, "bool is wanted");
      return broadcastType(name, inputs);
    },
    onnx: (emitter, inputs) => emitter.one(onnx, inputs),
    samples: [
      {
        inputs: [
          { shape: [2, 3], dtype: "bool", range: [0, 2] },
          { shape: [3], dtype: "bool", range: [0, 2] },
        ],
      },
    ],
  });
  return (a, b) => applyLogical([a, b], {})[0]!;
}

export const and = logical("and", "And");
export const or = logical("or", "Or");

const applyNot = operation({
  name: "not",
  type: ([x]) => {
    if (x!.dtype !== "bool") throw shapeError("not", [x!], "bool is wanted");
    return x!;
  },
  onnx: (emitter, inputs) => emitter.one("Not", inputs),
  samples: [{ inputs: [{ shape: [2, 3], dtype: "bool", range: [0, 2] }] }],
});

export const not = (x: Tensor): Tensor => applyNot([x], {})[0]!;

const applyWhere = operation({
  name: "where",
  type: ([condition, a, b]) => {
    if (condition!.dtype !== "bool") throw shapeError("where", [condition!], "the condition must be bool");
    wantNumbers("where", [a!, b!]);
    const { dtype } = broadcastType("where", [a!, b!]);
    const { shape } = broadcastType(
      "where",
      [condition!, a!, b!].map((x) => ({ ...x, shape: x.shape, dtype })),
    );
    return { dtype, shape };
  },
  gradient: ({ dy, inputs: [condition, a, b], wants }) => [
    undefined,
    wants(1) ? sumTo(where(condition!, dy, 0), a!.shape) : undefined,
    wants(2) ? sumTo(where(condition!, 0, dy), b!.shape) : undefined,
  ],
  onnx: (emitter, inputs) => emitter.one("Where", inputs),
  samples: [
    { inputs: [{ shape: [2, 3], dtype: "bool", range: [0, 2] }, { shape: [3] }, { shape: [2, 1] }] },
    { inputs: [{ shape: [3], dtype: "bool", range: [0, 2] }, { shape: [2, 3] }, { shape: [] }] },
  ],
});

/** a where the condition holds, else b. Unlike a product with a mask it stops NaN and infinity, also on the way back. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  return applyWhere([condition, ...pair("where", a, b)], {})[0]!;
}

const applyCast = operation<{ readonly dtype: DType }>({
  name: "cast",
  type: ([x], { dtype }) => ({ dtype, shape: x!.shape }),
  gradient: ({ dy, inputs: [x] }) => [isFloat(x!.dtype) ? cast(dy, x!.dtype) : undefined],
  onnx: (emitter, [x], _, { dtype }) => emitter.cast(x!, dtype),
  samples: [{ inputs: [{ shape: [2, 3], dtype: "int32", range: [-3, 4] }], attributes: { dtype: "float32" } }],
});

/** The same values in another dtype. */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : applyCast([x], { dtype })[0]!;
}
