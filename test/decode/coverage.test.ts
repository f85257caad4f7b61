import { describe, expect, it } from "vitest";
import {
  beamSearch,
  diverseBeamSearch,
  type Hypothesis,
  type SourceAttention,
  type Step,
  type Stepper,
} from "../../src/decode/index.ts";
import { hashed, TableStepper, type Conditional } from "./table-stepper.ts";

const [end, start] = [0, 1];

/** A table that looks at source token (last token − 2) with 0.8, and at the others alike with the rest. */
class LookingStepper extends TableStepper {
  readonly #lengths: readonly number[];
  #rows: { sentence: number; token: number }[] = [];

  constructor(keys: readonly number[], conditional: Conditional, lengths: readonly number[]) {
    super({ keys, conditional });
    this.#lengths = lengths;
  }

  override topCandidates(step: Step, count: number) {
    this.#rows = Array.from(step.tokens, (token, row) => ({
      sentence: step.sentences[Math.floor(row / step.beams)]!,
      token,
    }));
    return super.topCandidates(step, count);
  }

  attention(): SourceAttention {
    const sourceTime = Math.max(...this.#lengths);
    const weights = this.#rows.flatMap(({ sentence, token }) => {
      const length = this.#lengths[sentence]!;
      const looked = (token - 1) % length;
      return Array.from({ length: sourceTime }, (_, i) => (i >= length ? 0 : i === looked ? 0.8 : 0.2 / (length - 1)));
    });
    return { sourceTime, lengths: Int32Array.from(this.#lengths), weights: Float32Array.from(weights) };
  }
}

/** weight · Σᵢ log(min(Σⱼ pᵢⱼ, 1)) of an output, by the formula; a step looks by the token fed to it. */
function penalty(fed: readonly number[], length: number): number {
  const sums = new Array<number>(length).fill(0);
  for (const token of fed)
    for (let i = 0; i < length; i++) sums[i]! += i === (token - 1) % length ? 0.8 : 0.2 / (length - 1);
  return sums.reduce((total, sum) => total + Math.log(Math.min(sum, 1)), 0);
}

describe("the coverage penalty", () => {
  it("is added to the score of every hypothesis, of the attention on its own path", async () => {
    const lengths = [3, 5, 2];
    for (let seed = 1; seed <= 10; seed++) {
      const stepper = new LookingStepper([0, 1, 2], hashed({ seed, endBias: 1 }), lengths);
      const outputs = await beamSearch(stepper, {
        start,
        end,
        maxTokens: 7,
        beams: 4,
        nbest: 4,
        lengthPenalty: 1,
        coveragePenalty: 0.2,
      });
      for (const [sentence, list] of outputs.entries()) {
        for (const { tokens, finished, logProbability, score } of list) {
          const fed = [start, ...tokens].slice(0, finished ? undefined : -1);
          const expected = logProbability / fed.length + 0.2 * penalty(fed, lengths[sentence]!);
          expect(score).toBeCloseTo(expected, 5);
        }
      }
    }
  });

  it("prefers the output that looks at everything, though the model likes the other a little better", async () => {
    // Token 2 looks at source token 1 next; token 4, at source token 0 again. Then both end.
    const conditional: Conditional = (_, tokens) =>
      (tokens.length === 1 ? [0.01, 0.01, 0.44, 0.01, 0.53] : [0.96, 0.01, 0.01, 0.01, 0.01]).map(Math.log);
    const best = async (coveragePenalty: number) => {
      const stepper = new LookingStepper([0], conditional, [3]);
      const [[first]] = (await beamSearch(stepper, { start, end, maxTokens: 5, beams: 3, coveragePenalty })) as [
        [Hypothesis],
      ];
      return first.tokens;
    };
    expect(await best(0)).toEqual([4]);
    expect(await best(1)).toEqual([2]);
  });

  it("is refused by a model that does not show its attention, and with a senseless weight", async () => {
    const plain: Stepper = new TableStepper({ keys: [0], conditional: hashed() });
    const options = { start, end, maxTokens: 3, beams: 2 };
    await expect(beamSearch(plain, { ...options, coveragePenalty: 0.2 })).rejects.toThrow(/does not show where/);
    const looking = new LookingStepper([0], hashed(), [2]);
    await expect(beamSearch(looking, { ...options, coveragePenalty: -1 })).rejects.toThrow(/at least 0, got -1/);
    const groups = { groups: 2, diversityPenalty: 1, coveragePenalty: 1 };
    await expect(diverseBeamSearch(plain, { ...options, ...groups })).rejects.toThrow(/does not show where/);
  });
});
