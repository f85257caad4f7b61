import { describe, expect, it } from "vitest";
import { greedySearch, minimumTokens, repetitionPenalty } from "../../src/decode/index.ts";
import { hashed, logSoftmax, TableStepper, type Conditional } from "./table-stepper.ts";

const end = 0;
const start = 1;

describe("greedy search", () => {
  it("takes the likeliest token until END, and sums its log-probabilities", async () => {
    const conditional = hashed({ endBias: 1 });
    const keys = [0, 1, 2, 3, 4, 5];
    const outputs = await greedySearch(new TableStepper({ keys, conditional }), { start, end, maxTokens: 9 });
    for (const key of keys) {
      const tokens = [start];
      let sum = 0;
      while (tokens.length <= 9 && (tokens.length === 1 || tokens.at(-1) !== end)) {
        const row = logSoftmax(conditional(key, tokens));
        const best = row.indexOf(Math.max(...row));
        sum += row[best]!;
        tokens.push(best);
      }
      const finished = tokens.at(-1) === end;
      expect(outputs[key]).toMatchObject({ tokens: finished ? tokens.slice(1, -1) : tokens.slice(1), finished });
      expect(outputs[key]!.logProbability).toBeCloseTo(sum, 5);
      expect(outputs[key]!.score).toBeCloseTo(sum / (tokens.length - 1), 5);
    }
  });

  it("lets finished sentences leave the batch", async () => {
    // Sentence k ends after k tokens.
    const conditional: Conditional = (key, tokens) => (tokens.length > key ? [5, 0, 0] : [-5, 0, 1]);
    const stepper = new TableStepper({ keys: [3, 1, 2], conditional });
    await greedySearch(stepper, { start, end, maxTokens: 9 });
    expect(stepper.alive).toEqual([[0, 1, 2], [0, 1, 2], [0, 2], [0]]);
  });

  it("continues prompts of unlike lengths as if their sentences stood alone", async () => {
    const conditional = hashed({ endBias: -2 });
    const prompts = [[4, 5, 6], [7], [8, 9]];
    const before = prompts.map((prompt) => prompt.slice(0, -1));
    const options = { end, maxTokens: 6, processors: [repetitionPenalty(1.5), minimumTokens(2, [end])] };
    const together = await greedySearch(new TableStepper({ keys: [0, 1, 2], conditional, before }), {
      ...options,
      start: prompts,
    });
    for (const i of prompts.keys()) {
      const stepper = new TableStepper({ keys: [i], conditional, before: [before[i]!] });
      expect(await greedySearch(stepper, { ...options, start: [prompts[i]!] })).toEqual([together[i]]);
    }
  });

  it("asks for one candidate a row, and for the logits only when told", async () => {
    const plain = new TableStepper({ keys: [0], conditional: hashed() });
    await greedySearch(plain, { start, end, maxTokens: 4 });
    expect(new Set(plain.counts)).toEqual(new Set([1]));
    const raw = new TableStepper({ keys: [0], conditional: hashed() });
    const [output] = await greedySearch(raw, {
      start,
      end,
      maxTokens: 4,
      scale: "logits",
      processors: [repetitionPenalty(1)],
    });
    expect(raw.calls).toMatchObject({ logits: raw.calls.steps, top: 0, all: 0 });
    // A penalty of 1 changes nothing, so the log-probabilities are the model's own.
    const [same] = await greedySearch(new TableStepper({ keys: [0], conditional: hashed() }), {
      start,
      end,
      maxTokens: 4,
    });
    expect(output!.tokens).toEqual(same!.tokens);
    expect(output!.logProbability).toBeCloseTo(same!.logProbability, 5);
  });
});
