import { expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream, ShapeError, type HostTensor } from "../../src/base/index.ts";
import { compile } from "../../src/engine/index.ts";
import { affine, concat, dim, input, slice, type Tensor } from "../../src/tensor/index.ts";
import {
  AttentionScope,
  initialize,
  MultiHeadAttention,
  namedParameters,
  notPadding,
  parameterInputs,
  scaledDotProduct,
} from "../../src/nn/index.ts";
import { expectClose } from "../close.ts";

const random = new RandomStream(randomKey(11));
const draw = (...dims: number[]): HostTensor =>
  hostTensor(
    "float32",
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => random.normal()),
  );

test.each([
  [512, 7, "8 or 4"],
  [16, 0, "1 or 2"],
  [16, 2.5, "2 or 1"],
])("dModel %i with %d heads is refused, and heads that would fit are named", (dModel, heads, fitting) => {
  expect(() => new MultiHeadAttention({ dModel, heads })).toThrow(ShapeError);
  expect(() => new MultiHeadAttention({ dModel, heads })).toThrow(
    `attention: heads must divide dModel (got heads ${heads}, dModel ${dModel}). Heads ${fitting} would fit.`,
  );
});

test("several heads are separate attentions, each in its own slice of the width, put side by side", async () => {
  const [dModel, heads] = [12, 3];
  const dHead = dModel / heads;
  const attention = new MultiHeadAttention({ dModel, heads });
  const parameters = namedParameters(attention);
  const x = input("x", "float32", [dim("batch"), dim("queryTime"), dModel]);
  const memory = input("memory", "float32", [dim("batch"), dim("keyTime"), dModel]);
  const head = (i: number): Tensor => {
    const columns = (projection: "query" | "key" | "value", of: Tensor): Tensor => {
      const part = { start: i * dHead, end: (i + 1) * dHead };
      return affine(
        of,
        slice(attention[projection].weight.value, { axis: 1, ...part }),
        slice(attention[projection].bias!.value, { axis: 0, ...part }),
      );
    };
    return scaledDotProduct(columns("query", x), columns("key", memory), columns("value", memory)).context;
  };
  const outputs = {
    together: attention.lookAt(x, memory, new AttentionScope({ queryTime: dim("queryTime"), keyTime: dim("keyTime") }))
      .output,
    apart: attention.output.forward(concat([head(0), head(1), head(2)], -1)),
  };
  const run = await compile(
    { name: "heads", inputs: { ...parameterInputs(parameters), x, memory }, outputs },
    { threads: 1 },
  );
  const weights = new Map([...initialize(parameters, 1)].map(([name, { dims }]) => [name, draw(...dims)]));
  const { together, apart } = await run.run({
    ...Object.fromEntries(weights),
    x: draw(2, 5, dModel),
    memory: draw(2, 7, dModel),
  });
  expectClose(together!.data as Float32Array, apart!.data as Float32Array, { within: 1e-5 });
  await run.dispose();
});

test("attention is softmax(Q Kᵀ / √dHead) V", async () => {
  const [query, key, value] = (["query", "key", "value"] as const).map((name) =>
    input(name, "float32", [1, 1, 2, 4]),
  ) as [Tensor, Tensor, Tensor];
  const run = await compile(
    { name: "attention", inputs: { query, key, value }, outputs: { ...scaledDotProduct(query, key, value) } },
    { threads: 1 },
  );
  const { context, weights } = await run.run({
    query: hostTensor("float32", [1, 1, 2, 4], [2, 0, 0, 0, 0, 0, 0, 0]),
    key: hostTensor("float32", [1, 1, 2, 4], [1, 5, 5, 5, 0, 5, 5, 5]),
    value: hostTensor("float32", [1, 1, 2, 4], [1, 0, 0, 0, 0, 1, 0, 0]),
  });
  // Scores of the first query are 2 · 1 / √4 = 1 and 0, of the second 0 and 0.
  const share = Math.E / (Math.E + 1);
  expectClose(weights!.data as Float32Array, [share, 1 - share, 0.5, 0.5], { within: 1e-6 });
  expectClose(context!.data as Float32Array, [share, 1 - share, 0, 0, 0.5, 0.5, 0, 0], { within: 1e-6 });
  await run.dispose();
});

test("masks hide padding and what comes later, and a hidden key's weight is exactly zero", async () => {
  const ids = input("ids", "int32", [dim("batch"), dim("time")]);
  const vectors = input("vectors", "float32", [dim("batch"), 1, dim("time"), 4]);
  const { weights: padded } = scaledDotProduct(vectors, vectors, vectors, {
    bias: new AttentionScope({ queryTime: dim("time"), keys: notPadding(ids, 9) }).bias,
  });
  const { weights: causal } = scaledDotProduct(vectors, vectors, vectors, {
    bias: new AttentionScope({ queryTime: dim("time"), isCausal: true }).bias,
  });
  const run = await compile({ name: "masks", inputs: { ids, vectors }, outputs: { padded, causal } }, { threads: 1 });
  const results = await run.run({ ids: hostTensor("int32", [1, 3], [4, 9, 5]), vectors: draw(1, 1, 3, 4) });
  const hidden = (name: string): boolean[] => [...(results[name]!.data as Float32Array)].map((weight) => weight === 0);
  expect(hidden("padded")).toEqual([false, true, false, false, true, false, false, true, false]);
  expect(hidden("causal")).toEqual([false, true, true, false, false, true, false, false, false]);
  await run.dispose();
});
