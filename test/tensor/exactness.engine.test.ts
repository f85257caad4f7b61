// Values where the plain formula would fail: tiny and huge arguments, negative whole numbers, infinities.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hostTensor } from "../../src/base/index.ts";
import { float32FromBfloat16, float32FromFloat16 } from "../../src/formats/index.ts";
import * as t from "../../src/tensor/index.ts";
import { applyTo, numbers } from "./evaluate.ts";

const points = [-745, -50, -1, -0.5, -1e-3, -1e-9, -1e-300, 0, 1e-300, 1e-9, 1e-3, 0.5, 1, 50, 700];

/** JavaScript's own functions are right to the last digit or two. */
const stable: [string, (x: t.Tensor) => t.Tensor, (x: number) => number, (x: number) => boolean][] = [
  ["log1p", t.log1p, Math.log1p, (x) => x > -1],
  ["expm1", t.expm1, Math.expm1, () => true],
  ["softplus", t.softplus, (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), () => true],
  ["logSigmoid", t.logSigmoid, (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))), () => true],
];

test.each(stable)("%s keeps its digits from 1e-300 to 700", async (_, operation, reference, holds) => {
  const kept = points.filter(holds);
  const got = numbers(await applyTo([hostTensor("float64", [kept.length], Float64Array.from(kept))], operation));
  kept.forEach((x, i) => {
    const expected = reference(x);
    expect(Math.abs(got[i]! - expected), `at ${x}: ${got[i]} for ${expected}`).toBeLessThanOrEqual(
      4e-15 * Math.abs(expected),
    );
  });
});

describe("whole numbers", () => {
  const a = hostTensor("int32", [8], [-7, -6, -1, 0, 1, 6, 7, 8]);
  test("mod has the divisor's sign and floorDiv rounds down", async () => {
    for (const by of [3, -3]) {
      const rest = numbers(await applyTo([a], (x) => t.mod(x, by)));
      const quotient = numbers(await applyTo([a], (x) => t.floorDiv(x, by)));
      a.data.forEach((value, i) => {
        expect(quotient[i]! + 0).toBe(Math.floor(value / by) + 0);
        expect(quotient[i]! * by + rest[i]!).toBe(value);
      });
    }
  });
  test("div rounds towards zero", async () => {
    expect(numbers(await applyTo([a], (x) => t.div(x, 3)))).toEqual([-2, -2, 0, 0, 0, 2, 2, 2]);
  });
});

test("isFinite tells infinities and NaN from numbers", async () => {
  const x = hostTensor("float32", [5], [1, Infinity, -Infinity, NaN, 3e38]);
  expect(numbers(await applyTo([x], t.isFinite))).toEqual([1, 0, 0, 0, 1]);
});

test("round goes to the even neighbour, ceil up and floor down", async () => {
  const x = hostTensor("float32", [5], [-1.5, -0.2, 0.5, 1.5, 2.5]);
  const of = async (operation: (x: t.Tensor) => t.Tensor): Promise<number[]> =>
    numbers(await applyTo([x], operation)).map((value) => value + 0);
  expect(await of(t.round)).toEqual([-2, 0, 0, 2, 2]);
  expect(await of(t.ceil)).toEqual([-1, 0, 1, 2, 3]);
  expect(await of(t.floor)).toEqual([-2, -1, 0, 1, 2]);
});

test("where stops infinity and NaN, also on the way back", async () => {
  // ln x at 0 is −∞ and its derivative ∞; a product with a mask would make NaN of both.
  const x = hostTensor("float64", [3], Float64Array.of(0, 1, 2));
  const guarded = (value: t.Tensor): t.Tensor =>
    t.where(t.greater(value, 0), t.log(t.where(t.greater(value, 0), value, 1)), 0);
  expect(numbers(await applyTo([x], guarded))).toEqual([0, 0, Math.log(2)]);
  expect(numbers(await applyTo([x], (value) => t.gradients(t.sum(guarded(value)), [value])[0]!))).toEqual([0, 1, 0.5]);
});

test("logSumExp of ±1000 neither overflows nor vanishes", async () => {
  const x = hostTensor("float32", [2, 2], [1000, 1000, -1000, -1000]);
  const got = numbers(await applyTo([x], t.logSumExp));
  expect(got[0]).toBeCloseTo(1000 + Math.LN2, 3);
  expect(got[1]).toBeCloseTo(-1000 + Math.LN2, 3);
});

test("moving and ordering by hand", async () => {
  const x = hostTensor("float32", [4], [3, 1, 2, 1]);
  expect(numbers(await applyTo([x], (value) => t.roll(value, 1, 0)))).toEqual([1, 3, 1, 2]);
  expect(numbers(await applyTo([x], (value) => t.roll(value, -1, 0)))).toEqual([1, 2, 1, 3]);
  expect(numbers(await applyTo([x], (value) => t.roll(value, 5, 0)))).toEqual([1, 3, 1, 2]);
  expect(numbers(await applyTo([x], (value) => t.flip(value, 0)))).toEqual([1, 2, 1, 3]);
  expect(numbers(await applyTo([x], (value) => t.argsort(value)))).toEqual([1, 3, 2, 0]);
  expect(numbers(await applyTo([x], (value) => t.argsort(value, { descending: true })))).toEqual([0, 2, 1, 3]);
  expect(numbers(await applyTo([x], (value) => t.cumulativeSum(value, 0, { exclusive: true })))).toEqual([0, 3, 4, 6]);
  expect(numbers(await applyTo([hostTensor("int32", [3], [2, 0, 5])], (ids) => t.oneHot(ids, 3)))).toEqual([
    0, 0, 1, 1, 0, 0, 0, 0, 0,
  ]);
  expect(
    numbers(await applyTo([hostTensor("float32", [2, 2], [1, 2, 3, 4])], (value) => t.lowerTriangle(value))),
  ).toEqual([1, 0, 3, 4]);
  expect(
    numbers(await applyTo([hostTensor("float32", [2, 2], [1, 2, 3, 4])], (value) => t.upperTriangle(value, 1))),
  ).toEqual([0, 2, 0, 0]);
});

describe("numbers as 16-bit floats", () => {
  const bitsOf = (value: number, dtype: "float16" | "bfloat16"): Uint16Array =>
    t.constantValue(t.scalar(value, dtype))!.data as Uint16Array;
  const back = { float16: float32FromFloat16, bfloat16: float32FromBfloat16 };

  test("every number that they hold comes back", () => {
    const wrong: string[] = [];
    for (const dtype of ["float16", "bfloat16"] as const) {
      const values = back[dtype](Uint16Array.from({ length: 65536 }, (_, bits) => bits));
      values.forEach((value, bits) => {
        if (!Number.isNaN(value) && bitsOf(value, dtype)[0] !== bits) wrong.push(`${dtype} ${value}`);
      });
    }
    expect(wrong).toEqual([]);
  });

  test("others go to the nearest", () => {
    const valueOf = (bits: number): number => float32FromFloat16(Uint16Array.of(bits))[0]!;
    fc.assert(
      fc.property(fc.double({ min: 0, max: 65504, noNaN: true }), (value) => {
        const bits = bitsOf(value, "float16")[0]!;
        const off = (other: number): number => Math.abs(valueOf(other) - value);
        expect(
          [bits - 1, bits + 1]
            .filter((other) => other >= 0 && other < 0x7c00)
            .every((other) => off(bits) <= off(other)),
        ).toBe(true);
        expect(bitsOf(-value, "float16")[0]).toBe(bits | 0x8000);
      }),
      { numRuns: 1000 },
    );
    expect([65519, 65520, -1e9, NaN, 1e-9, -0].map((value) => bitsOf(value, "float16")[0])).toEqual([
      0x7bff, 0x7c00, 0xfc00, 0x7e00, 0, 0x8000,
    ]);
  });

  test("the runtime reads them as the numbers they are", async () => {
    const x = { dtype: "float16", dims: [2], data: Uint16Array.of(0x3c00, 0xc000) } as const; // 1, −2
    const half = await applyTo([x], (value) => t.cast(t.mul(value, 0.5), "float32"));
    expect(numbers(half)).toEqual([0.5, -1]);
  });
});
