import { describe, expect, it } from "vitest";
import {
  beamSearch,
  constrainedBeamSearch,
  diverseBeamSearch,
  gnmtPenalty,
  greedySearch,
  sample,
  stochasticBeamSearch,
  type Hypothesis,
  type SearchOptions,
  type Stepper,
} from "../../src/decode/index.ts";
import { Bleu } from "../../src/metrics/index.ts";
import { hashed, TableStepper } from "./table-stepper.ts";

const [end, start] = [0, 1];
const keys = [0, 1, 2, 3];

/** Every search, as one that gives a list a sentence. */
const searches: readonly (readonly [string, (stepper: Stepper, options: SearchOptions) => Promise<Hypothesis[][]>])[] =
  [
    ["greedy", async (stepper, options) => (await greedySearch(stepper, options)).map((one) => [one])],
    ["sampling", async (stepper, options) => (await sample(stepper, { ...options, seed: 3 })).map((one) => [one])],
    ["beam", (stepper, options) => beamSearch(stepper, { ...options, beams: 3, nbest: 3 })],
    [
      "diverse beam",
      (stepper, options) =>
        diverseBeamSearch(stepper, { ...options, beams: 4, groups: 2, diversityPenalty: 0.5, nbest: 4 }),
    ],
    ["stochastic beam", (stepper, options) => stochasticBeamSearch(stepper, { ...options, beams: 3, seed: 3 })],
    [
      "constrained beam",
      (stepper, options) =>
        constrainedBeamSearch(stepper, { ...options, beams: 6, nbest: 3, phrases: [[], [[5]], [[4, 6]], []] }),
    ],
  ];

describe.each(searches)("%s search", (name, search) => {
  const isDiverse = name === "diverse beam";

  it("keeps to each sentence's own least and greatest length", async () => {
    const [minTokens, maxTokens] = [
      [0, 3, 2, 9],
      [1, 4, 8, 9],
    ];
    for (const endBias of [-9, 0, 9]) {
      const stepper = new TableStepper({ keys, conditional: hashed({ endBias }) });
      const outputs = await search(stepper, { start, end, minTokens, maxTokens });
      for (const [sentence, list] of outputs.entries()) {
        expect(list.length).toBeGreaterThan(0);
        for (const { tokens, finished } of list) {
          expect(tokens.length).toBeGreaterThanOrEqual(minTokens[sentence]!);
          expect(tokens.length + (finished ? 1 : 0)).toBeLessThanOrEqual(maxTokens[sentence]!);
        }
      }
    }
  });

  it("says what every token's log-probability was, END's too", async () => {
    const stepper = new TableStepper({ keys, conditional: hashed({ endBias: 1 }) });
    for (const [key, list] of (await search(stepper, { start, end, maxTokens: 6 })).entries()) {
      for (const { tokens, finished, tokenLogProbabilities, logProbability } of list) {
        const said = finished ? [...tokens, end] : tokens;
        expect(tokenLogProbabilities).toHaveLength(said.length);
        expect(tokenLogProbabilities.reduce((a, b) => a + b, 0)).toBeCloseTo(logProbability, 6);
        if (isDiverse) continue; // the diversity penalty stays in the numbers
        const table = new TableStepper({ keys: [keys[key]!], conditional: hashed({ endBias: 1 }) });
        for (const [i, token] of said.entries()) {
          const row = await table.logProbabilities({
            sentences: Int32Array.of(0),
            beams: 1,
            tokens: Int32Array.of(i === 0 ? start : said[i - 1]!),
            parents: Int32Array.of(0),
          });
          expect(tokenLogProbabilities[i]).toBeCloseTo(row[token]!, 5);
        }
      }
    }
  });

  it("ends where a stop rule says so, and keeps the token that it ended with", async () => {
    const stepper = new TableStepper({ keys, conditional: hashed({ endBias: -3 }) });
    const stop = (tokens: readonly number[], sentence: number): boolean => tokens.at(-1) === 5 + sentence;
    for (const [sentence, list] of (await search(stepper, { start, end, maxTokens: 30, stop })).entries()) {
      for (const { tokens, finished, tokenLogProbabilities } of list) {
        expect(tokens.slice(0, -1)).not.toContain(5 + sentence);
        if (!finished) expect(tokens).toHaveLength(30);
        else expect([tokens.length, tokens.length + 1]).toContain(tokenLogProbabilities.length);
      }
      if (name !== "greedy") expect(list.some(({ tokens }) => tokens.at(-1) === 5 + sentence)).toBe(true);
    }
  });
});

describe("the length penalty", () => {
  it("of GNMT divides by ((5 + n) / 6)^alpha", async () => {
    // Worked by hand: n = 7, alpha = 1: 12 / 6 = 2. n = 1: 1, whatever alpha.
    const divisor = gnmtPenalty(1) as (n: number) => number;
    expect([divisor(7), divisor(1), (gnmtPenalty(0) as (n: number) => number)(9)]).toEqual([2, 1, 1]);
    const stepper = new TableStepper({ keys, conditional: hashed({ endBias: 1 }) });
    const outputs = await beamSearch(stepper, {
      start,
      end,
      maxTokens: 9,
      beams: 4,
      nbest: 4,
      lengthPenalty: gnmtPenalty(0.6),
    });
    for (const { tokens, finished, logProbability, score } of outputs.flat()) {
      const n = tokens.length + (finished ? 1 : 0);
      expect(score).toBeCloseTo(logProbability / ((5 + n) / 6) ** 0.6, 9);
    }
  });

  it.each([
    ["n^alpha", (alpha: number) => alpha],
    ["GNMT's", gnmtPenalty],
  ])("%s: as alpha grows BLEU's brevity penalty never falls, and it rises overall", async (_, penaltyOf) => {
    const many = Array.from({ length: 60 }, (_, key) => key);
    const references = many.map(() => "a b c d e f g h i");
    const penalties: number[] = [];
    for (const alpha of [0, 0.2, 0.6, 1, 1.5, 2, 3]) {
      const outputs = await beamSearch(
        new TableStepper({ keys: many, conditional: hashed({ vocabularySize: 8, endBias: 1.5, spread: 2 }) }),
        { start, end, maxTokens: 12, beams: 5, lengthPenalty: penaltyOf(alpha), earlyStopping: "never" },
      );
      const texts = outputs.map(([best]) => best!.tokens.map((token) => "xxabcdefgh"[token]).join(" "));
      penalties.push(new Bleu({ force: true }).corpus(texts, [references]).counts.brevityPenalty);
    }
    expect(penalties).toEqual(penalties.toSorted((a, b) => a - b));
    expect(penalties.at(-1)!).toBeGreaterThan(penalties[0]! + 0.2);
  });
});

describe("lengths that cannot be", () => {
  const stepper = () => new TableStepper({ keys, conditional: hashed() });
  it.each<[Partial<SearchOptions>, RegExp]>([
    [{ maxTokens: [3, 3] }, /2 lengths for 4 sentences/],
    [{ maxTokens: [3, 3, 0, 3] }, /at least 1, got 0/],
    [{ maxTokens: [3, 3, 2, 3], minTokens: 3 }, /3 tokens at least cannot be had with maxTokens 2/],
  ])("%j are refused", async (options, message) => {
    await expect(beamSearch(stepper(), { start, end, maxTokens: 5, ...options })).rejects.toThrow(message);
  });
});
