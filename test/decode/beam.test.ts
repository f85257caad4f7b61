import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  beamSearch,
  greedySearch,
  SearchAborted,
  type EarlyStopping,
  type Hypothesis,
  type ScoreProcessor,
} from "../../src/decode/index.ts";
import { hashed, logSoftmax, TableStepper, type Conditional } from "./table-stepper.ts";

const end = 0;
const start = 1;

/** Every possible output with its sum of log-probabilities, by plain recursion. */
function everything(conditional: Conditional, key: number, maxTokens: number): Hypothesis[] {
  const all: Hypothesis[] = [];
  const extend = (tokens: number[], sum: number): void => {
    for (const [token, logProbability] of logSoftmax(conditional(key, [start, ...tokens])).entries()) {
      const total = sum + Math.fround(logProbability);
      if (token === end)
        all.push({ tokens, logProbability: total, tokenLogProbabilities: [], score: 0, finished: true });
      else if (tokens.length + 1 === maxTokens) {
        const cut = { tokens: [...tokens, token], logProbability: total, tokenLogProbabilities: [] };
        all.push({ ...cut, score: 0, finished: false });
      } else extend([...tokens, token], total);
    }
  };
  extend([], 0);
  return all;
}

function plain(hypotheses: readonly (readonly Hypothesis[])[]): unknown {
  return hypotheses.map((list) =>
    list.map(({ tokens, score, finished }) => ({ tokens, score: Number(score.toFixed(6)), finished })),
  );
}

/** Forces the slow way without changing a score. */
const unchanged: ScoreProcessor = { process: () => {} };

describe("beam search", () => {
  it.each([
    { vocabularySize: 3, maxTokens: 4, lengthPenalty: 0 },
    { vocabularySize: 3, maxTokens: 4, lengthPenalty: 1 },
    { vocabularySize: 4, maxTokens: 3, lengthPenalty: 2 },
    { vocabularySize: 4, maxTokens: 3, lengthPenalty: -1 },
  ])(
    "with as many beams as outputs finds what exhaustive search finds (%o)",
    async ({ vocabularySize, maxTokens, lengthPenalty }) => {
      const beams = vocabularySize ** maxTokens;
      for (let seed = 1; seed <= 20; seed++) {
        const conditional = hashed({ vocabularySize, seed });
        const expected = everything(conditional, 0, maxTokens)
          .map((h) => ({ ...h, score: h.logProbability / (h.tokens.length + (h.finished ? 1 : 0)) ** lengthPenalty }))
          .sort((a, b) => b.score - a.score)
          .slice(0, 5);
        const stepper = new TableStepper({ keys: [0], conditional });
        const found = await beamSearch(stepper, {
          start,
          end,
          maxTokens,
          beams,
          lengthPenalty,
          nbest: 5,
          earlyStopping: "never",
        });
        expect(plain(found)).toEqual(plain([expected]));
      }
    },
  );

  it.each([true, false])("with one beam is greedy search (early stopping %s)", async (earlyStopping) => {
    for (let seed = 1; seed <= 30; seed++) {
      const options = { keys: [0, 1, 2, 3, 4], conditional: hashed({ seed, endBias: 1 }) };
      const greedy = await greedySearch(new TableStepper(options), { start, end, maxTokens: 12 });
      const beam = await beamSearch(new TableStepper(options), { start, end, maxTokens: 12, beams: 1, earlyStopping });
      expect(plain(beam)).toEqual(plain(greedy.map((hypothesis) => [hypothesis])));
    }
  });

  const settings = fc.record({
    seed: fc.nat(1000),
    beams: fc.integer({ min: 1, max: 6 }),
    lengthPenalty: fc.constantFrom(0, 0.6, 1, 2, -0.5),
    earlyStopping: fc.constantFrom<EarlyStopping>(true, false, "never"),
    endBias: fc.constantFrom(-1, 0, 2),
    maxTokens: fc.integer({ min: 1, max: 10 }),
    vocabularySize: fc.integer({ min: 3, max: 20 }),
  });

  it("gives a sentence the same alone as in any batch, in any order", async () => {
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 1 }),
        async (given, keys) => {
          const { seed, endBias, vocabularySize, ...options } = given;
          const conditional = hashed({ seed, endBias, vocabularySize });
          const search = (batch: readonly number[]) =>
            beamSearch(new TableStepper({ keys: batch, conditional }), {
              start,
              end,
              ...options,
              nbest: options.beams,
            });
          const together = await search(keys);
          for (const [i, key] of keys.entries()) expect(together[i]).toEqual((await search([key]))[0]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("chooses the same over whole rows as over candidates", async () => {
    await fc.assert(
      fc.asyncProperty(settings, async ({ seed, endBias, vocabularySize, ...options }) => {
        const keys = [0, 1, 2];
        const conditional = hashed({ seed, endBias, vocabularySize });
        const [fast, slow] = [new TableStepper({ keys, conditional }), new TableStepper({ keys, conditional })];
        const all = { start, end, ...options, nbest: options.beams };
        expect(await beamSearch(slow, { ...all, processors: [unchanged] })).toEqual(await beamSearch(fast, all));
        expect(fast.calls).toMatchObject({ all: 0, top: fast.calls.steps });
        expect(slow.calls).toMatchObject({ top: 0, all: slow.calls.steps });
      }),
      { numRuns: 60 },
    );
  });

  it("keeps a finished hypothesis's score while its neighbours go on", async () => {
    // Sentence 0: token 2, then END, each with p = 0.9. Sentence 1: token 3 for ever, and hardly an END.
    const conditional: Conditional = (key, tokens) => {
      if (key === 1) return [1e-9, 0.05, 0.05, 0.9].map(Math.log);
      return (tokens.length === 1 ? [0.02, 0.04, 0.9, 0.04] : [0.9, 0.04, 0.03, 0.03]).map(Math.log);
    };
    const stepper = new TableStepper({ keys: [0, 1], conditional });
    const [[short], [long]] = (await beamSearch(stepper, {
      start,
      end,
      maxTokens: 9,
      beams: 2,
      earlyStopping: true,
    })) as [[Hypothesis], [Hypothesis]];
    expect(short.tokens).toEqual([2]);
    expect(short.logProbability).toBeCloseTo(2 * Math.log(0.9), 6);
    expect(short.score).toBeCloseTo(Math.log(0.9), 6);
    expect(long).toMatchObject({ tokens: new Array(9).fill(3), finished: false });
    expect(stepper.alive.at(-1)).toEqual([1]);
  });

  it("makes outputs no shorter as the length penalty grows", async () => {
    const keys = Array.from({ length: 40 }, (_, key) => key);
    const conditional = hashed({ vocabularySize: 8, endBias: 1.5, spread: 2 });
    let before = 0;
    for (const lengthPenalty of [-1, 0, 0.5, 1, 1.5, 2, 3]) {
      const outputs = await beamSearch(new TableStepper({ keys, conditional }), {
        start,
        end,
        maxTokens: 12,
        beams: 5,
        lengthPenalty,
        earlyStopping: "never",
      });
      const total = outputs.reduce((sum, [best]) => sum + best!.tokens.length, 0);
      expect(total).toBeGreaterThanOrEqual(before);
      before = total;
    }
    expect(before).toBeGreaterThan(40 * 8);
  });

  it("honours the least and the greatest length", async () => {
    const keys = [0, 1, 2, 3, 4, 5];
    for (const [minTokens, maxTokens] of [
      [0, 1],
      [3, 3],
      [4, 7],
      [7, 8],
    ] as const) {
      for (const endBias of [-9, 0, 9]) {
        const stepper = new TableStepper({ keys, conditional: hashed({ endBias }) });
        const outputs = await beamSearch(stepper, { start, end, minTokens, maxTokens, beams: 3, nbest: 3 });
        for (const { tokens, finished } of outputs.flat()) {
          expect(tokens.length).toBeGreaterThanOrEqual(minTokens);
          expect(tokens.length + (finished ? 1 : 0)).toBeLessThanOrEqual(maxTokens);
          expect(tokens).not.toContain(end);
        }
        expect(stepper.calls.all).toBe(0);
      }
    }
  });

  it("runs to the greatest length where nothing ends", async () => {
    const outputs = await beamSearch(new TableStepper({ keys: [0, 1], conditional: hashed() }), {
      start,
      maxTokens: 6,
      beams: 3,
      nbest: 3,
    });
    for (const { tokens, finished } of outputs.flat())
      expect({ length: tokens.length, finished }).toEqual({ length: 6, finished: false });
  });

  it("takes the lower token, then the better-ranked row, among equals", async () => {
    const flat: Conditional = () => [-9, 0, 0, 0, 0];
    const [list] = await beamSearch(new TableStepper({ keys: [0], conditional: flat }), {
      start,
      end,
      maxTokens: 1,
      beams: 3,
      nbest: 3,
      lengthPenalty: 0,
    });
    // All three score the same and came at the same step; what joined the list later stands first.
    expect(list!.map(({ tokens }) => tokens[0])).toEqual([3, 2, 1]);
    const [best] = await beamSearch(new TableStepper({ keys: [0], conditional: flat }), {
      start,
      end,
      maxTokens: 1,
      beams: 1,
    });
    expect(best![0]!.tokens).toEqual([1]);
  });

  it("asks for twice as many candidates as beams, and for more only with more ends", async () => {
    const one = new TableStepper({ keys: [0], conditional: hashed({ vocabularySize: 40 }) });
    await beamSearch(one, { start, end, maxTokens: 3, beams: 4 });
    expect(new Set(one.counts)).toEqual(new Set([8]));
    const three = new TableStepper({ keys: [0], conditional: hashed({ vocabularySize: 40 }) });
    await beamSearch(three, { start, end: [0, 5, 6], maxTokens: 3, beams: 4 });
    expect(new Set(three.counts)).toEqual(new Set([16]));
  });

  it("ends at any of several ends", async () => {
    const outputs = await beamSearch(new TableStepper({ keys: [0, 1, 2, 3], conditional: hashed({ spread: 1 }) }), {
      start,
      end: [0, 4, 7],
      maxTokens: 8,
      beams: 3,
    });
    for (const [{ tokens }] of outputs as [Hypothesis][])
      expect(tokens.filter((token) => [0, 4, 7].includes(token))).toEqual([]);
  });

  it("stops between steps when the signal is raised", async () => {
    const signal = { aborted: false } as AbortSignal;
    const stepper = new TableStepper({
      keys: [0],
      conditional: (key, tokens) => {
        if (tokens.length === 3) (signal as { aborted: boolean }).aborted = true;
        return hashed()(key, tokens);
      },
    });
    await expect(beamSearch(stepper, { start, maxTokens: 100, beams: 2, signal })).rejects.toThrow(SearchAborted);
    expect(stepper.calls.steps).toBe(3);
  });

  it.each([{ processors: [] }, { processors: [unchanged] }])(
    "names the sentence and the step when the model's scores are not numbers",
    async ({ processors }) => {
      const conditional: Conditional = (key, tokens) =>
        key === 2 && tokens.length === 3 ? new Array<number>(11).fill(NaN) : hashed({ endBias: -9 })(key, tokens);
      const search = beamSearch(new TableStepper({ keys: [0, 1, 2], conditional }), {
        start,
        end,
        maxTokens: 9,
        beams: 2,
        processors,
      });
      await expect(search).rejects.toThrow(/sentence 2, step 2.*NaN/);
    },
  );

  it.each([
    [{ maxTokens: 0 }, /maxTokens: expected a whole number of at least 1, got 0/],
    [{ maxTokens: 3, minTokens: 4 }, /minTokens: 4 tokens at least/],
    [{ maxTokens: 3, beams: 0 }, /beams/],
    [{ maxTokens: 3, beams: 2, nbest: 3 }, /Raise beams to 3/],
    [{ maxTokens: 3, end: 11 }, /end: token 11 is not in the vocabulary/],
    [{ maxTokens: 3, start: [[1], [1]] }, /2 lists of tokens for 1 sentences/],
  ])("refuses %o", async (options, message) => {
    await expect(
      beamSearch(new TableStepper({ keys: [0], conditional: hashed() }), { start, ...options }),
    ).rejects.toThrow(message);
  });

  it("returns nothing for an empty batch", async () => {
    expect(await beamSearch(new TableStepper({ keys: [], conditional: hashed() }), { start, maxTokens: 3 })).toEqual(
      [],
    );
  });
});
