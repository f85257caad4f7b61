import { describe, expect, it } from "vitest";
import { beamSample, beamSearch, forcedPrefix, generate, temperature, topK } from "../../src/decode/index.ts";
import { hashed, logSoftmax, TableStepper, type Conditional } from "./table-stepper.ts";

const [end, start] = [0, 1];
const options = { start, end, maxTokens: 6, beams: 3, nbest: 3, lengthPenalty: 0.6 };
const tableOf = (keys: readonly number[], conditional: Conditional = hashed({ endBias: 1 })) =>
  new TableStepper({ keys, conditional });

/** Chances of every outcome when `count` of these weights are drawn without replacement and `outcome` looks at which. */
function chances(weights: readonly number[], count: number, outcome: (drawn: readonly number[]) => string) {
  const found = new Map<string, number>();
  const visit = (drawn: readonly number[], chance: number): void => {
    const left = weights.flatMap((weight, i) => (weight > 0 && !drawn.includes(i) ? [i] : []));
    if (drawn.length === count || left.length === 0) {
      const name = outcome(drawn);
      found.set(name, (found.get(name) ?? 0) + chance);
      return;
    }
    const total = left.reduce((sum, i) => sum + weights[i]!, 0);
    for (const i of left) visit([...drawn, i], (chance * weights[i]!) / total);
  };
  visit([], 1);
  return found;
}

/** Pearson's statistic of counts against chances, and the degrees of freedom. */
function chiSquare(counts: ReadonlyMap<string, number>, expected: ReadonlyMap<string, number>, draws: number) {
  let statistic = 0;
  for (const [name, chance] of expected)
    statistic += ((counts.get(name) ?? 0) - chance * draws) ** 2 / (chance * draws);
  return { statistic, freedom: expected.size - 1 };
}

describe("beam sampling", () => {
  it("becomes beam search as the temperature falls", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const conditional = hashed({ seed, endBias: 1 });
      const searched = await beamSearch(tableOf([0, 1, 2], conditional), options);
      const cold = { ...options, seed, processors: [temperature(1e-4)] };
      const drawn = await beamSample(tableOf([0, 1, 2], conditional), cold);
      expect(drawn.map((list) => list.map(({ tokens }) => tokens))).toEqual(
        searched.map((list) => list.map(({ tokens }) => tokens)),
      );
      // Scores are those of the divided log-probabilities.
      expect(drawn[0]![0]!.score * 1e-4).toBeCloseTo(searched[0]![0]!.score, 4);
    }
  });

  it("draws the first token as its chances say: the likelier of two drawn without replacement", async () => {
    const logits = [-9, 0.2, 1.1, -0.4, 0.7];
    const weights = logSoftmax(logits).map(Math.exp);
    const keys = Array.from({ length: 4000 }, () => 0);
    const found = await beamSample(
      tableOf(keys, () => logits),
      { start, maxTokens: 1, beams: 1, seed: 5 },
    );
    const counts = new Map<string, number>();
    for (const [best] of found) {
      const drawn = String(best!.tokens[0]);
      counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
    }
    const expected = chances(
      weights.map((weight, i) => (i === 0 ? 0 : weight)),
      2,
      (drawn) => String(drawn.toSorted((a, b) => weights[b]! - weights[a]!)[0]),
    );
    // Token 0 is all but impossible; 3 is the least of the others and cannot win. 3 outcomes: 13.8 at a chance of 1 in 1000.
    const { statistic, freedom } = chiSquare(counts, expected, keys.length);
    expect(freedom).toBe(2);
    expect(statistic).toBeLessThan(13.8);
  });

  it("draws a step's continuations over all beams together, by their scores so far", async () => {
    // The first step has two tokens, so both open; the second draws 4 of 3 + 3 continuations and keeps the best 2.
    const [first, after] = [
      [0.4, -0.3],
      [
        [0.9, 0.1, -1.2],
        [1.4, -0.2, -0.6],
      ],
    ] as const;
    const conditional: Conditional = (_, tokens) =>
      tokens.length === 1 ? [-Infinity, ...first, -Infinity] : [-Infinity, ...after[tokens[1]! - 1]!];
    const sums = [0, 1].flatMap((token) =>
      logSoftmax([...after[token]!]).map((log) => log + logSoftmax([...first])[token]!),
    );
    const best = (drawn: readonly number[]): string =>
      drawn
        .toSorted((a, b) => sums[b]! - sums[a]!)
        .slice(0, 2)
        .join(" ");
    const expected = chances(sums.map(Math.exp), 4, best);
    const keys = Array.from({ length: 6000 }, () => 0);
    const found = await beamSample(tableOf(keys, conditional), { start, maxTokens: 2, beams: 2, nbest: 2, seed: 11 });
    const counts = new Map<string, number>();
    for (const list of found) {
      const drawn = list.map(({ tokens }) => (tokens[0]! - 1) * 3 + tokens[1]! - 1).join(" ");
      counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
    }
    expect([...counts.keys()].filter((name) => !expected.has(name))).toEqual([]);
    const { statistic, freedom } = chiSquare(counts, expected, keys.length);
    // Of the seldom ones some are expected less than five times; the bound of 1 in 1000 is about f + 3 √(2 f) + 6.
    expect(statistic).toBeLessThan(freedom + 3 * Math.sqrt(2 * freedom) + 6);
    expect(freedom).toBeGreaterThan(4);
  });

  it("draws the same by the same seed, whatever stands beside, and something else by another", async () => {
    const texts = async (keys: readonly number[], seed: readonly number[]) =>
      (await beamSample(tableOf(keys), { ...options, seed })).map((list) => list.map(({ tokens }) => tokens));
    const whole = await texts([3, 4, 5, 3], [7, 8, 9, 10]);
    expect(await texts([3, 4, 5, 3], [7, 8, 9, 10])).toEqual(whole);
    expect(await texts([4], [8])).toEqual([whole[1]]);
    expect(whole[3]).not.toEqual(whole[0]);
  });

  it("opens fewer rows where rules leave fewer tokens, and follows a prefix", async () => {
    const narrow = await beamSample(tableOf([0, 1]), { ...options, seed: 3, processors: [topK(1)] });
    for (const list of narrow) expect(list).toHaveLength(1);
    const begun = await beamSample(tableOf([0]), { ...options, seed: 3, processors: [forcedPrefix([[4, 5]])] });
    for (const { tokens } of begun[0]!) expect(tokens.slice(0, 2)).toEqual([4, 5]);
  });

  it("is what a generation configuration with do_sample and beams asks for", async () => {
    const config = {
      do_sample: true,
      num_beams: 3,
      max_new_tokens: 6,
      eos_token_id: end,
      decoder_start_token_id: start,
    };
    const cold = await generate(tableOf([0, 1]), { ...config, temperature: 1e-4, top_k: 0 }, { seed: 4 });
    const searched = await beamSearch(tableOf([0, 1]), { start, end, maxTokens: 6, beams: 3 });
    expect(cold.map((list) => list.map(({ tokens }) => tokens))).toEqual(
      searched.map((list) => list.map(({ tokens }) => tokens)),
    );
    // Two tokens at least stay with beams, so that one can go on where the other ends.
    const narrow = { ...config, top_k: 1, num_return_sequences: 2 };
    const [list] = await generate(tableOf([0]), narrow, { seed: 4 });
    expect(list).toHaveLength(2);
    await expect(generate(tableOf([0]), { ...config, num_beams: 4, num_beam_groups: 2 })).rejects.toThrow(
      /num_beam_groups: groups of beams do not draw/,
    );
  });

  it("refuses seeds that are not one a sentence, and scores that are none", async () => {
    await expect(beamSample(tableOf([0, 1]), { ...options, seed: [1] })).rejects.toThrow(/1 seeds for 2 sentences/);
    const broken = tableOf([0], () => [NaN, NaN, NaN]);
    await expect(beamSample(broken, { ...options, seed: 1 })).rejects.toThrow(/hold NaN/);
  });
});
