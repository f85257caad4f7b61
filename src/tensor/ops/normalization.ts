// Softmax and layer normalisation: one kernel forward, and gradients that reuse what the kernel already found.
import { equalDims } from "../dim.ts";
import { operation, shapeError, type Tensor } from "../graph.ts";
import { matmul } from "./contraction.ts";
import { add, div, exp, mul, sqrt, sub } from "./elementwise.ts";
import { reshape, sum } from "./layout.ts";
import { mean } from "./reduction.ts";

const applySoftmax = operation({
  name: "softmax",
  type: ([x]) => x!,
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
  type: ([x]) => x!,
  // dx = dy − eʸ Σ dy, row by row.
  gradient: ({ dy, outputs: [y] }) => [sub(dy, mul(exp(y!), sum(dy, { axes: [-1], keepDims: true })))],
  onnx: (emitter, inputs) => emitter.one("LogSoftmax", inputs, { attributes: { axis: { int: -1 } } }),
  samples: [{ inputs: [{ shape: [2, 3, 4] }] }],
});

/** x − ln Σ eˣ over the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  return applyLogSoftmax([x], {})[0]!;
}

const applyLayerNorm = operation<{ readonly epsilon: number }>({
  name: "layerNorm",
  type: (inputs) => {
    const [x, scale, shift] = inputs;
    const width = x!.shape.at(-1);
    for (const part of [scale!, shift!]) {
      if (width === undefined || part.dtype !== x!.dtype || part.shape.length !== 1 || !equalDims(part.shape[0]!, width)) {
        throw shapeError("layerNorm", inputs, `scale and shift of [${width}] are wanted`);
      }
    }
    const row = { dtype: x!.dtype, shape: [...x!.shape.slice(0, -1), 1] };
    return [x!, row, row];
  },
  // With x̂ = (x − mean) · inv and g = dy · scale: dx = inv (g − mean g − x̂ mean(g x̂)). The two means are products with
  // scale / width, which leave no [.., width] intermediate behind.
  gradient: ({ dy, inputs: [x, scale], outputs: [, average, inverse], wants }) => {
    const width = scale!.shape[0]! as number;
    const leading = x!.shape.map((_, axis) => axis).slice(0, -1);
    const normalised = mul(sub(x!, average!), inverse!);
    const projected = mul(dy, normalised);
    const weights = reshape(mul(scale!, 1 / width), [width, 1]);
    const dx = (): Tensor => {
      const centre = sub(mul(dy, scale!), matmul(dy, weights));
      return mul(inverse!, sub(centre, mul(normalised, matmul(projected, weights))));
    };
    return [wants(0) ? dx() : undefined, wants(1) ? sum(projected, { axes: leading }) : undefined, wants(2) ? sum(dy, { axes: leading }) : undefined];
  },
  onnx: (emitter, inputs, node, { epsilon }) => {
    const { dtype } = node.inputs[0]!;
    if (dtype === "float32") {
      return emitter.all("LayerNormalization", inputs, { attributes: { axis: { int: -1 }, epsilon: { float: epsilon } }, outputs: 3 });
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
  samples: [{ inputs: [{ shape: [2, 3, 4] }, { shape: [4] }, { shape: [4] }], attributes: { epsilon: 1e-5 } }],
});

/**
 * (x − mean) / √(variance + ε) · scale + shift over the last axis.
 * Ba, Kiros and Hinton 2016, "Layer Normalization", equation 4.
 */
export function layerNorm(x: Tensor, scale: Tensor, shift: Tensor, { epsilon = 1e-5 }: { epsilon?: number } = {}): Tensor {
  return applyLayerNorm([x, scale, shift], { epsilon })[0]!;
}

/** The same from elementary operations: the slow twin, and the form for dtypes without a kernel. */
export function layerNormPlain(x: Tensor, scale: Tensor, shift: Tensor, { epsilon = 1e-5 }: { epsilon?: number } = {}): Tensor {
  const centred = sub(x, mean(x, { axes: [-1], keepDims: true }));
  const variance = mean(mul(centred, centred), { axes: [-1], keepDims: true });
  return add(mul(div(centred, sqrt(add(variance, epsilon))), scale), shift);
}
