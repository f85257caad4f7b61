import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import openWabt from "wabt";
import { randomKey, randomWord } from "../../../src/base/index.ts";
import { FlatMemory } from "../../../src/engine/index.ts";
import { kernelBytes } from "../../../src/engine/memory/kernels-wasm.ts";

// Slow twins: the formulas of kernels.wat, one element at a time, every operation rounded to float32. The kernels must agree bit
// for bit. (float32 +, −, ×, ÷ and √ computed in float64 and then rounded are the correctly rounded float32 results.)
const f = Math.fround;
type Values = number[];

function adamTwin(
  [p, g, m, v]: Values,
  n: Record<"gradientScale" | "l2" | "keep" | "beta1" | "beta2" | "epsilon" | "stepSize", number>,
): Values {
  const gradient = f(f(g! * f(n.gradientScale)) + f(p! * f(n.l2)));
  const newM = f(f(m! * f(n.beta1)) + f(gradient * f(1 - n.beta1)));
  const newV = f(f(v! * f(n.beta2)) + f(f(gradient * f(1 - n.beta2)) * gradient));
  const ratio = f(newM / f(f(Math.sqrt(newV)) + f(n.epsilon)));
  return [f(f(p! * f(n.keep)) - f(f(n.stepSize) * ratio)), g!, newM, newV];
}

function momentumTwin(
  [p, g, m]: Values,
  n: Record<"gradientScale" | "l2" | "learningRate" | "momentum" | "take" | "fromGradient" | "fromMomentum", number>,
): Values {
  const gradient = f(f(g! * f(n.gradientScale)) + f(p! * f(n.l2)));
  const newM = f(f(m! * f(n.momentum)) + f(gradient * f(n.take)));
  const direction = f(f(gradient * f(n.fromGradient)) + f(newM * f(n.fromMomentum)));
  return [f(p! - f(f(n.learningRate) * direction)), g!, newM];
}

/** Four regions of 80 values with a range inside them; values outside of the range must stay. */
const ranges = fc.record({
  start: fc.integer({ min: 0, max: 20 }),
  count: fc.integer({ min: 0, max: 37 }),
  values: fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 320, maxLength: 320 }),
});
const coefficient = fc.double({ min: 0, max: 1, noNaN: true });
const names = ["p", "g", "m", "v"] as const;

function filled(values: readonly number[]) {
  const region = { dtype: "float32", count: 80 } as const;
  const memory = new FlatMemory({ p: region, g: region, m: region, v: region });
  const all = names.map((name, i) => {
    const array = memory.floats(name);
    // Second moments are never negative.
    array.set(values.slice(80 * i, 80 * (i + 1)).map((value) => (name === "v" ? Math.abs(value) : value)));
    return array;
  });
  return { memory, all };
}

/** Runs a kernel on a range and its twin on every element of it; all four regions must agree everywhere. */
function compare(
  { start, count, values }: { start: number; count: number; values: readonly number[] },
  kernel: (memory: FlatMemory, views: Float32Array[]) => void,
  twin: (elements: Values) => Values,
): void {
  const { memory, all } = filled(values);
  const expected = all.map((array) => array.slice());
  for (let i = start; i < start + count; i++) {
    twin(expected.map((array) => array[i]!)).forEach((value, region) => (expected[region]![i] = value));
  }
  kernel(
    memory,
    all.map((array) => array.subarray(start, start + count)),
  );
  all.forEach((array, i) => expect(array).toEqual(expected[i]));
}

const few = { numRuns: 60 };

test("the committed bytes are what kernels.wat assembles to", async () => {
  const wabt = await openWabt();
  const source = readFileSync(new URL("../../../src/engine/memory/kernels.wat", import.meta.url), "utf8");
  const { buffer } = wabt.parseWat("kernels.wat", source).toBinary({});
  expect(Buffer.from(kernelBytes).equals(Buffer.from(buffer)), "run: npm run generate:kernels").toBe(true);
});

describe("kernels agree bit for bit with twins in JavaScript and leave their neighbours alone", () => {
  test("fill", () => {
    fc.assert(
      fc.property(ranges, coefficient, (range, a) =>
        compare(
          range,
          (memory, [p]) => memory.fill(p!, a),
          ([, ...rest]) => [f(a), ...rest],
        ),
      ),
      few,
    );
  });

  test("scale", () => {
    fc.assert(
      fc.property(ranges, coefficient, (range, a) =>
        compare(
          range,
          (memory, [p]) => memory.scale(p!, a),
          ([p, ...rest]) => [f(p! * f(a)), ...rest],
        ),
      ),
      few,
    );
  });

  test("addScaled", () => {
    fc.assert(
      fc.property(ranges, coefficient, (range, a) =>
        compare(
          range,
          (memory, [p, g]) => memory.addScaled(p!, a, g!),
          ([p, g, ...rest]) => [f(p! + f(g! * f(a))), g!, ...rest],
        ),
      ),
      few,
    );
  });

  test("average", () => {
    fc.assert(
      fc.property(ranges, coefficient, (range, w) =>
        compare(
          range,
          (memory, [p, g]) => memory.average(p!, w, g!),
          ([p, g, ...rest]) => [f(p! + f(f(w) * f(g! - p!))), g!, ...rest],
        ),
      ),
      few,
    );
  });

  test("adam", () => {
    const numbers = fc.record({
      gradientScale: coefficient,
      l2: coefficient,
      keep: coefficient,
      beta1: coefficient,
      beta2: coefficient,
      epsilon: fc.double({ min: 1e-9, max: 1e-3, noNaN: true }),
      stepSize: coefficient,
    });
    fc.assert(
      fc.property(ranges, numbers, (range, n) =>
        compare(
          range,
          (memory, [p, g, m, v]) => memory.adam(p!, g!, m!, v!, n),
          (values) => adamTwin(values, n),
        ),
      ),
      few,
    );
  });

  test("sgd", () => {
    fc.assert(
      fc.property(ranges, coefficient, coefficient, coefficient, (range, gradientScale, l2, learningRate) =>
        compare(
          range,
          (memory, [p, g]) => memory.sgd(p!, g!, { gradientScale, l2, learningRate }),
          ([p, g, ...rest]) => [f(p! - f(f(learningRate) * f(f(g! * f(gradientScale)) + f(p! * f(l2))))), g!, ...rest],
        ),
      ),
      few,
    );
  });

  test("sgdMomentum", () => {
    const numbers = fc.record({
      gradientScale: coefficient,
      l2: coefficient,
      learningRate: coefficient,
      momentum: coefficient,
      take: coefficient,
      fromGradient: coefficient,
      fromMomentum: coefficient,
    });
    fc.assert(
      fc.property(ranges, numbers, (range, n) =>
        compare(
          range,
          (memory, [p, g, m]) => memory.sgdMomentum(p!, g!, m!, n),
          ([p, g, m, v]) => [...momentumTwin([p!, g!, m!], n), v!],
        ),
      ),
      few,
    );
  });

  test("sumOfSquares", () => {
    fc.assert(
      fc.property(ranges, ({ start, count, values }) => {
        const { memory, all } = filled(values);
        const part = all[0]!.subarray(start, start + count);
        const sums = [0, 0, 0, 0];
        part.forEach((value, i) => (sums[i % 4]! += value * value));
        expect(memory.sumOfSquares(part)).toBe(sums[0]! + sums[2]! + (sums[1]! + sums[3]!));
      }),
      few,
    );
  });

  test("fillRandomBytes", () => {
    const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    fc.assert(
      fc.property(
        word,
        word,
        word,
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 0, max: 70 }),
        (low, high, firstWord, start, count) => {
          const memory = new FlatMemory({ bytes: { dtype: "uint8", count: 100 } });
          const all = memory.tensor("bytes", "uint8", [100]).data;
          all.fill(77);
          const expected = all.slice();
          for (let i = 0; i < count; i++) {
            expected[start + i] = randomWord({ low, high }, firstWord + Math.floor(i / 4)) >>> (8 * (i % 4));
          }
          memory.fillRandomBytes(all.subarray(start, start + count), { low, high }, firstWord);
          expect(all).toEqual(expected);
        },
      ),
      few,
    );
  });
});

test("the word counter of random bytes goes on over 2³² as the stream does", () => {
  const memory = new FlatMemory({ bytes: { dtype: "uint8", count: 32 } });
  const bytes = memory.tensor("bytes", "uint8", [32]).data;
  const key = randomKey(5);
  memory.fillRandomBytes(bytes, key, 2 ** 32 - 3);
  const words = new Uint32Array(bytes.slice().buffer);
  words.forEach((word, i) => expect(word).toBe(randomWord(key, 2 ** 32 - 3 + i)));
});

test("a NaN or an infinity anywhere shows in the sum of squares, and a float32 square that overflows does not", () => {
  const memory = new FlatMemory({ x: { dtype: "float32", count: 100 } });
  const x = memory.floats("x");
  for (const at of [0, 1, 2, 3, 99]) {
    x.fill(0);
    x[at] = 1e30;
    expect(memory.sumOfSquares(x)).toBeCloseTo(Math.fround(1e30) ** 2, -50);
    x[at] = -Infinity;
    expect(memory.sumOfSquares(x)).toBe(Infinity);
    x[at] = NaN;
    expect(memory.sumOfSquares(x)).toBeNaN();
  }
});
