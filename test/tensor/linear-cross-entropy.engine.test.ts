// The fast loss over a vocabulary against its definition, −Σ q ln softmax(x Eᵀ + b), written with logSoftmax.
import fc from "fast-check";
import { expect, test } from "vitest";
import { hostTensor } from "../../src/base/index.ts";
import * as t from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";
import { draw, evaluate, expectGradient, inputsFor, numbers } from "./evaluate.ts";

interface Twin {
  x: t.Tensor;
  table: t.Tensor;
  labels: t.Tensor;
  bias: t.Tensor | undefined;
  smoothing: number;
}

function plain({ x, table, labels, bias, smoothing }: Twin): t.Tensor {
  const logits = t.matmul(x, table, { transposeB: true });
  const logProbabilities = t.logSoftmax(bias === undefined ? logits : t.add(logits, bias));
  const target = t.add(
    t.mul(t.oneHot(labels, table.shape[0]!, x.dtype), 1 - smoothing),
    smoothing / (table.shape[0] as number),
  );
  return t.neg(t.sum(t.mul(target, logProbabilities), { axes: [1] }));
}

const drawn = (rows: number, vocabulary: number, width: number, seed: number) => [
  draw({ dims: [rows, width], seed, range: [-2, 2] }),
  draw({ dims: [vocabulary, width], seed: seed + 1, range: [-2, 2] }),
  draw({ dims: [rows], seed: seed + 2, dtype: "int32", range: [0, vocabulary] }),
  draw({ dims: [vocabulary], seed: seed + 3 }),
  draw({ dims: [rows], seed: seed + 4 }),
];

for (const smoothing of [0, 0.1]) {
  for (const withBias of [false, true]) {
    test(`smoothing ${smoothing}, ${withBias ? "with" : "without"} bias: loss and gradients are those of the definition`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 6 }),
          fc.integer({ min: 2, max: 9 }),
          fc.integer({ min: 1, max: 5 }),
          fc.nat(10_000),
          async (rows, vocabulary, width, seed) => {
            const values = drawn(rows, vocabulary, width, seed);
            const inputs = inputsFor(values) as [t.Tensor, t.Tensor, t.Tensor, t.Tensor, t.Tensor];
            const [x, table, labels, bias, weights] = inputs;
            const { loss } = t.linearCrossEntropy(x, table, labels, { smoothing, bias: withBias ? bias : undefined });
            const definition = plain({ x, table, labels, bias: withBias ? bias : undefined, smoothing });
            const leaves = withBias ? [x, table, bias] : [x, table];
            const fast = t.gradients(t.sum(t.mul(loss, weights)), leaves);
            const slow = t.gradients(t.sum(t.mul(definition, weights)), leaves);
            const results = await evaluate(inputs, values, [loss, ...fast, definition, ...slow]);
            for (let i = 0; i <= leaves.length; i++) {
              expectClose(numbers(results[i]!), numbers(results[i + leaves.length + 1]!), {
                within: 1e-10,
                what: i === 0 ? "loss" : `gradient ${i}`,
              });
            }
          },
        ),
        { numRuns: 10 },
      );
    });

    test(`smoothing ${smoothing}, ${withBias ? "with" : "without"} bias: its gradient can be differentiated`, () => {
      const [x, table, labels, bias, weights] = drawn(4, 6, 3, 11);
      return expectGradient(
        [x!, table!, bias!, weights!, labels!],
        (a, b, c, w, ids) => {
          const { loss } = t.linearCrossEntropy(a, b, ids, { smoothing, bias: withBias ? c : undefined });
          const [dx, dTable] = t.gradients(t.sum(t.mul(t.sin(loss), w)), [a, b]);
          return t.concat([dx!, dTable!], 0);
        },
        { seed: 5, within: 1e-5 },
      );
    });
  }
}

test("the negative log-likelihood leaves smoothing out and has no gradient", async () => {
  const values = drawn(3, 5, 2, 3);
  const inputs = inputsFor(values) as [t.Tensor, t.Tensor, t.Tensor, t.Tensor, t.Tensor];
  const [x, table, labels, bias] = inputs;
  const { negativeLogLikelihood } = t.linearCrossEntropy(x, table, labels, { smoothing: 0.1, bias });
  const definition = plain({ x, table, labels, bias, smoothing: 0 });
  const [dx] = t.gradients(t.sum(negativeLogLikelihood), [x]);
  const [got, expected, gradient] = await evaluate(inputs, values, [negativeLogLikelihood, definition, dx!]);
  expectClose(numbers(got!), numbers(expected!), { within: 1e-12 });
  expect(numbers(gradient!).every((value) => value === 0)).toBe(true);
});

test("in float32 a hopeless row costs about 85 and not infinity", async () => {
  const values = [
    hostTensor("float32", [1, 1], [1000]),
    hostTensor("float32", [2, 1], [1, -1]),
    hostTensor("int32", [1], [1]),
  ];
  const inputs = inputsFor(values) as [t.Tensor, t.Tensor, t.Tensor];
  const [loss] = await evaluate(inputs, values, [t.linearCrossEntropy(...inputs).loss]);
  // −ln 1e-37 = 85.2
  expect(numbers(loss!)[0]).toBeCloseTo(85.2, 1);
});
