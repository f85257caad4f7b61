import { describe, expect, it } from "vitest";
import { beamSearch, diverseBeamSearch } from "../../src/decode/index.ts";
import { hashed, TableStepper } from "./table-stepper.ts";

const end = 0;
const start = 1;
const keys = [0, 1, 2, 3];

describe("diverse beam search", () => {
  const run = (
    seed: number,
    options: { beams: number; groups: number; diversityPenalty: number; padding?: number },
    batch = keys,
  ) =>
    diverseBeamSearch(new TableStepper({ keys: batch, conditional: hashed({ seed, endBias: 1 }) }), {
      start,
      end,
      maxTokens: 9,
      nbest: options.beams,
      lengthPenalty: 0.8,
      ...options,
    });

  it("with one group is beam search", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const plain = await beamSearch(new TableStepper({ keys, conditional: hashed({ seed, endBias: 1 }) }), {
        start,
        end,
        maxTokens: 9,
        nbest: 4,
        beams: 4,
        lengthPenalty: 0.8,
      });
      expect(await run(seed, { beams: 4, groups: 1, diversityPenalty: 5 })).toEqual(plain);
    }
  });

  it("without a penalty gives every group the same", async () => {
    for (const list of await run(3, { beams: 6, groups: 3, diversityPenalty: 0 })) {
      for (let i = 0; i < 6; i += 3) {
        expect(list[i]!.tokens).toEqual(list[i + 1]!.tokens);
        expect(list[i]!.tokens).toEqual(list[i + 2]!.tokens);
      }
    }
  });

  it("gives a sentence the same alone as in a batch, whose groups end at different steps", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const options = { beams: 4, groups: 2, diversityPenalty: 0.7, padding: 3 };
      const together = await run(seed, options);
      for (const key of keys) expect(await run(seed, options, [key])).toEqual([together[key]]);
    }
  });

  it("starts every group with another token when the penalty is large", async () => {
    const lists = await run(5, { beams: 4, groups: 4, diversityPenalty: 1000 });
    for (const list of lists) {
      const first = list.map(({ tokens, finished }) => tokens[0] ?? (finished ? end : undefined));
      expect(new Set(first.filter((token) => token !== end)).size).toBe(first.filter((token) => token !== end).length);
    }
  });

  it("keeps the penalty in the scores", async () => {
    // Worked by hand: two groups of one, one token each. Probabilities 0.5, 0.3, 0.2 of tokens 1, 2, 3; the second group
    // would take 1 again at log 0.5 − 0.3 = −0.993, which still beats log 0.3 = −1.204.
    const stepper = () => new TableStepper({ keys: [0], conditional: () => [1e-9, 0.5, 0.3, 0.2].map(Math.log) });
    const options = { start, end, maxTokens: 1, beams: 2, groups: 2, nbest: 2 };
    const [mild] = await diverseBeamSearch(stepper(), { ...options, diversityPenalty: 0.3 });
    expect(mild!.map(({ tokens }) => tokens)).toEqual([[1], [1]]);
    expect(mild![1]!.score).toBeCloseTo(Math.log(0.5) - 0.3, 6);
    const [strong] = await diverseBeamSearch(stepper(), { ...options, diversityPenalty: 0.6 });
    expect(strong!.map(({ tokens }) => tokens)).toEqual([[1], [2]]);
    expect(strong![1]!.score).toBeCloseTo(Math.log(0.3), 6);
  });

  it("refuses groups that do not divide the beams", async () => {
    await expect(run(1, { beams: 4, groups: 3, diversityPenalty: 1 })).rejects.toThrow(
      /must divide beams \(got 3 and 4\)/,
    );
  });
});
