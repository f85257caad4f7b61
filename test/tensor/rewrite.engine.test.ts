// Programs made from programs, and gradients that are not the chain rule's.
import { expect, test } from "vitest";
import { hostTensor } from "../../src/base/index.ts";
import * as t from "../../src/tensor/index.ts";
import { draw, evaluate, expectGradient, inputsFor, numbers } from "./evaluate.ts";

test("without dropout a program needs no random bytes and gives its value untouched", async () => {
  const x = t.input("x", "float32", [2, 3]);
  const y = t.mul(t.dropout(t.exp(x), 0.5), 2);
  const bytes = t.topologicalOrder([y]).find(({ attributes }) => attributes.label === t.randomLabel)!.outputs[0]!;
  const program = { name: "dropping", inputs: { x, bytes }, outputs: { y } };
  const inference = t.withoutDropout(program);
  expect([...t.usedInputs(inference).keys()]).toEqual(["x"]);
  expect(t.programNodes(inference).map(({ operation }) => operation.name)).not.toContain("dropout");
  const value = draw({ dims: [2, 3], seed: 1, dtype: "float32" });
  const [got] = await evaluate([inference.inputs.x!], [value], [inference.outputs.y!]);
  numbers(got!).forEach((g, i) => expect(g).toBeCloseTo(2 * Math.exp(value.data[i] as number), 5));
});

test("phase is its first value as traced and its second for inference, and needs the inputs of that one alone", async () => {
  const [x, batchMean, runningMean] = (["x", "batchMean", "runningMean"] as const).map((label) =>
    t.input(label, "float64", [2]),
  ) as [t.Tensor, t.Tensor, t.Tensor];
  const y = t.sub(x, t.phase(t.exp(batchMean), t.mul(runningMean, 2)));
  const inputs = { x, batchMean, runningMean };
  const gradient = t.gradients(t.sum(y), [batchMean])[0]!;
  const training = { name: "training", inputs, outputs: { y, gradient } };
  expect([...t.usedInputs(training).keys()]).toEqual(["x", "batchMean"]);
  const inference = t.withoutDropout({ name: "inference", inputs, outputs: { y } });
  expect([...t.usedInputs(inference).keys()]).toEqual(["x", "runningMean"]);
  expect(t.programNodes(inference).map(({ operation }) => operation.name)).not.toContain("exp");

  const values = [1, 2, 3].map((seed) => draw({ dims: [2], seed }));
  const [traced, slope] = await evaluate([x, batchMean, runningMean], values, [y, gradient]);
  const [inferred] = await evaluate([x, batchMean, runningMean], values, [inference.outputs.y!]);
  numbers(values[0]!).forEach((at, i) => {
    const [mean, running] = [numbers(values[1]!)[i]!, numbers(values[2]!)[i]!];
    expect(numbers(traced!)[i]).toBeCloseTo(at - Math.exp(mean), 12);
    expect(numbers(slope!)[i]).toBeCloseTo(-Math.exp(mean), 12);
    expect(numbers(inferred!)[i]).toBeCloseTo(at - 2 * running, 12);
  });
});

test("a phase within the branch of another is rewritten too", () => {
  const [a, b, c] = ["a", "b", "c"].map((label) => t.input(label, "float32", [2])) as [t.Tensor, t.Tensor, t.Tensor];
  const y = t.phase(a, t.neg(t.phase(b, c)));
  const inference = t.withoutDropout({ name: "nested", inputs: { a, b, c }, outputs: { y } });
  expect([...t.usedInputs(inference).keys()]).toEqual(["c"]);
});

test("a rewrite that changes nothing gives the same nodes", () => {
  const x = t.input("x", "float32", [2]);
  const program = { name: "same", inputs: { x }, outputs: { y: t.exp(x) } };
  expect(t.rewrite(program, () => undefined).outputs.y).toBe(program.outputs.y);
});

test("in double precision inputs, constants and casts are widened, ids are not", async () => {
  const [x, ids] = [t.input("x", "float32", [4, 2]), t.input("ids", "int32", [3])];
  const y = t.add(t.mul(t.gather(x, ids), 0.1), t.reshape(t.cast(ids, "float32"), [3, 1]));
  const wide = t.inDoublePrecision({ name: "wide", inputs: { x, ids }, outputs: { y } });
  expect(wide.inputs.x!.dtype).toBe("float64");
  expect(wide.inputs.ids!.dtype).toBe("int32");
  expect(wide.outputs.y!.dtype).toBe("float64");
  const values = [draw({ dims: [4, 2], seed: 1 }), hostTensor("int32", [3], [3, 0, 3])];
  const [got] = await evaluate([wide.inputs.x!, wide.inputs.ids!], values, [wide.outputs.y!]);
  const expected = [3, 0, 3].flatMap((id) =>
    [0, 1].map((column) => (values[0]!.data[id * 2 + column] as number) * Math.fround(0.1) + id),
  );
  numbers(got!).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 14));
});

test("dropout keeps what its bytes say, scaled so that the expectation stays, and its gradient has the same mask", async () => {
  const rate = 0.3; // bytes below round(256 · 0.7) = 179 are kept, scaled by 256/179
  const [x, bytes] = [
    draw({ dims: [3, 4], seed: 1 }),
    hostTensor("uint8", [3, 4], [0, 178, 179, 255, 1, 2, 3, 200, 201, 100, 150, 180]),
  ];
  const input = t.input("x", "float64", [3, 4]);
  const dropped = t.dropout(input, rate);
  const mask = dropped.node.inputs[1]!;
  const [y, gradient] = await evaluate(
    [input, mask],
    [x, bytes],
    [dropped, t.gradients(t.sum(t.mul(dropped, dropped)), [input])[0]!],
  );
  numbers(x).forEach((value, i) => {
    const scale = Number(bytes.data[i]) < 179 ? 256 / 179 : 0;
    expect(numbers(y!)[i]).toBeCloseTo(value * scale, 12);
    expect(numbers(gradient!)[i]).toBeCloseTo(2 * value * scale * scale, 12);
  });
});

test("a gradient of one's own takes the place of the chain rule, and can be differentiated in turn", async () => {
  const values = [draw({ dims: [3], seed: 1 })];
  const [x] = inputsFor(values) as [t.Tensor];
  // The value is sin x, its stated derivative x² (not cos x), whose own derivative is 2x.
  const y = t.customGradient(t.sin(x), [x], (dy) => [t.mul(dy, t.mul(x, x))]);
  const [first] = t.gradients(t.sum(y), [x]) as [t.Tensor];
  const [second] = t.gradients(t.sum(first), [x]) as [t.Tensor];
  const [value, stated, again] = await evaluate([x], values, [y, first, second]);
  numbers(values[0]!).forEach((at, i) => {
    expect(numbers(value!)[i]).toBeCloseTo(Math.sin(at), 12);
    expect(numbers(stated!)[i]).toBeCloseTo(at * at, 12);
    expect(numbers(again!)[i]).toBeCloseTo(2 * at, 12);
  });
});

test("nothing flows back through stopGradient, and all of it through the path beside it", async () => {
  const values = [draw({ dims: [3], seed: 1 })];
  const [x] = inputsFor(values) as [t.Tensor];
  const [gradient] = await evaluate([x], values, t.gradients(t.sum(t.mul(t.stopGradient(x), x)), [x]));
  numbers(gradient!).forEach((value, i) => expect(value).toBeCloseTo(values[0]!.data[i] as number, 14));
});

test("layerNorm is its plain twin, forward and backward", async () => {
  const values = [
    draw({ dims: [2, 3, 5], seed: 1 }),
    draw({ dims: [5], seed: 2 }),
    draw({ dims: [5], seed: 3 }),
    draw({ dims: [2, 3, 5], seed: 4 }),
  ];
  const inputs = inputsFor(values) as [t.Tensor, t.Tensor, t.Tensor, t.Tensor];
  const [x, scale, shift, weight] = inputs;
  const [fast, slow] = [t.layerNorm(x, scale, shift), t.layerNormPlain(x, scale, shift)];
  const of = (y: t.Tensor): t.Tensor[] => [y, ...t.gradients(t.sum(t.mul(y, weight)), [x, scale, shift])];
  const results = await evaluate(inputs, values, [...of(fast), ...of(slow)]);
  for (let i = 0; i < 4; i++)
    numbers(results[i]!).forEach((value, at) => expect(value).toBeCloseTo(numbers(results[i + 4]!)[at]!, 10));
});

test("rmsNorm of rows whose mean is zero is layerNorm without a shift", async () => {
  const x = hostTensor("float64", [2, 4], Float64Array.of(1, -1, 2, -2, 0.5, 0.5, -3, 2));
  const values = [x, draw({ dims: [4], seed: 2 }), hostTensor("float64", [4], new Float64Array(4))];
  const inputs = inputsFor(values) as [t.Tensor, t.Tensor, t.Tensor];
  const [rms, layer] = await evaluate(inputs, values, [
    t.rmsNorm(inputs[0], inputs[1], { epsilon: 1e-5 }),
    t.layerNorm(...inputs),
  ]);
  numbers(rms!).forEach((value, at) => expect(value).toBeCloseTo(numbers(layer!)[at]!, 12));
});

test("differentiating a program of many thousand steps does not exhaust the stack", async () => {
  let y = t.input("x", "float64", []);
  const x = y;
  for (let i = 0; i < 6000; i++) y = t.add(y, 0.5);
  expect(t.gradients(y, [x])).toHaveLength(1);
  await expectGradient([hostTensor("float64", [], [1])], (value) => t.mul(value, value), { seed: 1 });
});
