import { describe, expect, test } from "vitest";
import { FormatError, hostTensor, type HostTensor } from "../../src/base/index.ts";
import { initialize, Parameter, zeros, normal } from "../../src/nn/index.ts";
import { ParameterStore, vectorsWithoutDecay } from "../../src/train/parameter-store.ts";

const parameter = (shape: readonly number[], trainable = true) =>
  new Parameter({ shape, initializer: zeros, trainable });
const model = () =>
  new Map([
    ["embedding.weight", parameter([5, 4])],
    ["positions", parameter([3, 4], false)],
    ["norm.scale", parameter([4])],
    ["output.weight", parameter([4, 17])],
    ["output.bias", parameter([17])],
  ]);

/** Tensors that fit `model`, each filled with its own number. */
const fitting = () =>
  new Map<string, HostTensor>(
    [...model()].map(([name, { shape }], i) => [
      name,
      hostTensor("float32", shape, new Float32Array(shape.reduce((a, b) => a * b)).fill(i + 1)),
    ]),
  );

describe("layout", () => {
  test("parameters of a group lie side by side, trainable ones first, each padded to 16 floats", () => {
    const store = new ParameterStore(model(), { groups: [vectorsWithoutDecay] });
    const starts = Object.fromEntries(
      Object.entries(store.values).map(([name, { data }]) => [name, data.byteOffset / 4]),
    );
    expect(starts).toEqual({
      "norm.scale": 0,
      "output.bias": 16,
      "embedding.weight": 48,
      "output.weight": 80,
      positions: 160,
    });
    expect(store.ranges).toEqual([
      { start: 0, count: 48, learningRateFactor: 1, weightDecayFactor: 0 },
      { start: 48, count: 112, learningRateFactor: 1, weightDecayFactor: 1 },
    ]);
    expect(store.flat("value").length).toBe(160);
    expect(store.trainableCount).toBe(20 + 4 + 68 + 17);
  });

  test("a parameter goes to the first group that includes it", () => {
    const groups = [
      { includes: (name: string) => name.startsWith("output."), learningRateFactor: 0.5 },
      vectorsWithoutDecay,
    ];
    const { ranges } = new ParameterStore(model(), { groups });
    expect(ranges.map(({ start, count, learningRateFactor }) => [start, count, learningRateFactor])).toEqual([
      [0, 80 + 32, 0.5],
      [112, 16, 1],
      [128, 32, 1],
    ]);
  });

  test("values list the model's parameters in the model's order; gradients and slots the trainable ones", () => {
    const store = new ParameterStore(model(), { slots: ["m"], groups: [vectorsWithoutDecay] });
    expect(Object.keys(store.values)).toEqual([...model().keys()]);
    expect(Object.keys(store.gradients)).toEqual(["embedding.weight", "norm.scale", "output.weight", "output.bias"]);
    expect(Object.keys(store.tensors("m"))).toEqual(Object.keys(store.gradients));
    expect(store.tensors("m")).toBe(store.tensors("m"));
  });

  test("a value, its gradient and its slots have the same place in their flat arrays", () => {
    const store = new ParameterStore(model(), { slots: ["m"], groups: [vectorsWithoutDecay] });
    for (const region of ["value", "gradient", "m"]) {
      store.tensors(region)["output.weight"]!.data[5] = 9;
      expect(store.flat(region).indexOf(9)).toBe(85);
    }
  });

  test("scalars and models without trainable parameters have a store too", () => {
    const store = new ParameterStore(new Map([["a", parameter([], false)]]));
    store.load(new Map([["a", hostTensor("float32", [], [3])]]));
    expect(store.values.a!.data[0]).toBe(3);
    expect([store.ranges.length, store.flat("gradient").length, store.trainableCount]).toEqual([0, 0, 0]);
  });
});

describe("load and copyOut", () => {
  test("what was loaded comes out, as copies", () => {
    const store = new ParameterStore(model(), { groups: [vectorsWithoutDecay] });
    store.load(fitting());
    const copies = store.copyOut();
    expect(copies).toEqual(fitting());
    store.values["norm.scale"]!.data[0] = 100;
    expect(copies.get("norm.scale")!.data[0]).toBe(3);
  });

  test("an initialized model loads", () => {
    const parameters = new Map([["w", new Parameter({ shape: [3, 5], initializer: normal(0.02) })]]);
    const store = new ParameterStore(parameters);
    store.load(initialize(parameters, 1));
    expect(store.copyOut()).toEqual(initialize(parameters, 1));
  });

  test("moments load into their slot by the trainable parameters' names", () => {
    const store = new ParameterStore(model(), { slots: ["m"] });
    const moments = fitting();
    expect(() => store.load(moments, "m")).toThrow("positions: unexpected: the model has no m of this name");
    moments.delete("positions");
    store.load(moments, "m");
    expect(store.copyOut("m").get("output.bias")).toEqual(moments.get("output.bias"));
    expect(store.flat("value").every((value) => value === 0)).toBe(true);
  });

  test.each<[string, (tensors: Map<string, HostTensor>) => void, string]>([
    [
      "another shape",
      (t) => t.set("output.weight", hostTensor("float32", [17, 4], new Float32Array(68))),
      "output.weight: the model's value is float32 [4, 17], got float32 [17, 4]",
    ],
    [
      "another number of axes",
      (t) => t.set("norm.scale", hostTensor("float32", [4, 1], new Float32Array(4))),
      "norm.scale: the model's value is float32 [4], got float32 [4, 1]",
    ],
    [
      "another dtype",
      (t) => t.set("norm.scale", hostTensor("float16", [4], new Uint16Array(4))),
      "norm.scale: the model's value is float32 [4], got float16 [4]",
    ],
    [
      "one missing",
      (t) => t.delete("output.bias"),
      "output.bias: missing: the model's value float32 [17] was not given",
    ],
    [
      "several missing",
      (t) => ["output.bias", "positions"].forEach((name) => t.delete(name)),
      "positions: missing: the model's value float32 [3, 4] was not given, and with it 1 more",
    ],
    ["one too many", (t) => t.set("extra", hostTensor("float32", [1], [1])), "extra: unexpected"],
  ])("%s is an error that names the tensor, and nothing is written", (_, spoil, message) => {
    const tensors = fitting();
    spoil(tensors);
    const store = new ParameterStore(model());
    expect(() => store.load(tensors)).toThrow(FormatError);
    expect(() => store.load(tensors)).toThrow(message);
    expect(store.flat("value").every((value) => value === 0)).toBe(true);
  });
});

test("a slot that is named like a region or twice is refused", () => {
  expect(() => new ParameterStore(model(), { slots: ["gradient"] })).toThrow('a slot cannot be called "gradient"');
  expect(() => new ParameterStore(model(), { slots: ["m", "m"] })).toThrow('a slot cannot be called "m"');
});
