// Heads of keys and values pooled: on weights by hand, and on what attention makes of them.
import { describe, expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import { compile } from "../../src/engine/index.ts";
import { poolKeyValueHeads } from "../../src/models/grouped-query-conversion.ts";
import { AttentionScope } from "../../src/nn/attention/scope.ts";
import { initialize, MultiHeadAttention, namedParameters, parameterInputs } from "../../src/nn/index.ts";
import { dim, input } from "../../src/tensor/index.ts";
import { expectClose, largestDifference } from "../close.ts";

const [dModel, heads, dHead] = [8, 4, 2];
const random = new RandomStream(randomKey(21));
const x = hostTensor(
  "float32",
  [2, 5, dModel],
  Float32Array.from({ length: 80 }, () => random.normal()),
);

/** Values of one attention under the path `selfAttention`, offsets drawn too. */
function multiHeadValues(): Map<string, HostTensor<"float32">> {
  const values = new Map(
    [...initialize(namedParameters(new MultiHeadAttention({ dModel, heads })), 1)].map(([name, tensor]) => [
      `selfAttention.${name}`,
      tensor,
    ]),
  );
  for (const { data } of values.values()) for (let i = 0; i < data.length; i++) data[i]! += 0.3 * random.normal();
  return values;
}

/** Copies the first head of each group of `each` over the others of its group. */
function duplicateHeads(values: ReadonlyMap<string, HostTensor<"float32">>, each: number): void {
  for (const part of ["key.weight", "key.bias", "value.weight", "value.bias"]) {
    const { data } = values.get(`selfAttention.${part}`)!;
    const own = data.slice();
    for (let i = 0; i < data.length; i++) {
      const head = Math.floor((i % dModel) / dHead);
      data[i] = own[i - (head % each) * dHead]!;
    }
  }
}

async function outputOf(values: ReadonlyMap<string, HostTensor>, keyValueHeads: number): Promise<Float32Array> {
  const attention = new MultiHeadAttention({ dModel, heads, keyValueHeads });
  const given = input("x", "float32", [dim("batch"), dim("time"), dModel]);
  const { output } = attention.forward(given, new AttentionScope({ queryTime: given.shape[1]!, isCausal: true }));
  const inputs = { ...parameterInputs(namedParameters(attention)), x: given };
  await using run = await compile({ name: "attention", inputs, outputs: { output } }, { threads: 1 });
  const own = [...values].map(([name, tensor]) => [name.replace("selfAttention.", ""), tensor] as const);
  const results = await run.run({ ...Object.fromEntries(own), x });
  return results.output!.data as Float32Array;
}

test("each group's keys and values are the mean of its heads', worked by hand", () => {
  const values = new Map<string, HostTensor>([
    ["layers.0.selfAttention.key.weight", hostTensor("float32", [2, 4], [1, 3, 5, 9, 2, 4, -1, 1])],
    ["layers.0.selfAttention.value.bias", hostTensor("float32", [4], [1, 2, 3, 4])],
    ["layers.0.selfAttention.query.weight", hostTensor("float32", [2, 4], [1, 2, 3, 4, 5, 6, 7, 8])],
    ["layers.0.crossAttention.key.bias", hostTensor("float32", [4], [1, 2, 3, 4])],
  ]);
  // Four heads of one number each, in two groups: (1 + 3) / 2, (5 + 9) / 2 …
  const pooled = poolKeyValueHeads(values, { heads: 4, keyValueHeads: 2 });
  expect(pooled.get("layers.0.selfAttention.key.weight")).toEqual(hostTensor("float32", [2, 2], [2, 7, 3, 0]));
  expect(pooled.get("layers.0.selfAttention.value.bias")).toEqual(hostTensor("float32", [2], [1.5, 3.5]));
  for (const name of ["layers.0.selfAttention.query.weight", "layers.0.crossAttention.key.bias"])
    expect(pooled.get(name)).toBe(values.get(name));
  // Two heads of two numbers, in one group: (1 + 5) / 2, (3 + 9) / 2 …
  const single = poolKeyValueHeads(values, { heads: 2, keyValueHeads: 1, includes: () => true });
  expect(single.get("layers.0.selfAttention.key.weight")).toEqual(hostTensor("float32", [2, 2], [3, 6, 0.5, 2.5]));
  expect(single.get("layers.0.crossAttention.key.bias")).toEqual(hostTensor("float32", [2], [2, 3]));
});

test("as many groups as heads leave weights and outputs bit for bit", async () => {
  const values = multiHeadValues();
  const pooled = poolKeyValueHeads(values, { heads, keyValueHeads: heads });
  expect(pooled).toEqual(values);
  expect(largestDifference(await outputOf(pooled, heads), await outputOf(values, heads))).toBe(0);
});

describe.each([1, 2])("%i heads of keys and values", (keyValueHeads) => {
  test("compute what the whole model does where the heads of a group are alike", async () => {
    const values = multiHeadValues();
    duplicateHeads(values, heads / keyValueHeads);
    const pooled = poolKeyValueHeads(values, { heads, keyValueHeads });
    expect(pooled.get("selfAttention.key.weight")!.dims).toEqual([dModel, keyValueHeads * dHead]);
    expectClose(await outputOf(pooled, keyValueHeads), await outputOf(values, heads), { within: 1e-6 });
  });
});

describe("refused", () => {
  test.each<[string, { heads: number; keyValueHeads: number; includes?: () => boolean }, RegExp]>([
    [
      "groups of unlike size",
      { heads: 4, keyValueHeads: 3 },
      /keyValueHeads: must divide heads.*heads 4 and keyValueHeads 3/,
    ],
    ["no group", { heads: 4, keyValueHeads: 0 }, /keyValueHeads 0/],
    [
      "heads that the weights do not have",
      { heads: 3, keyValueHeads: 1 },
      /selfAttention\.key\.weight: float32 with 3 heads side by side is wanted, got float32 \[8, 8\]/,
    ],
    [
      "a filter that nothing passes",
      { heads: 4, keyValueHeads: 2, includes: () => false },
      /no attention with keys and values/,
    ],
  ])("%s", (_, options, message) => {
    expect(() => poolKeyValueHeads(multiHeadValues(), options)).toThrow(message);
  });
});
