// Lookups into one table, as shared embeddings do: their gradients are merged into a single scatter and must be those of products
// with one-hot rows.
import { expect, test } from "vitest";
import * as t from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";
import { draw, evaluate, inputsFor, numbers, type Values } from "./evaluate.ts";

const [rows, width] = [7, 3];
const ids = (count: number, seed: number, dtype: "int32" | "int64" = "int32") =>
  draw({ dims: [count], seed, dtype, range: [0, 4] }); // few ids, so many repeat
const oneHotLookup = (table: t.Tensor, at: t.Tensor): t.Tensor => t.matmul(t.oneHot(at, rows, "float64"), table);
type Lookup = (table: t.Tensor, at: t.Tensor) => t.Tensor;

async function compare(values: Values, loss: (lookup: Lookup, ...inputs: t.Tensor[]) => t.Tensor): Promise<t.Tensor> {
  const inputs = inputsFor(values);
  const fast = t.gradients(loss(t.gather, ...inputs), [inputs[0]!])[0]!;
  const slow = t.gradients(loss(oneHotLookup, ...inputs), [inputs[0]!])[0]!;
  const [got, expected] = await evaluate(inputs, values, [fast, slow]);
  expectClose(numbers(got!), numbers(expected!), { within: 1e-12 });
  return fast;
}

const scatters = (gradient: t.Tensor): number =>
  t.topologicalOrder([gradient]).filter(({ operation }) => operation.name === "scatterAdd").length;

test("one lookup with repeated ids", async () => {
  const gradient = await compare([draw({ dims: [rows, width], seed: 1 }), ids(9, 2)], (lookup, table, at) =>
    t.sum(t.sin(lookup(table, at))),
  );
  expect(scatters(gradient)).toBeGreaterThan(0);
});

test("a table tied three ways, as source, target and output: gradients meet in one scatter", async () => {
  const values = [draw({ dims: [rows, width], seed: 1 }), ids(9, 2), ids(5, 3), draw({ dims: [4, width], seed: 4 })];
  const gradient = await compare(values, (lookup, table, source, target, hidden) => {
    const read = t.add(t.sum(t.sin(lookup(table, source))), t.sum(t.exp(lookup(table, target))));
    return t.add(read, t.sum(t.logSoftmax(t.matmul(hidden, table, { transposeB: true }))));
  });
  const last = gradient.node.operation.name === "expand" ? gradient.node.inputs[0]! : gradient;
  expect(last.node.operation.name).toBe("scatterAdd");
  expect(last.node.inputs[1]!.shape).toEqual([14]);
});

test("lookups with int32 and with int64 ids", async () => {
  await compare([draw({ dims: [rows, width], seed: 1 }), ids(6, 2), ids(3, 3, "int64")], (lookup, table, a, b) =>
    t.add(t.sum(t.sin(lookup(table, a))), t.sum(t.exp(lookup(table, b)))),
  );
});

test("the loss over a vocabulary that shares the table", async () => {
  const values = [
    draw({ dims: [rows, width], seed: 1 }),
    ids(6, 2),
    draw({ dims: [6], seed: 3, dtype: "int32", range: [0, rows] }),
  ];
  await compare(values, (lookup, table, source, labels) => {
    const x = t.tanh(lookup(table, source));
    if (lookup === t.gather) return t.sum(t.linearCrossEntropy(x, table, labels, { smoothing: 0.1 }).loss);
    const target = t.add(t.mul(t.oneHot(labels, rows, "float64"), 0.9), 0.1 / rows);
    return t.neg(t.sum(t.mul(target, t.logSoftmax(t.matmul(x, table, { transposeB: true })))));
  });
});

test("adding many rows to few, with two threads, loses none and gives the same bits 50 times", async () => {
  // Whole numbers below 2²⁴ add exactly in any order, so a lost update would show.
  const [updates, columns, targets] = [30_000, 16, 5];
  const whole = draw({ dims: [updates, columns], seed: 1, dtype: "float32", range: [0, 9] });
  for (let i = 0; i < whole.data.length; i++) whole.data[i] = Math.floor(whole.data[i] as number);
  const places = draw({ dims: [updates], seed: 2, dtype: "int32", range: [0, targets] });
  const expected = new Float64Array(targets * columns);
  places.data.forEach((place, row) => {
    for (let column = 0; column < columns; column++)
      expected[Number(place) * columns + column]! += whole.data[row * columns + column] as number;
  });
  const fractions = draw({ dims: [updates, columns], seed: 3, dtype: "float32" });
  const values = [places, whole, fractions];
  const inputs = inputsFor(values) as [t.Tensor, t.Tensor, t.Tensor];
  const base = t.zeros({ dtype: "float32", shape: [targets, columns] });
  const outputs = [t.scatterAdd(base, inputs[0], inputs[1]), t.scatterAdd(base, inputs[0], inputs[2])];
  let first: Float32Array | undefined;
  for (let run = 0; run < 50; run++) {
    const [exact, rounded] = await evaluate(inputs, values, outputs, { threads: 2 });
    expect(numbers(exact!)).toEqual([...expected]);
    first ??= rounded!.data as Float32Array;
    expect(rounded!.data).toEqual(first);
  }
});

test("the same for single values along an axis", async () => {
  const [rowCount, count, columns] = [40, 20_000, 3];
  const ones = draw({ dims: [rowCount, count], seed: 1, dtype: "float32", range: [1, 1] });
  const places = draw({ dims: [rowCount, count], seed: 2, dtype: "int32", range: [0, columns] });
  const values = [places, ones];
  const inputs = inputsFor(values) as [t.Tensor, t.Tensor];
  const counted = t.scatterElementsAdd(
    t.zeros({ dtype: "float32", shape: [rowCount, columns] }),
    inputs[0],
    inputs[1],
    1,
  );
  for (let run = 0; run < 10; run++) {
    const [total] = await evaluate(inputs, values, [t.sum(counted, { axes: [1] })], { threads: 2 });
    expect(numbers(total!)).toEqual(new Array<number>(rowCount).fill(count));
  }
});
