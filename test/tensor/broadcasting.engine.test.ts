// Gradients on shapes drawn at random; a failure prints the seed with which fast-check repeats it.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { HostTensor } from "../../src/base/index.ts";
import * as t from "../../src/tensor/index.ts";
import { draw, evaluate, expectGradient, inputsFor, numbers } from "./evaluate.ts";

const size = fc.constantFrom(1, 1, 2, 3, 4);
const dims = (minLength: number, maxLength: number) => fc.array(size, { minLength, maxLength });

/** Shapes that broadcast to one: leading axes left out, others set to 1. */
const broadcastable = (operands: number) =>
  dims(0, 4).chain((full) =>
    fc.tuple(
      ...Array.from({ length: operands }, () =>
        fc
          .tuple(fc.nat(full.length), fc.array(fc.boolean(), { minLength: full.length, maxLength: full.length }))
          .map(([dropped, narrowed]) =>
            full.map((length, axis) => (narrowed[axis] === true ? 1 : length)).slice(dropped),
          ),
      ),
    ),
  );

const seeds = fc.nat(1_000_000);
const runs = { numRuns: 12 };
const check = <T extends [unknown, ...unknown[]]>(property: fc.IAsyncPropertyWithHooks<T>) => fc.assert(property, runs);

/**
 * Moves values to hundredths plus `offset`: never closer than 0.002 to a kink at zero, or to values with another offset. A
 * difference quotient across a kink is no derivative, and among thousands of draws one does come that close.
 */
const spaced = (host: HostTensor, offset: number): HostTensor => ({
  ...host,
  data: (host.data as Float64Array).map((value) => Math.floor(value * 100) / 100 + offset),
});

const binary: Record<string, [(a: t.Tensor, b: t.Tensor) => t.Tensor, [number, number]?]> = {
  add: [t.add],
  sub: [t.sub],
  mul: [t.mul],
  div: [t.div, [0.5, 2]],
  pow: [t.pow, [0.5, 2]],
  maximum: [t.maximum],
  minimum: [t.minimum],
};

test.each(Object.entries(binary))("%s: gradients on shapes that broadcast", async (_, [operation, range = [-1, 1]]) => {
  await check(
    fc.asyncProperty(broadcastable(2), seeds, ([a, b], seed) =>
      expectGradient(
        [spaced(draw({ dims: a!, seed, range }), 0.002), spaced(draw({ dims: b!, seed: seed + 100, range }), 0.006)],
        operation,
        { seed },
      ),
    ),
  );
});

test("where: gradients with condition and both sides broadcast", async () => {
  await check(
    fc.asyncProperty(broadcastable(3), seeds, ([condition, a, b], seed) =>
      expectGradient(
        [
          draw({ dims: condition!, seed, dtype: "bool", range: [0, 2] }),
          draw({ dims: a!, seed: seed + 1 }),
          draw({ dims: b!, seed: seed + 2 }),
        ],
        (c, x, y) => t.where(c, x, y),
        { seed },
      ),
    ),
  );
});

const unary: Record<string, [(x: t.Tensor) => t.Tensor, [number, number]?]> = {
  neg: [t.neg],
  exp: [t.exp],
  log: [t.log, [0.5, 2]],
  sqrt: [t.sqrt, [0.5, 2]],
  reciprocal: [t.reciprocal, [0.5, 2]],
  tanh: [t.tanh],
  sigmoid: [t.sigmoid],
  softplus: [t.softplus, [-30, 30]],
  logSigmoid: [t.logSigmoid, [-30, 30]],
  softsign: [t.softsign],
  sin: [t.sin],
  cos: [t.cos],
  log1p: [t.log1p, [-0.5, 2]],
  expm1: [t.expm1],
  elu: [(x) => t.elu(x, 0.7)],
  leakyRelu: [(x) => t.leakyRelu(x, 0.1)],
  relu: [t.relu],
  abs: [t.abs],
};

test.each(Object.entries(unary))("%s: gradients on any shape", async (_, [operation, range = [-1, 1]]) => {
  await fc.assert(
    fc.asyncProperty(dims(0, 4), seeds, (shape, seed) =>
      expectGradient([spaced(draw({ dims: shape, seed, range }), 0.005)], operation, { seed }),
    ),
    { numRuns: 6 },
  );
});

const someAxes = (shape: readonly number[]) => fc.subarray(shape.map((_, axis) => axis));
const reductions = { sum: t.sum, mean: t.mean, max: t.max, min: t.min };

test.each(Object.entries(reductions))(
  "%s: value against a loop, and gradient, over any axes",
  async (name, operation) => {
    const reducing = dims(0, 4).chain((shape) =>
      fc.record({ shape: fc.constant(shape), axes: someAxes(shape), keepDims: fc.boolean() }),
    );
    await check(
      fc.asyncProperty(reducing, seeds, async ({ shape, axes, keepDims }, seed) => {
        const x = draw({ dims: shape, seed });
        const inputs = inputsFor([x]);
        const y = operation(inputs[0]!, { axes, keepDims });
        const [got] = await evaluate(inputs, [x], [t.add(y, t.scalar(0, "float64"))]);
        expect(got!.dims).toEqual(
          shape.flatMap((length, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [length])),
        );
        const groups = new Map<string, number[]>();
        numbers(x).forEach((value, flat) => {
          const place = shape.map(
            (length, axis) => Math.floor(flat / shape.slice(axis + 1).reduce<number>((a, b) => a * b, 1)) % length,
          );
          const key = place.filter((__, axis) => !axes.includes(axis)).join();
          groups.set(key, [...(groups.get(key) ?? []), value]);
        });
        const total = (values: number[]): number => values.reduce((a, b) => a + b, 0);
        const plain = {
          sum: total,
          mean: (values: number[]) => total(values) / values.length,
          max: (v: number[]) => Math.max(...v),
          min: (v: number[]) => Math.min(...v),
        };
        const expected = [...groups.values()].map(plain[name as keyof typeof plain]);
        numbers(got!).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 12));
        await expectGradient([x], (input) => operation(input, { axes, keepDims }), { seed });
      }),
    );
  },
);

test("matmul: gradients for any batch axes, orientation and factor", async () => {
  const products = fc.record({
    batches: broadcastable(2),
    rows: size,
    inner: size,
    columns: size,
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
    alpha: fc.constantFrom(1, 0.5, -2),
  });
  await fc.assert(
    fc.asyncProperty(
      products,
      seeds,
      ({ batches: [left, right], rows, inner, columns, transposeA, transposeB, alpha }, seed) => {
        const a = [...left!.slice(-2), ...(transposeA ? [inner, rows] : [rows, inner])];
        const b = [...right!.slice(-2), ...(transposeB ? [columns, inner] : [inner, columns])];
        return expectGradient(
          [draw({ dims: a, seed }), draw({ dims: b, seed: seed + 1 })],
          (x, y) => t.matmul(x, y, { transposeA, transposeB, alpha }),
          { seed },
        );
      },
    ),
    { numRuns: 40 },
  );
});

test("affine: gradients of input, weight and bias", async () => {
  await check(
    fc.asyncProperty(dims(1, 3), size, size, fc.boolean(), seeds, (rows, from, to, transposeB, seed) =>
      expectGradient(
        [
          draw({ dims: [...rows, from], seed }),
          draw({ dims: transposeB ? [to, from] : [from, to], seed: seed + 1 }),
          draw({ dims: [to], seed: seed + 2 }),
        ],
        (x, weight, bias) => t.affine(x, weight, bias, { transposeB }),
        { seed },
      ),
    ),
  );
});

test("gather: gradients on any axis with repeated ids", async () => {
  const lookups = dims(1, 3).chain((shape) =>
    fc.record({ shape: fc.constant(shape), axis: fc.nat(shape.length - 1), ids: dims(0, 2), wide: fc.boolean() }),
  );
  await check(
    fc.asyncProperty(lookups, seeds, ({ shape, axis, ids, wide }, seed) =>
      expectGradient(
        [
          draw({ dims: shape, seed }),
          draw({ dims: ids, seed: seed + 1, dtype: wide ? "int64" : "int32", range: [0, shape[axis]!] }),
        ],
        (table, at) => t.gather(table, at, axis),
        { seed },
      ),
    ),
  );
});

const moving = dims(1, 4).chain((shape) =>
  fc.record({ shape: fc.constant(shape), axis: fc.nat(shape.length - 1), amount: fc.nat(3) }),
);
const movements: Record<string, (x: t.Tensor, axis: number, amount: number) => t.Tensor> = {
  cumulativeSum: (x, axis, amount) => t.cumulativeSum(x, axis, { exclusive: amount % 2 === 1, reverse: amount > 1 }),
  flip: (x, axis) => t.flip(x, axis),
  roll: (x, axis, amount) => t.roll(x, amount - 1, axis),
  pad: (x, axis, amount) => t.pad(x, { axis, before: amount, after: 1 }),
  slice: (x, axis, amount) => t.slice(x, { axis, start: Math.min(amount, (x.shape[axis] as number) - 1) }),
  concat: (x, axis) => t.concat([x, t.mul(x, 2), x], axis),
  stack: (x, axis) => t.stack([x, t.mul(x, x)], axis),
  split: (x, axis) => t.mul(...(t.split(t.concat([x, x], axis), { axis, parts: 2 }) as [t.Tensor, t.Tensor])),
  transpose: (x) => t.transpose(x, x.shape.map((_, axis) => axis).toReversed()),
  reshape: (x) => t.reshape(x, [-1]),
  squeeze: (x, axis) => t.squeeze(t.unsqueeze(x, axis), axis),
  expand: (x) => t.expand(t.unsqueeze(x, 0), [3, ...x.shape]),
  softmax: (x) => t.softmax(x),
  logSoftmax: (x) => t.logSoftmax(x),
  logSumExp: (x) => t.logSumExp(x),
  sort: (x) => t.sort(x).values,
  clip: (x) => t.clip(x, -0.5, 0.25),
};

test.each(Object.entries(movements))("%s: gradients on any axis", async (_, operation) => {
  await fc.assert(
    fc.asyncProperty(moving, seeds, ({ shape, axis, amount }, seed) =>
      expectGradient([draw({ dims: shape, seed })], (x) => operation(x, axis, amount), { seed }),
    ),
    { numRuns: 8 },
  );
});
