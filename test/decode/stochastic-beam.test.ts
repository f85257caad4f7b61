import { describe, expect, it } from "vitest";
import { stochasticBeamSearch, temperature } from "../../src/decode/index.ts";
import { hashed, logSoftmax, TableStepper } from "./table-stepper.ts";

const [end, start] = [0, 1];
const conditional = hashed({ vocabularySize: 4, spread: 1, seed: 3 });
const maxTokens = 2;

/** Probability of every output, by plain recursion; END is written too. */
function everything(): Map<string, number> {
  const all = new Map<string, number>();
  const extend = (tokens: number[], sum: number): void => {
    for (const [token, logProbability] of logSoftmax(conditional(0, [start, ...tokens])).entries()) {
      const longer = [...tokens, token];
      if (token === end || longer.length === maxTokens) all.set(longer.join(" "), Math.exp(sum + logProbability));
      else extend(longer, sum + logProbability);
    }
  };
  extend([], 0);
  return all;
}

const draws = 20_000;
const stepper = (sentences: number) => new TableStepper({ keys: new Array<number>(sentences).fill(0), conditional });

describe("stochastic beam search", () => {
  it("draws outputs without replacement, as often as the model says", async () => {
    const probabilities = everything();
    expect(probabilities.size).toBe(13);
    const outputs = await stochasticBeamSearch(stepper(draws), { start, end, maxTokens, beams: 2, seed: 5 });
    const names = outputs.map((list) =>
      list.map(({ tokens, finished }) => (finished ? [...tokens, end] : tokens).join(" ")),
    );
    // The first: p. The second: Σ over other firsts of p(first) · p / (1 − p(first)).
    const firsts = new Map<string, number>();
    const seconds = new Map<string, number>();
    for (const [first, second] of names) {
      expect(second).not.toBe(first);
      firsts.set(first!, (firsts.get(first!) ?? 0) + 1);
      seconds.set(second!, (seconds.get(second!) ?? 0) + 1);
    }
    const chiSquare = (counts: Map<string, number>, expected: (name: string) => number): number =>
      [...probabilities.keys()].reduce((sum, name) => {
        const wanted = draws * expected(name);
        return sum + ((counts.get(name) ?? 0) - wanted) ** 2 / wanted;
      }, 0);
    // Critical value of χ² at p = 0.01 with 12 degrees of freedom: 26.22.
    expect(chiSquare(firsts, (name) => probabilities.get(name)!)).toBeLessThan(26.22);
    const second = (name: string): number => {
      let sum = 0;
      for (const [other, p] of probabilities) if (other !== name) sum += (p * probabilities.get(name)!) / (1 - p);
      return sum;
    };
    expect(chiSquare(seconds, second)).toBeLessThan(26.22);
  });

  it("a beam as wide as there are outputs gives each of them once, with the model's log-probability", async () => {
    const probabilities = everything();
    const [list] = await stochasticBeamSearch(stepper(1), { start, end, maxTokens, beams: 20, seed: 1 });
    expect(list).toHaveLength(probabilities.size);
    for (const { tokens, finished, logProbability } of list!) {
      const name = (finished ? [...tokens, end] : tokens).join(" ");
      expect(Math.exp(logProbability)).toBeCloseTo(probabilities.get(name)!, 5);
    }
    expect(list!.map(({ score }) => score)).toEqual(list!.map(({ score }) => score).sort((a, b) => b - a));
  });

  it("gives the same with the same seed, alone as in a batch, and something else with another", async () => {
    const model = hashed({ endBias: 1 });
    const run = (keys: number[], seed: number[]) =>
      stochasticBeamSearch(new TableStepper({ keys, conditional: model }), {
        start,
        end,
        maxTokens: 9,
        beams: 4,
        seed,
      });
    const together = await run([0, 1, 2], [7, 8, 9]);
    expect(await run([1], [8])).toEqual([together[1]]);
    expect(await run([1], [9])).not.toEqual([together[1]]);
  });

  it("works on what the processors leave", async () => {
    const [cold] = await stochasticBeamSearch(stepper(1), {
      start,
      end,
      maxTokens,
      beams: 1,
      seed: 2,
      processors: [temperature(1e-3)],
    });
    const [likeliest] = [...everything()].sort((a, b) => b[1] - a[1])[0]!;
    // Greedy and the likeliest output agree on this table.
    const { tokens, finished } = cold![0]!;
    expect((finished ? [...tokens, end] : tokens).join(" ")).toBe(likeliest);
  });
});
