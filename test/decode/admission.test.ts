// Sentences that join a running search: what each of them gets is what it gets alone.
import { describe, expect, it } from "vitest";
import {
  beamSearch,
  beamSearchEach,
  forcedPrefix,
  greedySearch,
  greedySearchEach,
  inPlaces,
  noRepeatNgram,
  sample,
  sampleEach,
  SearchAborted,
  stopStrings,
  type Ended,
  type Hypothesis,
  type JoiningOptions,
  type Stepper,
} from "../../src/decode/index.ts";
import { hashed, TableStepper, type Conditional } from "./table-stepper.ts";

const end = 0;
const keys = Array.from({ length: 23 }, (_, key) => key);
// ENDs at unlike places: the more likely, the greater the key.
const conditional: Conditional = (key, tokens) =>
  hashed({ vocabularySize: 11, end, endBias: (key % 7) - 3 })(key, tokens);
const starts = keys.map((key) => [1 + (key % 3)]);
const longest = keys.map((key) => 1 + ((5 * key) % 13));
const shortest = longest.map((most, key) => Math.min(most, key % 4));
const seeds = keys.map((key) => 100 + key);
const told = { end, start: starts, maxTokens: longest, minTokens: shortest };
const words = (tokens: readonly number[]): string => tokens.map((token) => ` ${token}`).join("");

type Search = (stepper: Stepper, options: JoiningOptions & { only?: number }) => Promise<Hypothesis[][]>;

/** The options of one sentence alone, or of all. */
function of<Item>(list: readonly Item[], only: number | undefined): readonly Item[] {
  return only === undefined ? list : [list[only]!];
}

function toldOf(only: number | undefined) {
  return {
    end,
    start: of(starts, only),
    maxTokens: of(longest, only),
    minTokens: of(shortest, only),
  };
}

const searches: readonly (readonly [string, Search])[] = [
  [
    "greedy search",
    async (stepper, { only, ...joining }) =>
      (await greedySearch(stepper, { ...toldOf(only), ...joining, processors: [noRepeatNgram(2)] })).map((one) => [
        one,
      ]),
  ],
  [
    "beam search",
    (stepper, { only, ...joining }) => beamSearch(stepper, { ...toldOf(only), ...joining, beams: 5, nbest: 3 }),
  ],
  [
    "beam search, no early end, a length penalty, stop strings",
    (stepper, { only, ...joining }) =>
      beamSearch(stepper, {
        ...toldOf(only),
        ...joining,
        beams: 3,
        lengthPenalty: 0.6,
        earlyStopping: "never",
        stop: stopStrings([" 7"], words),
      }),
  ],
  [
    "sampling",
    async (stepper, { only, ...joining }) =>
      (await sample(stepper, { ...toldOf(only), ...joining, seed: of(seeds, only) })).map((one) => [one]),
  ],
];

describe.each(searches)("%s", (_, search) => {
  it.each([1, 3, 8, 40])(
    "gives sentences that pass through %i places what each gets alone, in order",
    async (places) => {
      const stepper = new TableStepper({ keys, conditional, letsJoin: true });
      const joined = await search(stepper, { admit: inPlaces(keys.length, places) });
      const together = await search(new TableStepper({ keys, conditional }), {});
      expect(joined).toEqual(together);
      for (const key of keys)
        expect(await search(new TableStepper({ keys: [key], conditional }), { only: key })).toEqual([joined[key]]);
      expect(Math.max(...stepper.alive.map((alive) => alive.length))).toBe(Math.min(places, keys.length));
    },
  );
});

describe("sentences that join", () => {
  it("keep the places full: as many steps as one row after the other needs in all, or a quarter of the places stands empty", async () => {
    const stepper = new TableStepper({ keys, conditional, letsJoin: true });
    await greedySearch(stepper, { ...told, admit: inPlaces(keys.length, 8) });
    const whileSomeWait = stepper.alive.filter((alive) => alive.at(-1)! < keys.length - 1);
    expect(whileSomeWait.length).toBeGreaterThan(5);
    for (const alive of whileSomeWait) expect(alive.length).toBeGreaterThan(6);
  });

  it("begin with one row each where nobody else is left", async () => {
    // Nobody ends before the limit, so that all leave together.
    const never: Conditional = () => [-50, 1, 2, 3, 4, 5, 6];
    const stepper = new TableStepper({ keys: keys.slice(0, 6), conditional: never, letsJoin: true });
    await beamSearch(stepper, { end, start: 1, maxTokens: 3, beams: 2, admit: inPlaces(6, 3) });
    expect(stepper.calls.rows).toBe(2 * (3 + 6 + 6));
  });

  it("draw by their own number and length where there is one seed for all", async () => {
    const options = { ...told, seed: 5 };
    const together = await sample(new TableStepper({ keys, conditional }), options);
    const stepper = new TableStepper({ keys, conditional, letsJoin: true });
    expect(await sample(stepper, { ...options, admit: inPlaces(keys.length, 4) })).toEqual(together);
  });

  it("are told of by processors under their own number", async () => {
    const prefixes = keys.map((key) => [1 + (key % 9), 2]);
    const stepper = new TableStepper({ keys, conditional, letsJoin: true });
    const outputs = await beamSearch(stepper, {
      end,
      start: 1,
      maxTokens: 6,
      beams: 2,
      processors: [forcedPrefix(prefixes)],
      admit: inPlaces(keys.length, 4),
    });
    for (const key of keys) expect(outputs[key]![0]!.tokens.slice(0, 2)).toEqual(prefixes[key]);
  });

  it.each([
    ["greedy", greedySearchEach],
    ["beams", beamSearchEach],
    [
      "draws",
      (stepper: Stepper, options: Parameters<typeof greedySearchEach>[1]) =>
        sampleEach(stepper, { ...options, seed: 1 }),
    ],
  ] as const)("may come while the search runs, and are given as soon as they end: %s", async (_, each) => {
    const maxTokens: number[] = [];
    // One more comes at each step, up to six; a list of lengths grows with them.
    const admit = (alive: number): number => {
      if (maxTokens.length === 6 || alive > 3) return 0;
      maxTokens.push(8 - maxTokens.length);
      return 1;
    };
    const stepper = new TableStepper({ keys, conditional: () => [-50, 1, 2], letsJoin: true });
    const ended: Ended[] = [];
    for await (const one of each(stepper, { end, start: 1, maxTokens, admit })) ended.push(one);
    // The sentence that joins at step s is cut after 8 − s tokens; the first four are all cut after step 7.
    expect(ended.map(({ sentence }) => sentence).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
    for (const { sentence, outputs } of ended) expect(outputs[0]!.tokens).toHaveLength(8 - sentence);
  });

  it("are not let in once the signal is raised", async () => {
    const controller = new AbortController();
    const stepper = new TableStepper({ keys, conditional, letsJoin: true });
    const admit = inPlaces(keys.length, 2);
    const run = beamSearch(stepper, {
      ...told,
      signal: controller.signal,
      admit: (alive) => {
        if (stepper.calls.steps === 12) controller.abort();
        return admit(alive);
      },
    });
    await expect(run).rejects.toThrow(SearchAborted);
    expect(stepper.calls.steps).toBe(12);
  });

  it("need a stepper that lets them, and to be known when they are let in", async () => {
    const admit = inPlaces(3, 2);
    await expect(beamSearch(new TableStepper({ keys, conditional }), { ...told, admit })).rejects.toThrow(
      /admit: .*joi/,
    );
    const stepper = (): Stepper => new TableStepper({ keys, conditional, letsJoin: true });
    await expect(beamSearch(stepper(), { ...told, maxTokens: [5, 5], admit: inPlaces(3, 3) })).rejects.toThrow(
      "maxTokens: nothing was said of sentence 2",
    );
    await expect(sample(stepper(), { ...told, seed: [5, 5], admit: inPlaces(3, 3) })).rejects.toThrow(
      "seed: nothing was said of sentence 2",
    );
    await expect(beamSearch(stepper(), { ...told, start: [[99]], admit: inPlaces(1, 1) })).rejects.toThrow(
      "start: token 99",
    );
    expect(() => inPlaces(3, 0)).toThrow("places");
  });
});
