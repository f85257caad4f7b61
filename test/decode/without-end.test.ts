// "Keep going forever": what a search does when the token that ends a sentence is taken from it.
import { describe, expect, test } from "vitest";
import {
  beamSearch,
  greedySearch,
  sample,
  suppressed,
  type Hypothesis,
  type SearchOptions,
  type Stepper,
} from "../../src/decode/index.ts";
import { hashed, TableStepper } from "./table-stepper.ts";

const [start, end, maxTokens] = [1, 0, 40];
const keys = Array.from({ length: 200 }, (_, key) => key);
const searches: readonly (readonly [string, (stepper: Stepper, options: SearchOptions) => Promise<Hypothesis[]>])[] = [
  ["greedy search", greedySearch],
  [
    "a beam of 4",
    async (stepper, options) => (await beamSearch(stepper, { ...options, beams: 4 })).map(([best]) => best!),
  ],
  ["sampling", (stepper, options) => sample(stepper, { ...options, seed: 3 })],
];

describe.each(searches)("%s", (_, search) => {
  // END has e³ times the average token's odds, so no sentence needs anything near 40 tokens.
  const stepper = (): Stepper => new TableStepper({ keys, conditional: hashed({ spread: 1, end, endBias: 3 }) });

  test("with END at most one sentence in 200 reaches the limit", async () => {
    const outputs = await search(stepper(), { start, end, maxTokens });
    expect(outputs.filter(({ finished }) => !finished).length).toBeLessThanOrEqual(1);
  });

  test.each<[string, Partial<SearchOptions>]>([
    ["END taken out of the vocabulary", { end, processors: [suppressed([end])] }],
    ["no END named at all", {}],
  ])("with %s every sentence runs to the limit, unfinished", async (_, options) => {
    const outputs = await search(stepper(), { start, maxTokens, ...options });
    expect(outputs).toHaveLength(keys.length);
    for (const { tokens, finished } of outputs) expect([tokens.length, finished]).toEqual([maxTokens, false]);
  });
});
