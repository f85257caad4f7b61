// Adapters on a model: what they change, what they leave, and what becomes of them when they are merged.
import { describe, expect, test } from "vitest";
import { hostTensor } from "../../../src/base/index.ts";
import { compile } from "../../../src/engine/index.ts";
import {
  adapterOptions,
  adapterParameters,
  addAdapter,
  addHoulsby,
  addLora,
  freezeBase,
  isAdapterParameter,
  mergeLora,
  namedParameters,
  parameterInputs,
  removeAdapters,
  unmergeLora,
  type AdapterOptions,
} from "../../../src/nn/index.ts";
import { dim, gradients, input, mul, sum } from "../../../src/tensor/index.ts";
import { expectClose, largestDifference } from "../../close.ts";
import { noisyValues, outputOf, SmallModel } from "./small-model.ts";

const kinds: readonly (readonly [string, AdapterOptions])[] = [
  ["LoRA on queries and values", { kind: "lora", targets: ["query", "value"], rank: 2 }],
  ["LoRA on everything", { kind: "lora", targets: ["*"], rank: 3, alpha: 7, dropout: 0.1 }],
  ["Houlsby", { kind: "houlsby", bottleneck: 4 }],
];

const isBase = (name: string): boolean => !isAdapterParameter(name);

describe.each(kinds)("%s", (_, options) => {
  test("changes nothing at the start: the outputs are the base's, bit for bit", async () => {
    const model = new SmallModel();
    const base = noisyValues(model, isBase);
    const { y: before } = await outputOf(model, base);
    addAdapter(model, options);
    const { y: after } = await outputOf(model, noisyValues(model, isBase));
    expect(largestDifference(after!, before!)).toBe(0);
  });

  test("changes what comes out once it has values of its own", async () => {
    const model = new SmallModel();
    addAdapter(model, options);
    const { y: start } = await outputOf(model, noisyValues(model, isBase));
    const { y: later } = await outputOf(
      model,
      noisyValues(model, () => true),
    );
    expect(largestDifference(later!, start!)).toBeGreaterThan(0.01);
  });

  test("with the base frozen only adapters are trainable, and a loss has a gradient in each of them", async () => {
    const model = new SmallModel();
    addAdapter(model, options);
    freezeBase(model);
    const trainable = [...namedParameters(model)].filter(([, parameter]) => parameter.trainable);
    expect(trainable.map(([name]) => name)).toEqual([...adapterParameters(model).keys()]);
    const values = noisyValues(model, () => true);
    const slopes = await outputOf(model, values, {
      outputs: (y) => {
        const flowing = gradients(
          sum(mul(y, y)),
          trainable.map(([, { value }]) => value),
        );
        return Object.fromEntries(trainable.map(([name], i) => [`d ${name}`, flowing[i]!]));
      },
    });
    for (const [name, slope] of Object.entries(slopes))
      expect(Math.max(...slope.map(Math.abs)), name).toBeGreaterThan(0);
  });

  test("can be told from the model: what is read off it puts the same adapters on another", () => {
    const [model, other] = [new SmallModel(), new SmallModel()];
    expect(adapterOptions(model)).toBeUndefined();
    addAdapter(model, options);
    const read = adapterOptions(model)!;
    expect(read).toMatchObject({ ...options, targets: expect.any(Array) });
    addAdapter(other, read);
    expect(adapterOptions(other)).toEqual(read);
    const shapes = (of: SmallModel): unknown => [...adapterParameters(of)].map(([name, { shape }]) => [name, shape]);
    expect(shapes(other)).toEqual(shapes(model));
  });

  test("is gone when taken off", async () => {
    const model = new SmallModel();
    const names = [...namedParameters(model).keys()];
    addAdapter(model, options);
    expect(namedParameters(model).size).toBeGreaterThan(names.length);
    removeAdapters(model);
    expect([...namedParameters(model).keys()]).toEqual(names);
  });
});

describe("merging LoRA", () => {
  const options = { targets: ["query", "value", "feedForward.*"], rank: 2, alpha: 6 } as const;

  test("W + (alpha / rank) A B gives what W and the adapter give side by side, to 1e-5", async () => {
    const model = new SmallModel();
    addLora(model, options);
    const values = noisyValues(model, () => true);
    const { y: adapted } = await outputOf(model, values);
    removeAdapters(model);
    const merged = mergeLora(values, options);
    expect([...merged.keys()].sort()).toEqual([...namedParameters(model).keys()].sort());
    const { y: plain } = await outputOf(model, merged);
    expectClose(plain!, adapted!, { within: 1e-5 });
  });

  test("and subtracting it again gives the weights back, to 1e-6", () => {
    const model = new SmallModel();
    addLora(model, options);
    const values = noisyValues(model, () => true);
    const adapter = new Map([...values].filter(([name]) => isAdapterParameter(name)));
    const back = unmergeLora(mergeLora(values, options), adapter, options);
    expect([...back.keys()].sort()).toEqual([...values.keys()].sort());
    for (const [name, { data }] of values)
      expectClose(back.get(name)!.data as Float32Array, data, { within: 1e-6, what: name });
  });

  test("leaves the given values as they were, and passes on untouched tensors themselves", () => {
    const model = new SmallModel();
    addLora(model, { targets: ["layers.0.selfAttention.query"], rank: 2 });
    const values = noisyValues(model, () => true);
    const before = values.get("layers.0.selfAttention.query.weight")!.data.slice();
    const merged = mergeLora(values, { alpha: 4 });
    expect(values.get("layers.0.selfAttention.query.weight")!.data).toEqual(before);
    expect(merged.get("layers.0.selfAttention.query.weight")!.data).not.toEqual(before);
    expect(merged.get("layers.1.selfAttention.query.weight")).toBe(values.get("layers.1.selfAttention.query.weight"));
  });

  test("refuses Houlsby adapters, which are no sum with a weight", () => {
    const model = new SmallModel();
    addHoulsby(model, { bottleneck: 4 });
    expect(() =>
      mergeLora(
        noisyValues(model, () => true),
        { alpha: 1 },
      ),
    ).toThrow(/layers\.0\.selfAttention\.output: only low-rank adapters can be merged: .*adapter\.down\.weight/);
  });

  test("refuses what does not fit together, naming the three shapes", () => {
    const values = new Map([
      ["a.weight", hostTensor("float32", [4, 3], new Float32Array(12))],
      ["a.adapter.down", hostTensor("float32", [4, 2], new Float32Array(8))],
      ["a.adapter.up", hostTensor("float32", [2, 5], new Float32Array(10))],
    ]);
    expect(() => mergeLora(values, { alpha: 1 })).toThrow(
      "a.weight: float32 [from, to], [from, rank] and [rank, to] are wanted, got float32 [4, 3] with down float32 [4, 2] and up float32 [2, 5]",
    );
    values.delete("a.weight");
    expect(() => mergeLora(values, { alpha: 1 })).toThrow(/a\.weight: is not there/);
  });
});

test("another adapter needs no other program: with the base frozen into it, the adapter's tensors stay its inputs", async () => {
  const model = new SmallModel();
  addLora(model, { targets: ["query", "value"], rank: 2 });
  const values = noisyValues(model, () => true);
  const frozen = new Map([...values].filter(([name]) => isBase(name)));
  const x = input("x", "float32", [dim("batch"), dim("time"), 12]);
  const inputs = { ...parameterInputs(namedParameters(model)), x };
  await using run = await compile({ name: "frozen", inputs, outputs: { y: model.forward(x) } }, { threads: 1, frozen });
  expect(run.inputNames.filter((name) => name !== "x")).toEqual([...adapterParameters(model).keys()]);
});
