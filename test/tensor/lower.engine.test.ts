// Programs at their edges: what is handed through, shared, unused, fixed or empty must still be a valid ONNX file with the right values.
import { expect, test } from "vitest";
import { hostTensor, ShapeError } from "../../src/base/index.ts";
import { compile, type Feeds } from "../../src/engine/index.ts";
import * as t from "../../src/tensor/index.ts";

const floats = (dims: readonly number[], ...values: number[]) => hostTensor("float32", dims, values);

async function run(
  program: t.Program,
  feeds: Feeds,
  options: t.LowerOptions = {},
): Promise<Record<string, { dims: readonly number[]; values: number[] }>> {
  await using executable = await compile(program, { threads: 1, ...options });
  const results = await executable.run(feeds);
  return Object.fromEntries(
    Object.entries(results).map(([name, { dims, data }]) => [name, { dims, values: Array.from(data, Number) }]),
  );
}

test("an output may be an input, a constant, or the same value as another output", async () => {
  const x = t.input("x", "float32", [2]);
  const twice = t.mul(x, 2);
  const outputs = {
    same: x,
    again: x,
    fixed: t.constant(floats([2], 7, 8)),
    twice,
    alsoTwice: twice,
    viewed: t.reshape(twice, [2, 1]),
    back: t.reshape(t.reshape(x, [1, 2]), [2]),
  };
  const results = await run({ name: "edges", inputs: { x }, outputs }, { x: floats([2], 1, 3) });
  const twiceValues = { dims: [2], values: [2, 6] };
  const given = { dims: [2], values: [1, 3] };
  expect(results).toEqual({
    same: given,
    again: given,
    fixed: { dims: [2], values: [7, 8] },
    twice: twiceValues,
    alsoTwice: twiceValues,
    viewed: { dims: [2, 1], values: [2, 6] },
    back: given,
  });
});

test("equal computations are written once, and an input that nothing needs is not written", () => {
  const [x, unused] = [t.input("x", "float32", [3]), t.input("unused", "float32", [3])];
  const y = t.add(t.exp(x), t.exp(x));
  const { graph } = t.lower({ name: "shared", inputs: { x, unused }, outputs: { y } });
  expect(graph.nodes.map(({ op }) => op)).toEqual(["Exp", "Add"]);
  expect(graph.inputs.map(({ name }) => name)).toEqual(["x"]);
});

test("inputs and outputs may be called as nodes inside would be", async () => {
  const inputs = { Exp_0: t.input("a", "float32", []), constant_1: t.input("b", "float32", []) };
  const y = t.add(t.exp(inputs.Exp_0), t.mul(inputs.constant_1, 3));
  const results = await run(
    { name: "names", inputs, outputs: { Add_0: y, Mul_2: t.mul(y, 2) } },
    { Exp_0: floats([], 0), constant_1: floats([], 2) },
  );
  expect(results).toEqual({ Add_0: { dims: [], values: [7] }, Mul_2: { dims: [], values: [14] } });
});

test("an output that is called as an input is refused", () => {
  const x = t.input("x", "float32", []);
  expect(() => t.lower({ name: "loop", inputs: { x }, outputs: { x: t.mul(x, 2) } })).toThrow(/"x"/);
});

test("a value that is not among the inputs is refused by its label", () => {
  const stray = t.input("a forgotten mask", "float32", [2]);
  expect(() => t.lower({ name: "stray", inputs: {}, outputs: { y: t.exp(stray) } })).toThrow(
    /stray.*"a forgotten mask"/,
  );
});

test("a named size that stands on no input is refused", () => {
  const x = t.input("x", "float32", [3]);
  expect(() =>
    t.lower({ name: "lost", inputs: { x }, outputs: { y: t.expand(t.reshape(x, [1, 3]), [t.dim("batch"), 3]) } }),
  ).toThrow(ShapeError);
});

test("frozen inputs become part of the file", async () => {
  const [x, weight] = [t.input("x", "float32", [2]), t.input("weight", "float32", [2])];
  const program = { name: "frozen", inputs: { x, weight }, outputs: { y: t.mul(x, weight) } };
  const frozen = new Map([["weight", floats([2], 10, 100)]]);
  const { graph } = t.lower(program, { frozen });
  expect(graph.inputs.map(({ name }) => name)).toEqual(["x"]);
  expect((await run(program, { x: floats([2], 1, 2) }, { frozen })).y!.values).toEqual([10, 200]);
});

const [batch, time] = [t.dim("batch"), t.dim("time")];

test("named sizes are known when the program runs, in sums, products and rounded quotients", async () => {
  const x = t.input("x", "float32", [batch, time]);
  const rows = t.sizeOf(x.shape);
  const half = t.floorDivideDim(t.addDims(time, 1), 2);
  const outputs = {
    flat: t.reshape(x, [rows]),
    padded: t.pad(x, { axis: 1, after: 2 }),
    firstHalf: t.slice(x, { axis: 1, end: half }),
    counted: t.range(t.mulDims(2, half)),
    mean: t.mean(x),
    columns: t.mean(x, { axes: [0] }),
  };
  const results = await run({ name: "named", inputs: { x }, outputs }, { x: floats([2, 3], 1, 2, 3, 4, 5, 6) });
  expect(results).toEqual({
    flat: { dims: [6], values: [1, 2, 3, 4, 5, 6] },
    padded: { dims: [2, 5], values: [1, 2, 3, 0, 0, 4, 5, 6, 0, 0] },
    firstHalf: { dims: [2, 2], values: [1, 2, 4, 5] },
    counted: { dims: [4], values: [0, 1, 2, 3] },
    mean: { dims: [], values: [3.5] },
    columns: { dims: [3], values: [2.5, 3.5, 4.5] },
  });
});

test("different sizes keep different names in the file", () => {
  const x = t.input("x", "float32", [batch, time]);
  const outputs = {
    longer: t.pad(x, { axis: 1, after: 1 }),
    shorter: t.slice(x, { axis: 1, end: t.subDims(time, 1) }),
    flat: t.reshape(x, [-1]),
  };
  const names = t.lower({ name: "names", inputs: { x }, outputs }).graph.outputs.map(({ dims }) => dims.at(-1));
  expect(names).toEqual(["time+1", "time-1", "batch*time"]);
});

test("batches of no rows run and give no rows", async () => {
  const x = t.input("x", "float32", [batch, time, 4]);
  const heads = t.transpose(t.reshape(x, [batch, time, 2, 2]), [0, 2, 1, 3]);
  const outputs = { heads, merged: t.reshape(heads, [t.mulDims(batch, 2), time, 2]), total: t.sum(x, { axes: [0] }) };
  for (const [rows, length] of [
    [0, 3],
    [2, 0],
  ] as const) {
    const results = await run(
      { name: "empty", inputs: { x }, outputs },
      { x: hostTensor("float32", [rows, length, 4], new Float32Array(0)) },
    );
    expect(results.heads!.dims).toEqual([rows, 2, length, 2]);
    expect(results.merged!.dims).toEqual([rows * 2, length, 2]);
    expect(results.total).toEqual({ dims: [length, 4], values: new Array<number>(length * 4).fill(0) });
  }
});
