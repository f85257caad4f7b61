import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { beamSearch, constrainedBeamSearch, type Hypothesis } from "../../src/decode/index.ts";
import { hashed, logSoftmax, TableStepper, type Conditional } from "./table-stepper.ts";

const [end, start] = [0, 1];

function holds({ tokens }: Hypothesis, phrase: readonly number[]): boolean {
  return tokens.some((_, i) => phrase.every((token, j) => tokens[i + j] === token));
}

/** The best whole output that holds all phrases, by plain recursion. */
function bestWith(conditional: Conditional, phrases: readonly (readonly number[])[], maxTokens: number): number {
  let best = -Infinity;
  const extend = (tokens: number[], sum: number): void => {
    for (const [token, logProbability] of logSoftmax(conditional(0, [start, ...tokens])).entries()) {
      const total = sum + Math.fround(logProbability);
      if (token === end) {
        const output = { tokens } as Hypothesis;
        if (phrases.every((phrase) => holds(output, phrase))) best = Math.max(best, total);
      } else if (tokens.length + 2 <= maxTokens) extend([...tokens, token], total);
    }
  };
  extend([], 0);
  return best;
}

describe("beam search with phrases", () => {
  it("without phrases is beam search", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.nat(1000),
          beams: fc.integer({ min: 1, max: 6 }),
          lengthPenalty: fc.constantFrom(0, 0.6, 2),
          maxTokens: fc.integer({ min: 1, max: 9 }),
          earlyStopping: fc.constantFrom(true, false),
        }),
        async ({ seed, ...options }) => {
          const given = { keys: [0, 1, 2], conditional: hashed({ seed, endBias: 1, vocabularySize: 30 }) };
          const all = { start, end, ...options, nbest: options.beams };
          const plain = await beamSearch(new TableStepper(given), all);
          expect(await constrainedBeamSearch(new TableStepper(given), { ...all, phrases: [[], [], []] })).toEqual(
            plain,
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it("every finished output holds every phrase of its sentence, one token or several, overlapping or not", async () => {
    const phrases = [
      [[5], [6, 7]],
      [[2, 2, 3]],
      [],
      [
        [3, 4],
        [4, 5],
      ],
    ];
    for (let seed = 1; seed <= 20; seed++) {
      const stepper = new TableStepper({ keys: [0, 1, 2, 3], conditional: hashed({ seed, endBias: 2 }) });
      const outputs = await constrainedBeamSearch(stepper, { start, end, maxTokens: 20, beams: 8, nbest: 8, phrases });
      for (const [sentence, list] of outputs.entries()) {
        expect(list.length).toBeGreaterThan(0);
        for (const output of list)
          for (const phrase of phrases[sentence]!) expect(holds(output, phrase), `${output.tokens}`).toBe(true);
      }
    }
  });

  it("finds the best output that holds the phrases where the beam is wide", async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const conditional = hashed({ vocabularySize: 5, seed, spread: 2 });
      for (const phrases of [[[3]], [[2, 4]], [[4], [2]]]) {
        const [list] = await constrainedBeamSearch(new TableStepper({ keys: [0], conditional }), {
          start,
          end,
          maxTokens: 5,
          beams: 2000,
          lengthPenalty: 0,
          earlyStopping: "never",
          phrases: [phrases],
        });
        const finished = list!.filter((hypothesis) => hypothesis.finished);
        // Cut outputs may score better still; the best that ends is in the list either way.
        const best = Math.max(...finished.map(({ logProbability }) => logProbability));
        if (finished.length > 0) expect(best).toBeCloseTo(bestWith(conditional, phrases, 5), 5);
      }
    }
  });

  it("a phrase that would be likely goes where it is likely, in place of being forced at once", async () => {
    // After 2 comes 3 with p = 0.8; after anything else 3 is rare. 2 is likely first.
    const conditional: Conditional = (_, tokens) =>
      (tokens.at(-1) === 2 ? [0.1, 0.05, 0.05, 0.8] : [0.4, 0.05, 0.5, 0.05]).map(Math.log);
    const [[best]] = (await constrainedBeamSearch(new TableStepper({ keys: [0], conditional }), {
      start,
      end,
      maxTokens: 6,
      beams: 4,
      lengthPenalty: 0,
      phrases: [[[3]]],
    })) as [[Hypothesis]];
    expect(best.tokens).toEqual([2, 3]);
    expect(best.logProbability).toBeCloseTo(Math.log(0.5 * 0.8 * 0.4), 5);
  });

  it("where a phrase cannot come to stand, what came furthest is given, unfinished", async () => {
    // Token 4 is banned by the model itself everywhere, so the phrase cannot come.
    const conditional: Conditional = () => [0, 0, 1, 1, -Infinity];
    const [list] = await constrainedBeamSearch(new TableStepper({ keys: [0], conditional }), {
      start,
      end,
      maxTokens: 4,
      beams: 4,
      phrases: [[[3, 4]]],
    });
    expect(list![0]).toMatchObject({ finished: false });
    expect(list![0]!.tokens.at(-1)).toBe(3);
  });

  it.each([
    [[[[]]], /phrase 0 has no tokens/],
    [[[[11]]], /token 11 is not in the vocabulary/],
    [[[[5, end]]], /ends an output/],
    [[], /0 lists for 1 sentences/],
    [[[[1, 2, 3, 4]]], /must hold 4 tokens and may have 3/],
  ])("refuses %j", async (phrases, message) => {
    const stepper = new TableStepper({ keys: [0], conditional: hashed() });
    await expect(constrainedBeamSearch(stepper, { start, end, maxTokens: 3, beams: 2, phrases })).rejects.toThrow(
      message,
    );
  });
});
