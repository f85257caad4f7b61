// Arrays whose size the data decide: chosen rows, what is computed of them, and what flows back.
import { expect, test } from "vitest";
import { elementCount, hostTensor, type HostTensor } from "../../src/base/index.ts";
import { compile } from "../../src/engine/index.ts";
import * as t from "../../src/tensor/index.ts";
import { dataDim, largestDim } from "../../src/tensor/dim.ts";
import { expectClose } from "../close.ts";
import { draw, numbers } from "./evaluate.ts";

const [rows, width] = [t.dim("rows"), 3];
const mask = t.input("mask", "bool", [rows]);
const truth = (...values: number[]): HostTensor => hostTensor("bool", [values.length], values);

const masks = [
  ["some", [0, 1, 1, 0, 1]],
  ["all", [1, 1, 1]],
  ["one", [0, 0, 1]],
  ["none", [0, 0, 0, 0]],
  ["no rows at all", []],
] as const;

test.each(masks)("trueIndices gives the places of %s in rising order", async (_, values) => {
  await using run = await compile(
    { name: "places", inputs: { mask }, outputs: { places: t.trueIndices(mask) } },
    { threads: 1 },
  );
  const { places } = await run.run({ mask: truth(...values) });
  const expected = values.flatMap((value, i) => (value === 1 ? [i] : []));
  expect(places!.dtype).toBe("int64");
  expect(places!.dims).toEqual([expected.length]);
  expect(numbers(places!)).toEqual(expected);
});

test.each(masks)(
  "a linear layer over %s of the rows, scattered back, is one over all with the rest zero",
  async (_, values) => {
    const count = values.length;
    const x = t.input("x", "float64", [rows, width]);
    const weight = t.input("weight", "float64", [width, 2]);
    const bias = t.input("bias", "float64", [2]);
    const upstream = t.input("upstream", "float64", [rows, 2]);
    const places = t.trueIndices(mask);
    const some = t.tanh(t.affine(t.gather(x, places), weight, bias));
    const chosen = t.scatterAdd(t.zeros({ dtype: "float64", shape: [rows, 2] }), places, some);
    const dense = t.where(t.reshape(mask, [rows, 1]), t.tanh(t.affine(x, weight, bias)), 0);
    const outputs: Record<string, t.Tensor> = {};
    for (const [name, y] of Object.entries({ chosen, dense })) {
      outputs[name] = y;
      t.gradients(t.sum(t.mul(y, upstream)), [x, weight, bias]).forEach((g, i) => (outputs[`${name}${i}`] = g));
    }
    await using run = await compile(
      { name: "chosen", inputs: { mask, x, weight, bias, upstream }, outputs },
      { threads: 1 },
    );
    const results = await run.run({
      mask: truth(...values),
      x: draw({ dims: [count, width], seed: 1 }),
      weight: draw({ dims: [width, 2], seed: 2 }),
      bias: draw({ dims: [2], seed: 3 }),
      upstream: draw({ dims: [count, 2], seed: 4 }),
    });
    for (const part of ["", "0", "1", "2"]) {
      const [got, wanted] = [results[`chosen${part}`]!, results[`dense${part}`]!];
      expect(got.dims).toEqual(wanted.dims);
      expectClose(numbers(got), numbers(wanted), { within: 1e-12, what: part === "" ? "values" : `gradient ${part}` });
    }
  },
);

// The runtime has other kernels for float32, and takes other paths where there is nothing to multiply.
test("in float32 the gradients of a layer that nobody chose are exactly zero", async () => {
  const x = t.input("x", "float32", [rows, 16]);
  const [first, second] = [t.input("first", "float32", [16, 32]), t.input("second", "float32", [32, 16])];
  const bias = t.input("bias", "float32", [32]);
  const places = t.trueIndices(mask);
  const hidden = t.relu(t.affine(t.gather(x, places), first, bias));
  const y = t.scatterAdd(t.zeros(x), places, t.matmul(hidden, second));
  const flowing = t.gradients(t.sum(t.mul(y, y)), [x, first, second, bias]);
  const outputs = Object.fromEntries([y, ...flowing].map((tensor, i) => [`y${i}`, tensor]));
  await using run = await compile({ name: "idle", inputs: { mask, x, first, second, bias }, outputs }, { threads: 2 });
  const float = (...dims: number[]): HostTensor => draw({ dims, seed: 5, dtype: "float32" });
  const weights = { x: float(6, 16), first: float(16, 32), second: float(32, 16), bias: float(32) };
  // A run that fills the arena first, so that zeros are not merely what fresh memory holds.
  await run.run({ ...weights, mask: truth(1, 1, 1, 1, 1, 1) });
  const results = await run.run({ ...weights, mask: truth(0, 0, 0, 0, 0, 0) });
  for (const [name, { data }] of Object.entries(results))
    expect(
      numbers({ data } as HostTensor).filter((value) => value !== 0),
      name,
    ).toEqual([]);
});

test("a size that the data decide is known wherever it is asked for, also where no tensor leads to it", async () => {
  const places = t.trueIndices(mask);
  const count = places.shape[0]!;
  const outputs = {
    zeros: t.zeros({ dtype: "float32", shape: [count, 2] }),
    numbered: t.range(t.addDims(t.mulDims(count, 2), 1)),
    half: t.range(t.floorDivideDim(count, 2)),
    places,
  };
  await using run = await compile({ name: "sizes", inputs: { mask }, outputs }, { threads: 1 });
  const results = await run.run({ mask: truth(1, 0, 1, 1) });
  const dims = Object.entries(results).map(([name, value]) => [name, value.dims]);
  expect(Object.fromEntries(dims)).toEqual({ zeros: [3, 2], numbered: [7], half: [1], places: [3] });
});

test("two choices have two sizes, which are not taken for equal", () => {
  const [a, b] = [t.trueIndices(mask), t.trueIndices(mask)];
  expect(() => t.add(a, b)).toThrow(/axis -1 does not meet/);
});

test("dropout over chosen rows asks for bytes that a batch's own sizes tell, and keeps what they say", async () => {
  const x = t.input("x", "float32", [rows, width]);
  const places = t.trueIndices(mask, { atMost: t.floorDivideDim(t.addDims(rows, 1), 2) });
  const y = t.dropout(t.gather(x, places), 0.5);
  const bytes = t.topologicalOrder([y]).find(({ attributes }) => attributes.label === t.randomLabel)!.outputs[0]!;
  expect(bytes.shape.map((size) => t.evaluateDim(size, new Map([["rows", 5]])))).toEqual([9]);
  await using run = await compile({ name: "dropping", inputs: { mask, x, bytes }, outputs: { y } }, { threads: 1 });
  const given = hostTensor("uint8", [9], [0, 127, 128, 255, 1, 200, 7, 8, 9]);
  const result = await run.run({
    mask: truth(0, 1, 0, 0, 1),
    x: hostTensor("float32", [5, 3], new Float32Array(15).fill(1)),
    bytes: given,
  });
  expect([...(result.y!.data as Float32Array)]).toEqual([2, 2, 0, 0, 2, 0]);
});

test("the largest value of a size bounds every data size in it", () => {
  const chosen = dataDim("chosen", t.mulDims(rows, 2));
  const both = t.addDims(t.mulDims(chosen, rows), t.subDims(7, chosen));
  expect(String(largestDim(both))).toBe("2·rows·rows + 7");
  expect(String(largestDim(t.floorDivideDim(chosen, 3)))).toBe("floor((2*rows)/3)");
  expect(String(largestDim(t.subDims(rows, 1)))).toBe("rows - 1");
  expect(elementCount([largestDim(5) as number])).toBe(5);
});
