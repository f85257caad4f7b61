import { describe, expect, test } from "vitest";
import { benchmarks } from "../../bench/cases.ts";
import { decodingProducts, merge, operationsOf, productsOf, trainingProducts } from "../../bench/products.ts";
import { namedParameters, parameterInputs } from "../../src/nn/index.ts";
import { teacherForcing, Transformer } from "../../src/models/index.ts";
import { dim, gradients, input, matmul, type Program } from "../../src/tensor/index.ts";

const training = benchmarks.filter((benchmark) => benchmark.kind === "training");

describe("products read from a program", () => {
  const a = input("a", "float32", [dim("batch"), dim("time"), 8]);
  const w = input("w", "float32", [8, 4]);

  test("leading axes are rows where the right side is a matrix", () => {
    const program: Program = { name: "p", inputs: { a, w }, outputs: { y: matmul(a, w) } };
    const sizes = new Map([
      ["batch", 3],
      ["time", 5],
    ]);
    expect(productsOf(program, sizes)).toMatchObject([
      { batch: 1, rows: 15, inner: 8, columns: 4, count: 1, constantB: false },
    ]);
    expect(productsOf(program, sizes, new Set(["w"]))).toMatchObject([{ constantB: true }]);
  });

  test("leading axes are a batch where both sides have them, and transposes are kept", () => {
    const program: Program = { name: "p", inputs: { a }, outputs: { y: matmul(a, a, { transposeB: true }) } };
    expect(
      productsOf(
        program,
        new Map([
          ["batch", 3],
          ["time", 5],
        ]),
      ),
    ).toMatchObject([{ batch: 3, rows: 5, inner: 8, columns: 5, transposeA: false, transposeB: true }]);
  });

  test("equal products are one entry that counts them", () => {
    const [entry] = trainingProducts({ ...training[0]!, model: { ...training[0]!.model, layers: 1 } });
    expect(merge([entry!, entry!])).toEqual([{ ...entry!, count: 2 * entry!.count }]);
  });
});

describe("products written down from sizes", () => {
  // Multiply-adds a token, forward: 4 d² + 2 d f in an encoder layer, 8 d² + 2 d f in a decoder layer, 2 T d an attention, V d for
  // the logits; a training step makes each three times, and a multiply-add is two operations.
  test.each(training)("$name makes the operations that the textbook counts", ({ model, batch, time }) => {
    const { layers, dModel: d, dFeedForward: f, vocabulary } = model;
    const forward = layers * (12 * d * d + 4 * d * f + 3 * 2 * time * d) + vocabulary * d;
    expect(operationsOf(trainingProducts({ model, batch, time }))).toBe(2 * 3 * forward * batch * time);
  });

  test("greedy decoding makes the operations that the textbook counts", () => {
    const [B, S, T, L, d, f, V] = [2, 3, 4, 5, 8, 16, 100];
    const model = { layers: L, dModel: d, heads: 2, dFeedForward: f, vocabulary: V };
    const encoder = B * S * L * (4 * d * d + 2 * d * f + 2 * S * d);
    const memory = B * S * L * 2 * d * d;
    const past = (T * (T + 1)) / 2;
    const steps = B * (T * (L * (6 * d * d + 2 * d * f + 2 * S * d) + V * d) + L * 2 * past * d);
    expect(operationsOf(decodingProducts({ model, batch: B, time: S, outputTime: T, beams: 1 }))).toBe(
      2 * (encoder + memory + steps),
    );
  });

  test("our own training step makes no more than one hundredth more", () => {
    const sizes = { layers: 2, dModel: 32, heads: 2, dFeedForward: 64, vocabulary: 500 };
    const { vocabulary, ...options } = sizes;
    const model = new Transformer({ ...options, vocabularySize: vocabulary });
    const parameters = namedParameters(model);
    const { inputs, loss } = teacherForcing(model, { labelSmoothing: 0.1 });
    const changes = gradients(
      loss,
      [...parameters.values()].map(({ value }) => value),
    );
    const program: Program = {
      name: "step",
      inputs: { ...parameterInputs(parameters), ...inputs },
      outputs: { loss, ...Object.fromEntries(changes.map((change, i) => [`gradient.${i}`, change])) },
    };
    const named = new Map([
      ["batch", 4],
      ["sourceTime", 8],
      ["targetLength", 9],
    ]);
    const ours = operationsOf(productsOf(program, named));
    const needed = operationsOf(trainingProducts({ model: sizes, batch: 4, time: 8 }));
    expect(ours).toBeGreaterThanOrEqual(needed);
    expect(ours).toBeLessThan(1.01 * needed);
  });
});
