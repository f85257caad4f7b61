// Sentences that join a batch under way get what they get alone, whatever the model keeps from step to step.
import { afterAll, describe, expect, test } from "vitest";
import { ConfigError, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import { beamSearch, greedySearch, inPlaces, sample, type Hypothesis, type Step } from "../../src/decode/index.ts";
import {
  LstmTranslator,
  Transformer,
  TransformerDecoder,
  type LstmTranslatorOptions,
  type SequenceToSequence,
} from "../../src/models/index.ts";
import { initialize, namedParameters } from "../../src/nn/index.ts";
import { expectClose } from "../close.ts";
import { arrangements, idRows, noisyWeights, randomRows, session, variants } from "./small-transformer.ts";

const end = 2;
const sentences = 24;
const random = new RandomStream(randomKey(31));
const sources = randomRows(
  Array.from({ length: sentences }, () => 1 + Math.floor(9 * random.uniform())),
  13,
  5,
);
const maxTokens = Array.from({ length: sentences }, (_, i) => 2 + ((7 * i) % 11));
const minTokens = maxTokens.map((most, i) => Math.min(most, i % 5));
const seeds = Array.from({ length: sentences }, (_, i) => 40 + i);

const lstm: LstmTranslatorOptions = { vocabularySize: 13, dModel: 16, dHidden: 20, layers: 2, maxPositions: 32 };
const models: readonly (readonly [string, () => SequenceToSequence])[] = [
  ...[...arrangements, ...variants].map(
    ([name, options]) => [name, (): SequenceToSequence => new Transformer(options)] as const,
  ),
  ["LSTMs", () => new LstmTranslator(lstm)],
  ["LSTMs without attention", () => new LstmTranslator({ ...lstm, attention: "none" })],
];

/** What must know where a text began: its batches cannot be joined. */
const bound = [
  "xPos, an encoder layer for each decoder layer",
  "a window with sinks, and ALiBi",
  "Longformer",
  "BigBird in the decoder",
];

function weightsOf(model: SequenceToSequence): Map<string, HostTensor> {
  if (model instanceof Transformer) return noisyWeights(model);
  const noise = new RandomStream(randomKey(1, 77));
  const weights = initialize(namedParameters(model), 1);
  for (const { data } of weights.values()) for (let i = 0; i < data.length; i++) data[i]! += 0.3 * noise.normal();
  return weights;
}

function expectSame(got: readonly Hypothesis[][], expected: readonly Hypothesis[][], what: string): void {
  expect(got.map((list) => list.map(({ tokens }) => tokens))).toEqual(
    expected.map((list) => list.map(({ tokens }) => tokens)),
  );
  const steps = (all: readonly Hypothesis[][]): number[] =>
    all.flatMap((list) => list.flatMap(({ tokenLogProbabilities }) => tokenLogProbabilities));
  expectClose(steps(got), steps(expected), { within: 1e-5, what });
}

describe.each(models.filter(([name]) => !bound.includes(name)))("joining with %s", (_, make) => {
  const model = make();
  const decoder = new TransformerDecoder(model, weightsOf(model), session);
  const told = { start: 1, end, maxTokens, minTokens };
  type Search = (only?: number, places?: number) => Promise<Hypothesis[][]>;
  const pick = <Item>(list: readonly Item[], only?: number): readonly Item[] =>
    only === undefined ? list : [list[only]!];
  const stepperOf = async (only?: number, places?: number) => {
    const stepper =
      places === undefined
        ? await decoder.start(idRows(pick(sources, only)))
        : decoder.open((sentence) => sources[sentence]!);
    const options = {
      ...told,
      maxTokens: pick(maxTokens, only),
      minTokens: pick(minTokens, only),
      ...(places !== undefined && { admit: inPlaces(sentences, places) }),
    };
    return { stepper, options };
  };
  const searches: readonly (readonly [string, Search])[] = [
    [
      "greedy search",
      async (only, places) => {
        const { stepper, options } = await stepperOf(only, places);
        return (await greedySearch(stepper, options)).map((one) => [one]);
      },
    ],
    [
      "beam search",
      async (only, places) => {
        const { stepper, options } = await stepperOf(only, places);
        return beamSearch(stepper, { ...options, beams: 5, nbest: 2 });
      },
    ],
    [
      "sampling",
      async (only, places) => {
        const { stepper, options } = await stepperOf(only, places);
        return (await sample(stepper, { ...options, seed: pick(seeds, only) })).map((one) => [one]);
      },
    ],
  ];
  test.each(searches)("%s gives the same alone, in one batch and through 1, 3 and 8 places", async (_, search) => {
    const together = await search();
    expect(new Set(together.map(([best]) => best!.tokens.length)).size).toBeGreaterThan(3);
    const alone: Hypothesis[][] = [];
    for (let only = 0; only < sentences; only++) alone.push((await search(only))[0]!);
    expectSame(alone, together, "one by one");
    for (const places of [1, 3, 8]) expectSame(await search(undefined, places), together, `through ${places} places`);
  });
  afterAll(() => decoder.dispose());
});

test.each(models.filter(([name]) => bound.includes(name)))(
  "%s must know where a text began, and says so",
  (_, make) => {
    const model = make();
    const decoder = new TransformerDecoder(model, weightsOf(model), session);
    expect(decoder.letsJoin).toBe(false);
    expect(() => decoder.open(() => [1])).toThrow(ConfigError);
  },
);

describe("a long queue", () => {
  const model = new Transformer({ ...arrangements[0]![1], maxPositions: 16 });
  const decoder = new TransformerDecoder(model, noisyWeights(model), session);
  const many = 300;
  const queue = randomRows(
    Array.from({ length: many }, (_, i) => 1 + ((5 * i) % 12)),
    13,
    6,
  );
  const lengths = queue.map((_, i) => 3 + ((3 * i) % 10));

  test.each([
    ["greedy search", 1],
    ["beam search", 5],
  ])("is written in memory that does not grow with it, by %s", async (_, beams) => {
    const stepper = decoder.open((sentence) => queue[sentence]!);
    const bytes: number[] = [];
    const counted = {
      letsJoin: true,
      sentences: 0,
      vocabularySize: stepper.vocabularySize,
      logProbabilities: (step: Step) => stepper.logProbabilities(step),
      topCandidates: (step: Step, count: number) => {
        bytes.push(stepper.cacheBytes);
        return stepper.topCandidates(step, count);
      },
    };
    const outputs = await beamSearch(counted, {
      start: 1,
      maxTokens: lengths,
      beams,
      admit: inPlaces(many, 8),
    });
    expect(outputs.map(([best]) => best!.tokens.length)).toEqual(lengths);
    // Far more steps than a text has places, each sentence in places of its own.
    expect(bytes.length).toBeGreaterThan(250);
    const { layers, dModel } = { layers: 2, dModel: 16 };
    // Nobody writes more than 12 tokens, and between two joins pass no more than that: 24 steps are kept, with room for as many.
    expect(Math.max(...bytes)).toBeLessThanOrEqual(layers * 2 * 4 * dModel * 8 * beams * 48);
    const half = Math.floor(bytes.length / 2);
    expect(Math.max(...bytes.slice(half))).toBeLessThanOrEqual(Math.max(...bytes.slice(0, half)));
  });
  afterAll(() => decoder.dispose());
});
