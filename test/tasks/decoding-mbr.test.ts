import { expect, test } from "vitest";
import { Chrf } from "../../src/metrics/index.ts";
import { minimumBayesRisk, utilities } from "../../src/tasks/decoding-mbr.ts";

/** Share of words in common: worked by hand below. */
const common = (hypothesis: string, reference: string): number => {
  const words = reference.split(" ");
  return hypothesis.split(" ").filter((word) => words.includes(word)).length / words.length;
};

test("the candidate that agrees best with all leads, though another is the likeliest", () => {
  // Utilities of row against column: [1, ½, ½, 0], [½, 1, ½, 0], [½, ½, 1, 0], [0, 0, 0, 1]; weights 2, 2, 1, 3 of 8.
  const candidates = ["a b", "b c", "a c", "x y"];
  const ranked = minimumBayesRisk(candidates, { utility: common, weights: [2, 2, 1, 3] });
  expect(ranked).toEqual([
    { index: 0, expectedUtility: 3.5 / 8 },
    { index: 1, expectedUtility: 3.5 / 8 },
    { index: 2, expectedUtility: 3 / 8 },
    { index: 3, expectedUtility: 3 / 8 },
  ]);
});

test("a text drawn twice weighs twice and is compared once", () => {
  let asked = 0;
  const counted = (hypothesis: string, reference: string): number => {
    asked++;
    return common(hypothesis, reference);
  };
  const ranked = minimumBayesRisk(["x", "a b", "a b", "x", "a"], { utility: counted });
  expect(ranked.map(({ index }) => index)).toEqual([1, 2, 0, 3, 4]);
  // "a b" against x x "a b" "a b" a: 0 + 0 + 1 + 1 + 1 of 5.
  expect(ranked[0]!.expectedUtility).toBeCloseTo(3 / 5, 12);
  expect(asked).toBe(9);
});

test("chrF and BLEU as utilities are the sentence scores, and 100 for the same text", () => {
  expect(utilities.chrf("a red cat", "the red cat")).toBe(new Chrf().sentence("a red cat", ["the red cat"]).score);
  for (const utility of Object.values(utilities)) {
    expect(utility("two words", "two words")).toBeCloseTo(100, 9);
    const [best] = minimumBayesRisk(["the red cat sat", "a red cat sat", "some dogs ran"], { utility });
    expect(best!.index).not.toBe(2);
  }
});

test("weights that do not fit the candidates are refused", () => {
  expect(() => minimumBayesRisk(["a"], { utility: common, weights: [] })).toThrow(/0 for 1 candidates/);
});
