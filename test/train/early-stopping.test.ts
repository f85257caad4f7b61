import { expect, it } from "vitest";
import { judge, type Criterion, type Standing } from "../../src/train/early-stopping.ts";

const after = (values: readonly number[], criterion: Criterion): Standing =>
  values.reduce<Standing>(
    (standing, value, i) => judge(standing, { step: 10 * (i + 1), figures: { [criterion.metric]: value }, criterion }),
    { best: undefined, validationsSinceBest: 0 },
  );

it.each([
  ["smaller", [3, 2, 2.5], 20, 2, 1],
  ["larger", [3, 2, 2.5], 10, 3, 2],
  ["smaller", [2, 2, 2], 10, 2, 2], // equal is not better
  ["smaller", [NaN, 4], 20, 4, 0], // the first number is better than none
  ["smaller", [4, NaN, NaN], 10, 4, 2],
  ["larger", [-Infinity, 1, Infinity], 20, 1, 1],
] as const)(
  "the %s is better: after %j the best is that of step %i",
  (better, values, step, value, validationsSinceBest) => {
    expect(after(values, { metric: "x", better })).toEqual({ best: { step, value }, validationsSinceBest });
  },
);

it("values that are not finite leave no best, and count against patience", () => {
  expect(after([NaN, Infinity], { metric: "x", better: "smaller" })).toEqual({
    best: undefined,
    validationsSinceBest: 2,
  });
});
