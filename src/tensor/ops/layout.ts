// Operations that move values without computing new ones, each beside its adjoint: reshape, transpose, expand with sum,
// concat with slice, slice with pad.
import { broadcast } from "../broadcast.ts";
import {
  addDims,
  divideDims,
  equalDims,
  equalShapes,
  formatShape,
  sizeOf,
  subDims,
  type Dim,
  type Shape,
} from "../dim.ts";
import { isFloat, operation, shapeError, wantNumbers, type Tensor, type TensorType } from "../graph.ts";

/** An axis counted from the front; −1 is the last. */
export function resolveAxis(name: string, x: TensorType, axis: number): number {
  const resolved = axis < 0 ? axis + x.shape.length : axis;
  if (!Number.isInteger(axis) || resolved < 0 || resolved >= x.shape.length) {
    throw shapeError(name, [x], `there is no axis ${axis}`);
  }
  return resolved;
}

const applyReshape = operation<{ readonly shape: Shape }>({
  name: "reshape",
  type: ([x], { shape }) => {
    if (!equalDims(sizeOf(x!.shape), sizeOf(shape))) {
      throw shapeError("reshape", [x!], `${sizeOf(x!.shape)} elements do not fill ${formatShape(shape)}`);
    }
    return { dtype: x!.dtype, shape };
  },
  gradient: ({ dy, inputs: [x] }) => [reshape(dy, x!.shape)],
  onnx: (emitter, [x], node, { shape }) => emitter.reshape(x!, node.inputs[0]!.shape, shape),
  samples: [{ inputs: [{ shape: [2, 6] }], attributes: { shape: [3, 4] } }],
});

/**
 * The same values in row-major order under another shape; one size may be −1 and is worked out.
 * @example reshape(x, [batch, time, heads, -1])
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const open = shape.indexOf(-1);
  let target = shape;
  if (open >= 0) {
    const rest = shape.filter((_, axis) => axis !== open);
    const size = divideDims(sizeOf(x.shape), sizeOf(rest));
    if (size === undefined) throw shapeError("reshape", [x], `no size for -1 makes ${formatShape(shape)} fit`);
    target = shape.map((given, axis) => (axis === open ? size : given));
  }
  return equalShapes(x.shape, target) ? x : applyReshape([x], { shape: target })[0]!;
}

const applyTranspose = operation<{ readonly permutation: readonly number[] }>({
  name: "transpose",
  type: ([x], { permutation }) => {
    if ([...permutation].sort((a, b) => a - b).join() !== x!.shape.map((_, axis) => axis).join()) {
      throw shapeError("transpose", [x!], `[${permutation.join(", ")}] does not name each axis once`);
    }
    return { dtype: x!.dtype, shape: permutation.map((axis) => x!.shape[axis]!) };
  },
  gradient: ({ dy, attributes: { permutation } }) => [
    transpose(
      dy,
      permutation.map((_, axis) => permutation.indexOf(axis)),
    ),
  ],
  onnx: (emitter, [x], _, { permutation }) =>
    emitter.one("Transpose", [x!], { attributes: { perm: { ints: permutation } } }),
  samples: [{ inputs: [{ shape: [2, 3, 4] }], attributes: { permutation: [1, 2, 0] } }],
});

/** Axes in another order: axis i of the result is axis permutation[i] of x. */
export function transpose(x: Tensor, permutation: readonly number[]): Tensor {
  return applyTranspose([x], { permutation })[0]!;
}

const applyExpand = operation<{ readonly shape: Shape }>({
  name: "expand",
  type: ([x], { shape }) => {
    const common = broadcast(x!.shape, shape);
    if (!("shape" in common) || !equalShapes(common.shape, shape)) {
      throw shapeError("expand", [x!], `it cannot be repeated to ${formatShape(shape)}`);
    }
    return { dtype: x!.dtype, shape };
  },
  gradient: ({ dy, inputs: [x] }) => [sumTo(dy, x!.shape)],
  onnx: (emitter, [x], _, { shape }) => emitter.one("Expand", [x!, emitter.shape(shape)]),
  samples: [
    { inputs: [{ shape: [3, 1] }], attributes: { shape: [2, 3, 4] } },
    { inputs: [{ shape: [] }], attributes: { shape: [2] } },
  ],
});

/** Repeats x along new leading axes and along axes of size 1. */
export function expand(x: Tensor, shape: Shape): Tensor {
  return equalShapes(x.shape, shape) ? x : applyExpand([x], { shape })[0]!;
}

const applySum = operation<{ readonly axes: readonly number[]; readonly keepDims: boolean }>({
  name: "sum",
  type: ([x], { axes, keepDims }) => {
    wantNumbers("sum", [x!]);
    return {
      dtype: x!.dtype,
      shape: x!.shape.flatMap((size, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [size])),
    };
  },
  gradient: ({ dy, inputs: [x], attributes: { axes } }) => [
    expand(
      reshape(
        dy,
        x!.shape.map((size, axis) => (axes.includes(axis) ? 1 : size)),
      ),
      x!.shape,
    ),
  ],
  onnx: (emitter, [x], node, { axes, keepDims }) => {
    const { shape, dtype } = node.inputs[0]!;
    const leading = axes.every((axis) => axis < axes.length) && axes.length < shape.length;
    if (leading && isFloat(dtype)) {
      // A product with a row of ones adds columns more than twice as fast as ReduceSum over a leading axis.
      const rows = sizeOf(shape.slice(0, axes.length));
      const rest = shape.slice(axes.length);
      const flat = emitter.reshape(x!, shape, [rows, sizeOf(rest)]);
      const ones = emitter.one("Expand", [emitter.scalar(1, dtype), emitter.shape([1, rows])]);
      const total = emitter.one("MatMul", [ones, flat]);
      return emitter.reshape(total, [1, sizeOf(rest)], node.outputs[0]!.shape);
    }
    return emitter.one("ReduceSum", [x!, emitter.int64s(axes)], {
      attributes: { keepdims: { int: keepDims ? 1 : 0 } },
    });
  },
  samples: [
    { inputs: [{ shape: [2, 3, 4] }], attributes: { axes: [1], keepDims: false } },
    { inputs: [{ shape: [2, 3, 4] }], attributes: { axes: [0, 1], keepDims: true } },
    { inputs: [{ shape: [2, 3] }], attributes: { axes: [0], keepDims: false } },
    { inputs: [{ shape: [2, 3] }], attributes: { axes: [0, 1], keepDims: false } },
  ],
});

export interface ReduceOptions {
  /** Axes to reduce; all if not said. */
  axes?: readonly number[];
  /** Whether reduced axes stay, with size 1. */
  keepDims?: boolean;
}

/** Sum over axes. */
export function sum(
  x: Tensor,
  { axes = x.shape.map((_, axis) => axis), keepDims = false }: ReduceOptions = {},
): Tensor {
  const resolved = [...new Set(axes.map((axis) => resolveAxis("sum", x, axis)))].sort((a, b) => a - b);
  return resolved.length === 0 ? x : applySum([x], { axes: resolved, keepDims })[0]!;
}

/** The adjoint of broadcasting: sums x over what was repeated, so that it has this shape. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (equalShapes(x.shape, shape)) return x;
  const extra = x.rank - shape.length;
  const axes = x.shape.flatMap((size, axis) =>
    axis < extra || (shape[axis - extra] === 1 && size !== 1) ? [axis] : [],
  );
  return reshape(sum(x, { axes }), shape);
}

const applyConcat = operation<{ readonly axis: number }>({
  name: "concat",
  type: (inputs, { axis }) => {
    const [first, ...others] = inputs as readonly [TensorType, ...TensorType[]];
    for (const other of others) {
      if (other.dtype !== first.dtype) throw shapeError("concat", inputs, "dtypes differ; cast one of them");
      if (other.shape.length !== first.shape.length) throw shapeError("concat", inputs, "the numbers of axes differ");
      const apart = other.shape.findIndex((size, i) => i !== axis && !equalDims(size, first.shape[i]!));
      if (apart >= 0) {
        throw shapeError(
          "concat",
          inputs,
          `they may differ only on axis ${axis}, and axis ${apart} is ${first.shape[apart]} and ${other.shape[apart]}`,
        );
      }
    }
    const total = inputs.reduce<Dim>((sum, { shape }) => addDims(sum, shape[axis]!), 0);
    return { dtype: first.dtype, shape: first.shape.map((size, i) => (i === axis ? total : size)) };
  },
  gradient: ({ dy, inputs, attributes: { axis } }) => {
    let start: Dim = 0;
    return inputs.map(({ shape }) => {
      const end: Dim = addDims(start, shape[axis]!);
      const part = slice(dy, { axis, start, end });
      start = end;
      return part;
    });
  },
  onnx: (emitter, inputs, _, { axis }) => emitter.one("Concat", inputs, { attributes: { axis: { int: axis } } }),
  samples: [{ inputs: [{ shape: [2, 3] }, { shape: [2, 1] }, { shape: [2, 2] }], attributes: { axis: 1 } }],
});

/** One after another along an axis. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const [first] = tensors;
  if (first === undefined) throw shapeError("concat", [], "at least one tensor is wanted");
  return tensors.length === 1 ? first : applyConcat(tensors, { axis: resolveAxis("concat", first, axis) })[0]!;
}

interface SliceAttributes {
  readonly [key: string]: unknown;
  readonly axis: number;
  readonly start: Dim;
  readonly end: Dim;
}

const applySlice = operation<SliceAttributes>({
  name: "slice",
  type: ([x], { axis, start, end }) => {
    const size = subDims(end, start);
    const limit = x!.shape[axis]!;
    const outside = [start, end].some(
      (at) => typeof at === "number" && (at < 0 || (typeof limit === "number" && at > limit)),
    );
    if (outside || (typeof size === "number" && size < 0)) {
      throw shapeError("slice", [x!], `${start} to ${end} is not a range on axis ${axis}`);
    }
    return { dtype: x!.dtype, shape: x!.shape.map((full, i) => (i === axis ? size : full)) };
  },
  gradient: ({ dy, inputs: [x], attributes: { axis, start, end } }) => [
    pad(dy, { axis, before: start, after: subDims(x!.shape[axis]!, end) }),
  ],
  onnx: (emitter, [x], _, { axis, start, end }) =>
    emitter.one("Slice", [x!, emitter.size(start), emitter.size(end), emitter.int64s([axis])]),
  samples: [{ inputs: [{ shape: [2, 5] }], attributes: { axis: 1, start: 1, end: 4 } }],
});

/** Positions start to end (end excluded) of one axis; sizes may be symbolic. */
export function slice(x: Tensor, { axis, start = 0, end }: { axis: number; start?: Dim; end?: Dim }): Tensor {
  const resolved = resolveAxis("slice", x, axis);
  const size = x.shape[resolved]!;
  const last = end ?? size;
  if (start === 0 && equalDims(last, size)) return x;
  return applySlice([x], { axis: resolved, start, end: last })[0]!;
}

interface PadAttributes {
  readonly [key: string]: unknown;
  readonly axis: number;
  readonly before: Dim;
  readonly after: Dim;
}

const applyPad = operation<PadAttributes>({
  name: "pad",
  type: ([x], { axis, before, after }) => {
    if ([before, after].some((amount) => typeof amount === "number" && amount < 0)) {
      throw shapeError(
        "pad",
        [x!],
        `${before} before and ${after} after axis ${axis}: amounts of at least 0 are wanted; slice to shorten`,
      );
    }
    return {
      dtype: x!.dtype,
      shape: x!.shape.map((size, i) => (i === axis ? addDims(addDims(before, size), after) : size)),
    };
  },
  gradient: ({ dy, inputs: [x], attributes: { axis, before } }) => [
    slice(dy, { axis, start: before, end: addDims(before, x!.shape[axis]!) }),
  ],
  onnx: (emitter, [x], node, { axis, before, after }) => {
    const zeros = new Array<Dim>(node.inputs[0]!.rank).fill(0);
    const amounts = emitter.shape([...zeros.with(axis, before), ...zeros.with(axis, after)]);
    return emitter.one("Pad", [x!, amounts, emitter.scalar(0, node.inputs[0]!.dtype)]);
  },
  samples: [{ inputs: [{ shape: [2, 3] }], attributes: { axis: 1, before: 2, after: 1 } }],
});

/** Zeros before and after, along one axis. */
export function pad(x: Tensor, { axis, before = 0, after = 0 }: { axis: number; before?: Dim; after?: Dim }): Tensor {
  if (before === 0 && after === 0) return x;
  return applyPad([x], { axis: resolveAxis("pad", x, axis), before, after })[0]!;
}
