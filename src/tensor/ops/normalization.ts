// Softmax and layer normalisation: one kernel forward, and gradients that reuse what the kernel already found.
import { equalDims } from "../dim.ts";
import { operation, shapeError, wantFloats, type Tensor, type TensorType } from "../graph.ts";
import { matmul } from "./contraction.ts";
import { add, div, exp, mul, sqrt, sub } from "./elementwise.ts";
import { reshape, sum } from "./layout.ts";
import { mean } from "./reduction.ts";

/** A function of the rows of the last axis. */
function rowType(name: string, x: TensorType): TensorType {
  wantFloats(name, [x]);
  if (x.shape.length === 0) throw shapeError(name, [x], "at least one axis is wanted");
  return x;
}

const applySoftmax = operation({
  name: "softmax",
  type: ([x]) => rowType("softmax", x!),
  // dx = y (dy − Σ dy y), row by row.
  gradient: ({ dy, outputs: [y] }) => [mul(y!, sub(dy, sum(mul(dy, y!), { axes: [-1], keepDims: true })))],
  onnx: (emitter, inputs) => emitter.one("Softmax", inputs, { attributes: { axis: { int: -1 } } }),
  samples: [{ inputs: [{ shape: [2, 3, 4] }] }],
});

/** eˣ / Σ eˣ over the last axis. A row of −∞ alone gives NaN, so masks are large finite numbers. */
export function softmax(x: Tensor): Tensor {
  return applySoftmax([x], {})[0]!;
}

const applyLogSoftmax = operation({
  name: "logSoftmax",
  type: ([x]) => rowType("logSoftmax", x!),
  // dx = dy − eʸ Σ dy, row by row.
  gradient: ({ dy, outputs: [y] }) => [sub(dy, mul(exp(y!), sum(dy, { axes: [-1], keepDims: true })))],
  onnx: (emitter, inputs) => emitter.one("LogSoftmax", inputs, { attributes: { axis: { int: -1 } } }),
  samples: [{ inputs: [{ shape: [2, 3, 4] }] }],
});

/** x − ln Σ eˣ over the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  return applyLogSoftmax([x], {})[0]!;
}

/** Refuses a scale or shift that is not one value a column of x. */
function wantColumns(name: string, inputs: readonly TensorType[]): void {
  const [x, ...parts] = inputs as readonly [TensorType, ...TensorType[]];
  const width = rowType(name, x).shape.at(-1)!;
  for (const part of parts) {
    if (part.dtype !== x.dtype || part.shape.length !== 1 || !equalDims(part.shape[0]!, width)) {
      throw shapeError(
        name,
        inputs,
        `axis -1 is ${width}: ${parts.length === 1 ? "a scale" : "scale and shift"} of ${x.dtype} [${width}] are wanted`,
      );
    }
  }
  if (typeof width !== "number") throw shapeError(name, inputs, "the last axis must have a fixed size");
}

const applyLayerNorm = operation<{ readonly epsilon: number }>({
  name: "layerNorm",
  type: (inputs) => {
    wantColumns("layerNorm", inputs);
    const x = inputs[0]!;
    const row = { dtype: x.dtype, shape: [...x.shape.slice(0, -1), 1] };
    return [x, row, row];
  },
  // With x̂ = (x − mean) · inv and g = dy · scale: dx = inv (g − mean g − x̂ mean(g x̂)). The two means are products with
  // scale / width, which leave no [.., width] intermediate behind. This rule itself reads mean and inv, so a second derivative
  // comes back through them: dmean/dx = 1/width and dinv/dx = −inv² x̂ / width.
  gradient: ({ dy, inputs: [x, scale], outputs: [, average, inverse], gradients: [, dAverage, dInverse], wants }) => {
    const width = scale!.shape[0]! as number;
    const leading = x!.shape.map((_, axis) => axis).slice(0, -1);
    const normalised = mul(sub(x!, average!), inverse!);
    const projected = mul(dy, normalised);
    const weights = reshape(mul(scale!, 1 / width), [width, 1]);
    const dx = (): Tensor => {
      const centre = sub(mul(dy, scale!), rowProduct(dy, weights));
      let flowing = mul(inverse!, sub(centre, mul(normalised, rowProduct(projected, weights))));
      if (dInverse !== undefined)
        flowing = sub(flowing, mul(mul(dInverse, mul(mul(inverse!, inverse!), 1 / width)), normalised));
      if (dAverage !== undefined) flowing = add(flowing, mul(dAverage, 1 / width));
      return flowing;
    };
    return [
      wants(0) ? dx() : undefined,
      wants(1) ? sum(projected, { axes: leading }) : undefined,
      wants(2) ? sum(dy, { axes: leading }) : undefined,
    ];
  },
  onnx: (emitter, inputs, node, { epsilon }) => {
    const { dtype } = node.inputs[0]!;
    if (dtype === "float32") {
      return emitter.all("LayerNormalization", inputs, {
        attributes: { axis: { int: -1 }, epsilon: { float: epsilon } },
        outputs: 3,
      });
    }
    // The kernel keeps mean and deviation in float32 whatever the input, so other dtypes are written out.
    const [x, scale, shift] = inputs as readonly [string, string, string];
    const last = emitter.int64s([-1]);
    const average = emitter.one("ReduceMean", [x, last]);
    const centred = emitter.one("Sub", [x, average]);
    const variance = emitter.one("ReduceMean", [emitter.one("Mul", [centred, centred]), last]);
    const deviation = emitter.one("Sqrt", [emitter.one("Add", [variance, emitter.scalar(epsilon, dtype)])]);
    const inverse = emitter.one("Reciprocal", [deviation]);
    const scaled = emitter.one("Mul", [emitter.one("Mul", [centred, inverse]), scale]);
    return [emitter.one("Add", [scaled, shift]), average, inverse];
  },
  samples: [[2, 3, 4], [4]].map((shape) => ({
    inputs: [{ shape }, { shape: [4] }, { shape: [4] }],
    attributes: { epsilon: 1e-5 },
  })),
});

/** x [.., width] times a column [width, 1], also where x is a single row: [.., 1]. */
function rowProduct(x: Tensor, column: Tensor): Tensor {
  return x.rank === 1 ? reshape(matmul(reshape(x, [1, -1]), column), [1]) : matmul(x, column);
}

/**
 * (x − mean) / √(variance + ε) · scale + shift over the last axis.
 * Ba, Kiros and Hinton 2016, "Layer Normalization", equation 4.
 */
export function layerNorm(
  x: Tensor,
  scale: Tensor,
  shift: Tensor,
  { epsilon = 1e-5 }: { epsilon?: number } = {},
): Tensor {
  return applyLayerNorm([x, scale, shift], { epsilon })[0]!;
}

/** The same from elementary operations: the slow twin, and the form for dtypes without a kernel. */
export function layerNormPlain(
  x: Tensor,
  scale: Tensor,
  shift: Tensor,
  { epsilon = 1e-5 }: { epsilon?: number } = {},
): Tensor {
  const centred = sub(x, mean(x, { axes: [-1], keepDims: true }));
  const variance = mean(mul(centred, centred), { axes: [-1], keepDims: true });
  return add(mul(div(centred, sqrt(add(variance, epsilon))), scale), shift);
}

const applyRmsNorm = operation<{ readonly epsilon: number }>({
  name: "rmsNorm",
  type: (inputs) => {
    wantColumns("rmsNorm", inputs);
    const x = inputs[0]!;
    return [x, { dtype: x.dtype, shape: [...x.shape.slice(0, -1), 1] }];
  },
  // With x̂ = x · inv and g = dy · scale: dx = inv (g − x̂ mean(g x̂)); through inv alone −inv² x̂ / width.
  gradient: ({ dy, inputs: [x, scale], outputs: [, inverse], gradients: [, dInverse], wants }) => {
    const width = scale!.shape[0]! as number;
    const normalised = mul(x!, inverse!);
    const projected = mul(dy, normalised);
    const dx = (): Tensor => {
      const shared = rowProduct(projected, reshape(mul(scale!, 1 / width), [width, 1]));
      const flowing = mul(inverse!, sub(mul(dy, scale!), mul(normalised, shared)));
      return dInverse === undefined
        ? flowing
        : sub(flowing, mul(mul(dInverse, mul(mul(inverse!, inverse!), 1 / width)), normalised));
    };
    return [
      wants(0) ? dx() : undefined,
      wants(1) ? sum(projected, { axes: x!.shape.map((_, axis) => axis).slice(0, -1) }) : undefined,
    ];
  },
  onnx: (emitter, inputs, node, { epsilon }) => {
    const { dtype } = node.inputs[0]!;
    const [x, scale] = inputs as readonly [string, string];
    if (emitter.contrib && dtype === "float32") {
      // The runtime's own operator, though it stands in ONNX's domain.
      return emitter.all("SimplifiedLayerNormalization", inputs, {
        attributes: { axis: { int: -1 }, epsilon: { float: epsilon } },
        outputs: 2,
      });
    }
    const meanSquare = emitter.one("ReduceMean", [emitter.one("Mul", [x, x]), emitter.int64s([-1])]);
    const inverse = emitter.one("Reciprocal", [
      emitter.one("Sqrt", [emitter.one("Add", [meanSquare, emitter.scalar(epsilon, dtype)])]),
    ]);
    return [emitter.one("Mul", [emitter.one("Mul", [x, inverse]), scale]), inverse];
  },
  samples: [[2, 3, 4], [4]].map((shape) => ({ inputs: [{ shape }, { shape: [4] }], attributes: { epsilon: 1e-5 } })),
});

/**
 * x / √(mean x² + ε) · scale over the last axis.
 * Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", equation 4.
 */
export function rmsNorm(x: Tensor, scale: Tensor, { epsilon = 1e-6 }: { epsilon?: number } = {}): Tensor {
  return applyRmsNorm([x, scale], { epsilon })[0]!;
}
