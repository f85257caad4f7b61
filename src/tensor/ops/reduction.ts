// Reductions over axes, beside sum: mean, maximum, and the stable logarithm of a sum of exponentials.
import { sizeOf, type Dim } from "../dim.ts";
import { operation, type Tensor } from "../graph.ts";
import { add, cast, div, equal, exp, log, mul, sub } from "./elementwise.ts";
import { expand, reshape, resolveAxis, sum, type ReduceOptions } from "./layout.ts";

const applySize = operation<{ readonly size: Dim }>({
  name: "size",
  type: () => ({ dtype: "int64", shape: [1] }),
  onnx: (emitter, _, __, { size }) => emitter.size(size),
  samples: [{ inputs: [], attributes: { size: 3 } }],
});

/** A size as a float of shape [1]. */
export function sizeAsTensor(size: Dim, like: Tensor): Tensor {
  return cast(applySize([], { size })[0]!, like.dtype);
}

const everyAxis = (x: Tensor): readonly number[] => x.shape.map((_, axis) => axis);

/** Arithmetic mean over axes. */
export function mean(x: Tensor, { axes = everyAxis(x), keepDims = false }: ReduceOptions = {}): Tensor {
  const count = sizeOf(axes.map((axis) => x.shape[resolveAxis("mean", x, axis)]!));
  const total = sum(x, { axes, keepDims });
  if (typeof count === "number") return mul(total, 1 / count);
  return div(total, reshape(sizeAsTensor(count, x), []));
}

const applyMax = operation<{ readonly axes: readonly number[] }>({
  name: "max",
  type: ([x], { axes }) => ({ dtype: x!.dtype, shape: x!.shape.map((size, axis) => (axes.includes(axis) ? 1 : size)) }),
  gradient: ({ dy, inputs: [x], outputs: [y], attributes: { axes } }) => {
    const hit = cast(equal(x!, y!), x!.dtype);
    return [mul(expand(div(dy, sum(hit, { axes, keepDims: true })), x!.shape), hit)];
  },
  onnx: (emitter, [x], _, { axes }) => emitter.one("ReduceMax", [x!, emitter.int64s(axes)], { attributes: { keepdims: { int: 1 } } }),
  samples: [{ inputs: [{ shape: [2, 4, 3] }], attributes: { axes: [1] } }],
});

/** The largest value over axes; equals share the gradient. The runtime's kernel passes over NaN, so never test finiteness with it. */
export function max(x: Tensor, { axes = everyAxis(x), keepDims = false }: ReduceOptions = {}): Tensor {
  const resolved = [...new Set(axes.map((axis) => resolveAxis("max", x, axis)))].sort((a, b) => a - b);
  const kept = applyMax([x], { axes: resolved })[0]!;
  return keepDims ? kept : reshape(kept, x.shape.filter((_, axis) => !resolved.includes(axis)));
}

/** ln Σ eˣ over the last axis, by way of the maximum, so that it neither overflows nor vanishes. */
export function logSumExp(x: Tensor): Tensor {
  const peak = max(x, { axes: [-1], keepDims: true });
  const total = add(log(sum(exp(sub(x, peak)), { axes: [-1], keepDims: true })), peak);
  return reshape(total, x.shape.slice(0, -1));
}
