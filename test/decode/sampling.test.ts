import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  frequencyPenalty,
  greedySearch,
  minP,
  nucleus,
  presencePenalty,
  sample,
  temperature,
  topK,
  type ScoreProcessor,
} from "../../src/decode/index.ts";
import { hashed, logSoftmax, TableStepper, type Conditional } from "./table-stepper.ts";

const end = 0;
const start = 1;
const logits = [-1, 0.5, 1, 2, -0.5, 0];

/** Frequencies of the first token over many sentences. */
async function frequencies(processors: readonly ScoreProcessor[], draws: number): Promise<number[]> {
  const stepper = new TableStepper({ keys: new Array<number>(draws).fill(0), conditional: () => logits });
  const counts = new Array<number>(logits.length).fill(0);
  for (const { tokens } of await sample(stepper, { start, maxTokens: 1, seed: 11, processors })) counts[tokens[0]!]!++;
  return counts;
}

/** Σ (observed − expected)² / expected over tokens that can come; others must not. */
function chiSquare(counts: readonly number[], expected: readonly number[]): number {
  const draws = counts.reduce((a, b) => a + b, 0);
  return counts.reduce((sum, count, token) => {
    if (expected[token] === 0) {
      expect(count).toBe(0);
      return sum;
    }
    return sum + (count - draws * expected[token]!) ** 2 / (draws * expected[token]!);
  }, 0);
}

describe("sampling", () => {
  // Critical values of χ² at p = 0.01: 15.09 with 5 degrees of freedom, 9.21 with 2.
  it("draws as often as the softmax says, with temperature too", async () => {
    const draws = 100_000;
    expect(chiSquare(await frequencies([], draws), logSoftmax(logits).map(Math.exp))).toBeLessThan(15.09);
    const hot = logSoftmax(logits.map((x) => x / 1.7)).map(Math.exp);
    expect(chiSquare(await frequencies([temperature(1.7)], draws), hot)).toBeLessThan(15.09);
    const three = logSoftmax(logits.map((x) => (x >= 0.5 ? x : -Infinity))).map(Math.exp);
    expect(chiSquare(await frequencies([topK(3)], draws), three)).toBeLessThan(9.21);
    // The three likeliest of probabilities 0.54, 0.20, 0.12 … reach 0.8, two do not.
    expect(chiSquare(await frequencies([nucleus(0.8)], draws), three)).toBeLessThan(9.21);
  });

  it("keeps the smallest set that reaches the nucleus's mass", () => {
    // Probabilities 0.5, 0.3, 0.15, 0.05.
    for (const [mass, kept] of [
      [0.4, 1],
      [0.6, 2],
      [0.79, 2],
      [0.81, 3],
      [0.99, 4],
    ] as const) {
      const row = Float32Array.from([0.15, 0.5, 0.05, 0.3], Math.log);
      nucleus(mass).process({ sentence: 0, generated: 0, length: 1, tokens: Int32Array.of(1) }, row);
      expect(row.filter((x) => x > -Infinity)).toHaveLength(kept);
    }
  });

  it("no token of a nucleus can be spared", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -6, max: 6, noNaN: true }), { minLength: 1, maxLength: 30 }),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        (row, mass) => {
          const probabilities = logSoftmax(row).map(Math.exp);
          const scores = Float32Array.from(logSoftmax(row));
          nucleus(mass).process({ sentence: 0, generated: 0, length: 1, tokens: Int32Array.of(1) }, scores);
          const kept = probabilities.filter((_, token) => scores[token]! > -Infinity);
          const sum = kept.reduce((a, b) => a + b, 0);
          expect(sum).toBeGreaterThan(mass - 1e-5);
          expect(sum - Math.min(...kept)).toBeLessThan(mass + 1e-5);
          const dropped = probabilities.filter((_, token) => scores[token] === -Infinity);
          expect(Math.max(0, ...dropped)).toBeLessThanOrEqual(Math.min(...kept) + 1e-6);
        },
      ),
    );
  });

  it("keeps with min-p what is at least that share as likely as the likeliest", () => {
    // Probabilities 0.15, 0.5, 0.05, 0.3: 0.3 of the largest is 0.15.
    for (const [share, kept] of [
      [0.05, [0, 1, 2, 3]],
      [0.29, [0, 1, 3]],
      [0.31, [1, 3]],
      [0.7, [1]],
    ] as const) {
      const row = Float32Array.from([0.15, 0.5, 0.05, 0.3], Math.log);
      minP(share).process({ sentence: 0, generated: 0, length: 1, tokens: Int32Array.of(1) }, row);
      expect([0, 1, 2, 3].filter((token) => row[token]! > -Infinity)).toEqual(kept);
    }
  });

  it("takes presence off once and frequency each time, of what was generated, not of what was given", () => {
    const prefix = { sentence: 0, generated: 3, length: 5, tokens: Int32Array.of(0, 4, 2, 3, 2) };
    const row = new Float32Array(5);
    presencePenalty(0.5).process(prefix, row);
    expect([...row]).toEqual([0, 0, -0.5, -0.5, 0]);
    frequencyPenalty(0.25).process(prefix, row);
    expect([...row]).toEqual([0, 0, -1, -0.75, 0]);
  });

  it("gives the same again with the same seed and something else with another", async () => {
    const run = (seed: number) =>
      sample(new TableStepper({ keys: [0, 1, 2], conditional: hashed() }), { start, end, maxTokens: 10, seed });
    expect(await run(4)).toEqual(await run(4));
    expect(await run(5)).not.toEqual(await run(4));
  });

  it("with a seed of its own a sentence does not depend on its batch", async () => {
    const run = (keys: number[], seed: number[]) =>
      sample(new TableStepper({ keys, conditional: hashed() }), { start, end, maxTokens: 10, seed });
    const [, second] = await run([0, 1, 2], [7, 8, 9]);
    expect(await run([1], [8])).toEqual([second]);
  });

  it("becomes greedy search as the temperature falls", async () => {
    const stepper = () => new TableStepper({ keys: [0, 1, 2, 3], conditional: hashed() });
    const greedy = await greedySearch(stepper(), { start, end, maxTokens: 10 });
    const cold = await sample(stepper(), { start, end, maxTokens: 10, seed: 1, processors: [temperature(1e-4)] });
    expect(cold.map(({ tokens }) => tokens)).toEqual(greedy.map(({ tokens }) => tokens));
  });

  it("names the sentence and the step when the model's scores are not numbers", async () => {
    const conditional: Conditional = (key, tokens) => (key === 1 && tokens.length === 2 ? [0, NaN, 1] : [-9, 1, 0]);
    const stepper = new TableStepper({ keys: [0, 1], conditional });
    await expect(sample(stepper, { start, end, maxTokens: 5, seed: 1 })).rejects.toThrow(/sentence 1, step 1/);
  });
});
