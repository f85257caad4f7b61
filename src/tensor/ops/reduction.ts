// Reductions over axes, beside sum: mean, extremes, the stable logarithm of a sum of exponentials, and running sums.
import { sizeOf, type Dim } from "../dim.ts";
import { operation, shapeError, wantFloats, wantNumbers, type Tensor } from "../graph.ts";
import { add, cast, div, equal, exp, log, mul, sub } from "./elementwise.ts";
import { expand, reshape, resolveAxis, sum, type ReduceOptions } from "./layout.ts";

const applySize = operation<{ readonly size: Dim }>({
  name: "size",
  type: () => ({ dtype: "int64", shape: [1] }),
  onnx: (emitter, _, __, { size }) => emitter.size(size),
  samples: [{ inputs: [], attributes: { size: 3 } }],
});

/** A size as a float of shape [1]. */
function sizeAsTensor(size: Dim, like: Tensor): Tensor {
  return cast(applySize([], { size })[0]!, like.dtype);
}

const everyAxis = (x: Tensor): readonly number[] => x.shape.map((_, axis) => axis);

/** Arithmetic mean over axes. */
export function mean(x: Tensor, { axes = everyAxis(x), keepDims = false }: ReduceOptions = {}): Tensor {
  wantFloats("mean", [x]);
  const count = sizeOf(axes.map((axis) => x.shape[resolveAxis("mean", x, axis)]!));
  const total = sum(x, { axes, keepDims });
  if (typeof count === "number") return mul(total, 1 / count);
  return div(total, reshape(sizeAsTensor(count, x), []));
}

type Reduction = (x: Tensor, options?: ReduceOptions) => Tensor;

/** The largest or the smallest value; the two differ in ONNX's operator alone. */
function extreme(name: string, onnx: string): Reduction {
  const applyExtreme = operation<{ readonly axes: readonly number[] }>({
    name,
    type: ([x], { axes }) => {
      wantNumbers(name, [x!]);
      const empty = axes.find((axis) => x!.shape[axis] === 0);
      if (empty !== undefined) throw shapeError(name, [x!], `axis ${empty} has no values`);
      return { dtype: x!.dtype, shape: x!.shape.map((size, axis) => (axes.includes(axis) ? 1 : size)) };
    },
    // Equals share the gradient.
    gradient: ({ dy, inputs: [x], outputs: [y], attributes: { axes } }) => {
      const hit = cast(equal(x!, y!), x!.dtype);
      return [mul(expand(div(dy, sum(hit, { axes, keepDims: true })), x!.shape), hit)];
    },
    onnx: (emitter, [x], _, { axes }) =>
      emitter.one(onnx, [x!, emitter.int64s(axes)], { attributes: { keepdims: { int: 1 } } }),
    samples: [
      { inputs: [{ shape: [2, 4, 3] }], attributes: { axes: [1] } },
      { inputs: [{ shape: [2, 3] }], attributes: { axes: [0, 1] } },
    ],
  });
  return (x, { axes = everyAxis(x), keepDims = false } = {}) => {
    const resolved = [...new Set(axes.map((axis) => resolveAxis(name, x, axis)))].sort((a, b) => a - b);
    if (resolved.length === 0) return x;
    const kept = applyExtreme([x], { axes: resolved })[0]!;
    return keepDims
      ? kept
      : reshape(
          kept,
          x.shape.filter((_, axis) => !resolved.includes(axis)),
        );
  };
}

/** The largest value over axes; equals share the gradient. The runtime's kernel passes over NaN, so never test finiteness with it. */
export const max: Reduction = extreme("max", "ReduceMax");

/** The smallest value over axes; as with `max`, equals share the gradient and NaN is passed over. */
export const min: Reduction = extreme("min", "ReduceMin");

interface CumulativeAttributes {
  readonly [key: string]: unknown;
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

const applyCumulativeSum = operation<CumulativeAttributes>({
  name: "cumulativeSum",
  type: ([x]) => {
    wantNumbers("cumulativeSum", [x!]);
    return x!;
  },
  // What a value was added to lies on its other side.
  gradient: ({ dy, attributes: { axis, exclusive, reverse } }) => [
    cumulativeSum(dy, axis, { exclusive, reverse: !reverse }),
  ],
  onnx: (emitter, [x], _, { axis, exclusive, reverse }) =>
    emitter.one("CumSum", [x!, emitter.scalar(axis, "int64")], {
      attributes: { exclusive: { int: exclusive ? 1 : 0 }, reverse: { int: reverse ? 1 : 0 } },
    }),
  samples: [false, true].flatMap((exclusive) =>
    [false, true].map((reverse) => ({ inputs: [{ shape: [2, 4, 3] }], attributes: { axis: 1, exclusive, reverse } })),
  ),
});

/** Running sums along an axis: yᵢ = Σ xⱼ over j ≤ i; over j < i where `exclusive`, from the end where `reverse`. */
export function cumulativeSum(
  x: Tensor,
  axis: number,
  { exclusive = false, reverse = false }: { exclusive?: boolean; reverse?: boolean } = {},
): Tensor {
  return applyCumulativeSum([x], { axis: resolveAxis("cumulativeSum", x, axis), exclusive, reverse })[0]!;
}

/** ln Σ eˣ over the last axis, by way of the maximum, so that it neither overflows nor vanishes. */
export function logSumExp(x: Tensor): Tensor {
  wantFloats("logSumExp", [x]);
  const peak = max(x, { axes: [-1], keepDims: true });
  const total = add(log(sum(exp(sub(x, peak)), { axes: [-1], keepDims: true })), peak);
  return reshape(total, x.shape.slice(0, -1));
}
