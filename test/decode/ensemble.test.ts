import { describe, expect, it } from "vitest";
import { beamSearch, ensemble, greedySearch, suppressed } from "../../src/decode/index.ts";
import { hashed, logSoftmax, TableStepper, type Conditional } from "./table-stepper.ts";

const [end, start] = [0, 1];
const keys = [0, 1, 2, 3];
const one = hashed({ seed: 1, endBias: 1 });
const two = hashed({ seed: 2, endBias: 1 });
const steppers = () => [one, two].map((conditional) => new TableStepper({ keys, conditional }));

/** What an ensemble should do, as one table: the mean by the formula. */
const mean = {
  probabilities:
    (weights: readonly number[]): Conditional =>
    (key, tokens) => {
      const [a, b] = [logSoftmax(one(key, tokens)), logSoftmax(two(key, tokens))];
      return a.map((x, token) => Math.log(weights[0]! * Math.exp(x) + weights[1]! * Math.exp(b[token]!)));
    },
  logProbabilities:
    (weights: readonly number[]): Conditional =>
    (key, tokens) => {
      const [a, b] = [logSoftmax(one(key, tokens)), logSoftmax(two(key, tokens))];
      return logSoftmax(a.map((x, token) => weights[0]! * x + weights[1]! * b[token]!));
    },
};

describe.each(["probabilities", "logProbabilities"] as const)("an ensemble by the mean of %s", (average) => {
  it.each([
    [
      [1, 1],
      [0.5, 0.5],
    ],
    [
      [3, 1],
      [0.75, 0.25],
    ],
  ])("with weights %j searches as the table of means does", async (weights, shares) => {
    const options = { start, end, maxTokens: 8, beams: 4, nbest: 4 };
    const table = new TableStepper({ keys, conditional: mean[average](shares) });
    const expected = await beamSearch(table, options);
    const got = await beamSearch(ensemble(steppers(), { average, weights }), options);
    expect(got.map((list) => list.map(({ tokens }) => tokens))).toEqual(
      expected.map((list) => list.map(({ tokens }) => tokens)),
    );
    for (const [i, list] of got.entries())
      for (const [j, { score }] of list.entries()) expect(score).toBeCloseTo(expected[i]![j]!.score, 5);
  });

  it("of twice the same model is that model, over candidates and over whole rows", async () => {
    const twice = () =>
      ensemble(
        [one, one].map((conditional) => new TableStepper({ keys, conditional })),
        { average },
      );
    for (const processors of [[], [suppressed(Array.from({ length: 2 }, (_, i) => i + 5))]]) {
      const options = { start, end, maxTokens: 8, processors };
      const alone = await greedySearch(new TableStepper({ keys, conditional: one }), options);
      expect((await greedySearch(twice(), options)).map(({ tokens }) => tokens)).toEqual(
        alone.map(({ tokens }) => tokens),
      );
    }
  });
});

describe("an ensemble", () => {
  it("of one is that one", () => {
    const [only] = steppers();
    expect(ensemble([only!])).toBe(only);
  });

  it("stops the search where a member's scores are not numbers", async () => {
    const broken: Conditional = (key, tokens) =>
      key === 2 && tokens.length === 2 ? new Array<number>(11).fill(NaN) : one(key, tokens);
    const members = [one, broken].map((conditional) => new TableStepper({ keys, conditional }));
    await expect(greedySearch(ensemble(members), { start, maxTokens: 5 })).rejects.toThrow(/sentence 2, step 1/);
  });

  it.each([
    [() => ensemble([]), /no member/],
    [() => ensemble([...steppers(), new TableStepper({ keys: [0], conditional: one })]), /sentences of member 2 is 1/],
    [
      () => ensemble([...steppers(), new TableStepper({ keys, conditional: hashed({ vocabularySize: 9 }) })]),
      /vocabularySize of member 2 is 9, of member 0 11/,
    ],
    [() => ensemble(steppers(), { weights: [1] }), /expected 2 numbers above 0, got \[1\]/],
  ])("refuses what does not fit: %s", (make, message) => {
    expect(make).toThrow(message);
  });
});
