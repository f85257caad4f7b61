// Gradients are tensors of the same graph, so they can be differentiated again, through rules that are fast forms as well.
import fc from "fast-check";
import { test } from "vitest";
import * as t from "../../src/tensor/index.ts";
import { draw, expectGradient, type Values } from "./evaluate.ts";

/** x ↦ d(Σ sin(build(x)) )/dx, which `expectGradient` then differentiates. The sine keeps the first gradient from being constant. */
const slope =
  (build: (...inputs: t.Tensor[]) => t.Tensor, leaf = 0) =>
  (...inputs: t.Tensor[]): t.Tensor =>
    t.gradients(t.sum(t.sin(build(...inputs))), [inputs[leaf]!])[0]!;

const step = 1e-5;
const x23 = draw({ dims: [2, 3], seed: 1 });
const x34 = draw({ dims: [3, 4], seed: 2 });
const row4 = draw({ dims: [4], seed: 3 });
const shift4 = draw({ dims: [4], seed: 4 });
const ids = draw({ dims: [5], seed: 5, dtype: "int32", range: [0, 3] });

const cases: [string, Values, (...inputs: t.Tensor[]) => t.Tensor][] = [
  ["matmul", [x23, x34], (a, b) => t.matmul(a, b)],
  ["affine", [x23, x34, row4], (a, b, c) => t.affine(a, b, c)],
  ["softmax", [x34], (x) => t.softmax(x)],
  ["logSoftmax", [x34], (x) => t.logSoftmax(x)],
  ["layerNorm", [x34, row4, shift4], (x, scale, shift) => t.layerNorm(x, scale, shift)],
  ["rmsNorm", [x34, row4], (x, scale) => t.rmsNorm(x, scale)],
  ["gather", [x34, ids], (table, at) => t.gather(table, at)],
  ["where", [x34], (x) => t.where(t.greater(x, 0), t.mul(x, x), t.exp(x))],
  ["division", [x34], (x) => t.div(t.add(x, 3), t.add(t.mul(x, x), 1))],
  ["cumulativeSum", [x34], (x) => t.mul(t.cumulativeSum(x, 1), x)],
  ["slice and pad", [x34], (x) => t.mul(t.pad(t.slice(x, { axis: 1, start: 1 }), { axis: 1, after: 1 }), x)],
  ["expm1 and log1p", [x34], (x) => t.expm1(t.log1p(t.mul(x, x)))],
];

for (const [name, values, build] of cases) {
  for (const leaf of values.keys()) {
    if (!values[leaf]!.dtype.startsWith("float")) continue;
    test(`${name}: the derivative of the gradient of input ${leaf}`, () =>
      expectGradient(values, slope(build, leaf), { seed: 7, step, within: 1e-6 }));
  }
}

test("a random composite has the second derivative that differences show", async () => {
  const steps: ((x: t.Tensor, w: t.Tensor) => t.Tensor)[] = [
    (x) => t.tanh(x),
    (x, w) => t.matmul(x, w),
    (x) => t.softmax(x),
    (x) => t.mul(x, t.sigmoid(x)),
    (x) => t.add(x, t.mean(x, { axes: [1], keepDims: true })),
    (x, w) =>
      t.layerNorm(
        x,
        t.reshape(t.slice(w, { axis: 0, end: 1 }), [3]),
        t.reshape(t.slice(w, { axis: 0, start: 2 }), [3]),
      ),
    (x) => t.transpose(x, [1, 0]),
    (x) => t.div(x, t.add(t.sum(t.mul(x, x)), 1)),
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(steps.length - 1), { minLength: 1, maxLength: 6 }),
      fc.nat(10_000),
      (chain, seed) => {
        const build = (x: t.Tensor, w: t.Tensor): t.Tensor => chain.reduce((value, at) => steps[at]!(value, w), x);
        const values = [draw({ dims: [3, 3], seed }), draw({ dims: [3, 3], seed: seed + 1, range: [0.5, 1.5] })];
        return expectGradient(values, slope(build), { seed, within: 1e-5 });
      },
    ),
    { numRuns: 25 },
  );
});
