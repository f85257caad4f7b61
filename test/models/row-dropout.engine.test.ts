// Dropout that stays on while decoding: drawn by seed and step alone, and right on average.
import { describe, expect, test } from "vitest";
import { beamSearch, greedySearch, inPlaces, sample, type Step } from "../../src/decode/index.ts";
import {
  LanguageModel,
  LanguageModelDecoder,
  LstmTranslator,
  Transformer,
  TransformerDecoder,
  type SequenceToSequence,
} from "../../src/models/index.ts";
import { expectClose } from "../close.ts";
import { noisy } from "./any-model.ts";
import { idRows, randomRows, session } from "./small-transformer.ts";

const small = { vocabularySize: 13, dModel: 16, heads: 2, layers: 2, dFeedForward: 24, maxPositions: 32 } as const;
const models: readonly (readonly [string, (dropout: number) => SequenceToSequence])[] = [
  ["a Transformer", (dropout) => new Transformer({ ...small, dropout, activationDropout: dropout / 2 })],
  ["an LSTM with attention", (dropout) => new LstmTranslator({ vocabularySize: 13, dModel: 6, dHidden: 8, dropout })],
  [
    "a model with experts, of whose layers some are left out while training",
    (dropout) =>
      new Transformer({
        ...small,
        dropout,
        activationDropout: dropout,
        layerDrop: 0.3,
        feedForward: { kind: "experts", experts: 2 },
      }),
  ],
];
const greedy = { start: 1, end: 2, maxTokens: 10 };
const first = (sentences: number): Step => ({
  sentences: Int32Array.from({ length: sentences }, (_, i) => i),
  beams: 1,
  tokens: new Int32Array(sentences).fill(1),
  parents: Int32Array.from({ length: sentences }, (_, i) => i),
});

describe.each(models)("%s that drops values while it decodes", (_, made) => {
  const model = made(0.2);
  const decoder = new TransformerDecoder(model, noisy(model), session);
  const sources = randomRows([7, 2, 5, 1, 6, 3], 13, 6);
  const seeds = sources.map((__, i) => 100 + i);

  test("writes the same by the same seeds, and something else by others", async () => {
    const scores = async (dropoutSeeds?: readonly number[]) =>
      (await greedySearch(await decoder.start(idRows(sources), { dropoutSeeds }), greedy)).map(({ score }) => score);
    expect(await scores(seeds)).toEqual(await scores(seeds));
    const [dropped, again, plain] = [await scores(seeds), await scores(seeds.map((seed) => seed + 50)), await scores()];
    for (const i of sources.keys()) {
      expect(again[i]).not.toBe(dropped[i]);
      expect(plain[i]).not.toBe(dropped[i]);
    }
  });

  test("gives a sentence what its seed says, whatever stands beside it and however the search orders its beams", async () => {
    const searches = [
      async (rows: number[][], dropoutSeeds: number[]) =>
        beamSearch(await decoder.start(idRows(rows), { dropoutSeeds }), { ...greedy, beams: 3, nbest: 2 }),
      async (rows: number[][], dropoutSeeds: number[]) =>
        (await sample(await decoder.start(idRows(rows), { dropoutSeeds }), { ...greedy, seed: dropoutSeeds })).map(
          (found) => [found],
        ),
    ];
    for (const search of searches) {
      const together = await search(sources, seeds);
      for (const [i, source] of sources.entries()) {
        const [alone] = await search([source], [seeds[i]!]);
        expect(alone!.map(({ tokens }) => tokens)).toEqual(together[i]!.map(({ tokens }) => tokens));
        expectClose(
          alone!.map(({ score }) => score),
          together[i]!.map(({ score }) => score),
          { within: 1e-5, what: `scores of sentence ${i}` },
        );
      }
    }
  });

  test("gives a sentence that joins later the same", async () => {
    const expected = await beamSearch(await decoder.start(idRows(sources), { dropoutSeeds: seeds }), {
      ...greedy,
      beams: 3,
    });
    const joined = decoder.open((sentence) => sources[sentence]!, { dropoutSeeds: seeds });
    const admit = inPlaces(sources.length, 2);
    const found = await beamSearch(joined, { ...greedy, maxTokens: sources.map(() => 10), beams: 3, admit });
    expect(found.map(([best]) => best!.tokens)).toEqual(expected.map(([best]) => best!.tokens));
    const scores = (all: typeof found): number[] => all.map(([best]) => best!.score);
    expectClose(scores(found), scores(expected), { within: 1e-5, what: "scores" });
  });

  test("gives a sentence's hypotheses one network: rows that read the same score the same", async () => {
    const stepper = await decoder.start(idRows(sources.slice(0, 2)), { dropoutSeeds: [5, 6] });
    await stepper.read(first(2));
    const tokens = Int32Array.of(4, 4, 4, 7, 7, 7);
    const step = { sentences: Int32Array.of(0, 1), beams: 3, tokens, parents: Int32Array.of(0, 0, 0, 1, 1, 1) };
    const scores = await stepper.logits(step);
    for (const row of [1, 2, 4, 5]) {
      const twin = row < 3 ? 0 : 3;
      expectClose(scores.subarray(row * 13, (row + 1) * 13), scores.subarray(twin * 13, (twin + 1) * 13), {
        within: 1e-6,
      });
    }
    expect(scores[0]).not.toBeCloseTo(scores[3 * 13]!, 3);
  });

  test("scores on average of 400 seeds as it does without, as far as little is dropped", async () => {
    // Norms, gates and routing are not linear: the mean is off by the variance of what is dropped, a draw by its root. So the rate
    // is small here; chance alone moves the mean of 400 by a twentieth of a draw's deviation.
    const little = new TransformerDecoder(made(0.01), noisy(made(0.01)), session);
    const many = Array.from({ length: 400 }, () => sources[0]!);
    const scoresOf = async (dropoutSeeds?: readonly number[]) => {
      const stepper = await little.start(idRows(many), { dropoutSeeds });
      return stepper.logProbabilities(first(400));
    };
    const [found, plain] = [await scoresOf(many.map((__, i) => i)), await scoresOf()];
    for (let token = 0; token < 13; token++) {
      const drawn = many.map((__, row) => found[row * 13 + token]!);
      const mean = drawn.reduce((a, b) => a + b, 0) / 400;
      const deviation = Math.sqrt(drawn.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 400);
      expect(deviation).toBeGreaterThan(0.001);
      expect(Math.abs(mean - plain[token]!)).toBeLessThan(0.5 * deviation);
    }
    await little.dispose();
  });

  test("drops in whole numbers of 8 bits, too", async () => {
    const coarse = new TransformerDecoder(model, noisy(model), session, { precision: "int8" });
    const write = async (dropoutSeeds: readonly number[]) =>
      (await greedySearch(await coarse.start(idRows(sources), { dropoutSeeds }), greedy)).map(({ score }) => score);
    expect(await write(seeds)).toEqual(await write(seeds));
    expect(await write(seeds)).not.toEqual(await write(seeds.map((seed) => seed + 50)));
    await coarse.dispose();
  });
});

test("a language model drops by seed, from the first token of the beginning on", async () => {
  const model = new LanguageModel({ ...small, dropout: 0.2 });
  const decoder = new LanguageModelDecoder(model, noisy(model), session);
  const beginnings = [
    [1, 5, 6],
    [1, 5, 6],
    [1, 5, 6],
  ];
  const stepper = await decoder.start(beginnings, { dropoutSeeds: [3, 4, 3] });
  const scores = await stepper.logits({ ...first(3), tokens: Int32Array.of(6, 6, 6) });
  const row = (i: number): number[] => [...scores.subarray(i * 13, (i + 1) * 13)];
  expect(row(0)).toEqual(row(2));
  expect(row(0)).not.toEqual(row(1));
  await decoder.dispose();
});

test("a model without dropout has none to keep, and every sentence needs a seed", async () => {
  const model = new Transformer({ ...small, dropout: 0 });
  const decoder = new TransformerDecoder(model, noisy(model), session);
  const source = idRows(randomRows([4], 13));
  await expect(decoder.start(source, { dropoutSeeds: [1] })).rejects.toThrow(/keepDropout: .*made without dropout/);
  await expect(decoder.start(source, { dropoutSeeds: [1, 2] })).rejects.toThrow(/2 for 1 sentences/);
});
