// Sizes are polynomials in names: what the algebra says must be what the numbers say.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addDims,
  dim,
  divideDims,
  equalDims,
  evaluateDim,
  floorDivideDim,
  formatShape,
  isName,
  mulDims,
  namesOf,
  sizeOf,
  subDims,
  type Dim,
} from "../../src/tensor/index.ts";

const names = ["batch", "time", "heads"];
const sizes = fc
  .record({ batch: fc.nat(20), time: fc.nat(20), heads: fc.nat(20) })
  .map((record) => new Map(Object.entries(record)));

type Sizes = ReadonlyMap<string, number>;

interface Expression {
  readonly dim: Dim;
  readonly value: (sizes: Sizes) => number;
}

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.integer({ min: -5, max: 9 }).map((value) => ({ dim: value, value: () => value })),
    fc.constantFrom(...names).map((name) => ({ dim: dim(name), value: (given: Sizes) => given.get(name)! })),
    fc
      .tuple(tie("expression"), tie("expression"))
      .map(([a, b]) => ({ dim: addDims(a.dim, b.dim), value: (given: Sizes) => a.value(given) + b.value(given) })),
    fc
      .tuple(tie("expression"), tie("expression"))
      .map(([a, b]) => ({ dim: subDims(a.dim, b.dim), value: (given: Sizes) => a.value(given) - b.value(given) })),
    fc
      .tuple(tie("expression"), tie("expression"))
      .map(([a, b]) => ({ dim: mulDims(a.dim, b.dim), value: (given: Sizes) => a.value(given) * b.value(given) })),
    fc
      .tuple(tie("expression"), fc.integer({ min: 1, max: 5 }))
      .map(([a, by]) => ({ dim: floorDivideDim(a.dim, by), value: (given: Sizes) => Math.floor(a.value(given) / by) })),
  ),
}));

describe("algebra and numbers agree", () => {
  test("on sums, differences, products and rounded quotients", () => {
    fc.assert(
      fc.property(expression, sizes, ({ dim: size, value }, given) => {
        expect(evaluateDim(size, given) + 0).toBe(value(given) + 0);
      }),
      { numRuns: 500 },
    );
  });

  test("when what was multiplied is divided again", () => {
    fc.assert(
      fc.property(
        expression,
        fc.constantFrom<Dim>(3, dim("batch"), mulDims(2, dim("heads"))),
        ({ dim: size }, factor) => {
          const quotient = divideDims(mulDims(size, factor), factor);
          expect(
            quotient !== undefined && equalDims(quotient, size),
            `${String(size)} times and divided by ${String(factor)}: ${String(quotient)}`,
          ).toBe(true);
        },
      ),
    );
  });

  test("on equality: the order of terms and factors does not matter", () => {
    fc.assert(
      fc.property(expression, expression, ({ dim: a }, { dim: b }) => {
        expect(equalDims(addDims(a, b), addDims(b, a))).toBe(true);
        expect(equalDims(mulDims(a, b), mulDims(b, a))).toBe(true);
        expect(subDims(a, a)).toBe(0);
      }),
    );
  });
});

const [batch, time] = [dim("batch"), dim("time")];

test.each<[string, Dim, string]>([
  ["terms in one order", addDims(1, mulDims(time, batch)), "batch·time + 1"],
  ["a difference", subDims(time, 1), "time - 1"],
  ["a coefficient", mulDims(mulDims(2, time), time), "2·time·time"],
  ["nothing left", subDims(addDims(time, 3), time), "3"],
  ["whole multiples out of the bracket", floorDivideDim(addDims(mulDims(2, time), 3), 2), "time + 1"],
  ["a rest in the bracket", floorDivideDim(subDims(time, 1), 2), "floor((time + 1)/2) - 1"],
])("%s: a size prints as it reads", (_, size, text) => expect(String(size)).toBe(text));

test("a name that cannot be a size is refused", () => {
  expect(() => dim("time·2")).toThrow(/letters, digits/);
  expect(() => dim("")).toThrow(RangeError);
});

test("what does not divide exactly has no quotient", () => {
  expect(divideDims(addDims(time, 1), time)).toBeUndefined();
  expect(divideDims(mulDims(3, time), 2)).toBeUndefined();
  expect(divideDims(6, 0)).toBeUndefined();
  expect(divideDims(0, 0)).toBeUndefined();
  expect(divideDims(6, 4)).toBeUndefined();
});

test("a size whose name has no value names it", () => {
  expect(() => evaluateDim(addDims(floorDivideDim(time, 2), batch), new Map([["batch", 1]]))).toThrow('"time"');
});

test("names are found inside rounded quotients too", () => {
  expect(namesOf(mulDims(batch, floorDivideDim(mulDims(batch, time), 4)))).toEqual(["batch", "time"]);
  expect(isName(time)).toBe(true);
  expect(isName(floorDivideDim(time, 2))).toBe(false);
  expect(isName(3)).toBe(false);
});

test("shapes", () => {
  expect(sizeOf([])).toBe(1);
  expect(String(sizeOf([2, time, 3, batch]))).toBe("6·batch·time");
  expect(formatShape([batch, 3])).toBe("[batch, 3]");
});
