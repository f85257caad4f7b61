// Where steps say that they look is where teacher forcing looks; a search with the coverage penalty ranks by it.
import { describe, expect, test } from "vitest";
import { randomKey, RandomStream } from "../../src/base/index.ts";
import { beamSearch, ensemble, inPlaces, type Step } from "../../src/decode/index.ts";
import {
  LstmTranslator,
  stepProgram,
  Transformer,
  TransformerDecoder,
  type SequenceToSequence,
  type SourceAttentionChoice,
} from "../../src/models/index.ts";
import { dim, input, programNodes } from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";
import { compiled, noisy } from "./any-model.ts";
import { idRows, randomRows, session, type Weights } from "./small-transformer.ts";

const small = { vocabularySize: 13, dModel: 16, heads: 4, layers: 2, dFeedForward: 24, maxPositions: 32 } as const;
const [start, end] = [1, 2];

const models: readonly (readonly [string, SequenceToSequence])[] = [
  ["a Transformer", new Transformer(small)],
  ["a Transformer whose heads share keys", new Transformer({ ...small, keyValueHeads: 2, norm: "pre" })],
  ["a model that keeps states", new Transformer({ ...small, attention: { encoder: "full", decoder: "retention" } })],
  ["an LSTM with attention", new LstmTranslator({ vocabularySize: 13, dModel: 6, dHidden: 8 })],
];

/** Teacher forcing's attention: of each row, where its last token looked, by layer and head or the mean of all heads. */
async function teacherForced(model: SequenceToSequence, weights: Weights) {
  const ids = {
    sourceIds: input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]),
    targetIds: input("targetIds", "int32", [dim("batch"), dim("targetTime")]),
  };
  const layers = model.crossAttention!(ids.sourceIds, ids.targetIds);
  const outputs = Object.fromEntries(layers.map((layer, i) => [`layer.${i}`, layer]));
  const run = await compiled(model, weights, ids, outputs);
  return {
    async lastOf(
      sources: readonly (readonly number[])[],
      rows: readonly (readonly number[])[],
      { layer = layers.length - 1, head }: SourceAttentionChoice,
    ): Promise<number[][]> {
      const results = await run.run({ sourceIds: idRows(sources), targetIds: idRows(rows) });
      const { dims, data } = results[`layer.${layer}`]!;
      const [, heads, time, columns] = dims as [number, number, number, number];
      const chosen = head === undefined ? Array.from({ length: heads }, (_, i) => i) : [head];
      return rows.map((_, row) =>
        Array.from({ length: columns }, (__, column) => {
          const at = (of: number): number => Number(data[((row * heads + of) * time + time - 1) * columns + column]);
          return chosen.reduce((sum, of) => sum + at(of), 0) / chosen.length;
        }),
      );
    },
    [Symbol.asyncDispose]: () => run[Symbol.asyncDispose](),
  };
}

describe.each(models)("%s", (name, model) => {
  const weights = noisy(model);
  const choices: SourceAttentionChoice[] = name.includes("LSTM") ? [{}] : [{}, { layer: 0 }, { layer: 1, head: 2 }];

  test.each(choices)(
    "shows the attention of teacher forcing within 1e-5, beams reordered and sentences leaving: %j",
    async (choice) => {
      const sources = randomRows([7, 3, 5, 1, 6], 13, 4);
      const decoder = new TransformerDecoder(model, weights, session);
      const stepper = await decoder.start(idRows(sources), { attention: choice });
      await using whole = await teacherForced(model, weights);
      const random = new RandomStream(randomKey(9));
      let sentences = [0, 1, 2, 3, 4];
      let rows = sentences.map(() => [start]);
      let parents = sentences.map((_, i) => i);
      let beams = 1;
      for (let t = 0; t < 7; t++) {
        const step: Step = {
          sentences: Int32Array.from(sentences),
          beams,
          tokens: Int32Array.from(rows, (row) => row.at(-1)!),
          parents: Int32Array.from(parents),
        };
        await stepper.topCandidates(step, 3);
        const { sourceTime, lengths, weights: got } = stepper.attention!();
        expect(sentences.map((sentence) => lengths[sentence])).toEqual(sentences.map((i) => sources[i]!.length));
        const owner = rows.map((_, row) => sentences[Math.floor(row / beams)]!);
        // The batch keeps the columns that it began with.
        const all = owner.map((sentence) => sources[sentence]!);
        const expected = await whole.lastOf(all, rows, choice);
        for (const [row, of] of expected.entries()) {
          const padded = Array.from({ length: sourceTime }, (_, i) => of[i] ?? 0);
          const own = got.subarray(row * sourceTime, (row + 1) * sourceTime);
          expectClose(own, padded, { within: 1e-5, what: `step ${t}, row ${row}` });
        }
        expect(got).toHaveLength(rows.length * sourceTime);
        const staying = sentences.map((_, place) => place);
        if ([2, 4, 5].includes(t)) staying.splice(random.integer(staying.length), 1);
        const [before, were] = [rows, beams];
        beams = 3;
        parents = staying.flatMap((place) => Array.from({ length: 3 }, () => place * were + random.integer(were)));
        rows = parents.map((parent) => [...before[parent]!, 1 + random.integer(12)]);
        sentences = staying.map((place) => sentences[place]!);
      }
      await decoder.dispose();
    },
  );

  test("ranks outputs with the coverage penalty as the formula does over all of them", async () => {
    // Three tokens may be written, so a wide beam sees every output: 1 + 3 + 3² that end, 3³ that are cut.
    const tokens = [3, 4, 5];
    const others = Array.from({ length: 13 }, (_, token) => token).filter(
      (token) => token !== end && !tokens.includes(token),
    );
    const sources = randomRows([4, 6, 2], 13, 8);
    const decoder = new TransformerDecoder(model, weights, session);
    await using whole = await teacherForced(model, weights);
    const stepper = await decoder.start(idRows(sources), { attention: {} });
    const ban = (_: unknown, scores: Float32Array): void => others.forEach((token) => (scores[token] = -Infinity));
    const found = await beamSearch(stepper, {
      start,
      end,
      maxTokens: 3,
      beams: 40,
      nbest: 40,
      earlyStopping: "never",
      lengthPenalty: 0.6,
      coveragePenalty: 0.7,
      processors: [{ process: ban }],
    });
    for (const [sentence, list] of found.entries()) {
      expect(new Set(list.map((one) => one.tokens.join())).size).toBe(40);
      const expected: number[] = [];
      for (const { tokens: written, finished, logProbability } of list) {
        const fed = [start, ...written].slice(0, finished ? undefined : -1);
        const length = sources[sentence]!.length;
        const looked = new Array<number>(length).fill(0);
        for (let t = 1; t <= fed.length; t++) {
          const [last] = await whole.lastOf([sources[sentence]!], [fed.slice(0, t)], {});
          for (let i = 0; i < length; i++) looked[i]! += last![i]!;
        }
        const coverage = looked.reduce((sum, value) => sum + Math.log(Math.min(value, 1)), 0);
        expected.push(logProbability / fed.length ** 0.6 + 0.7 * coverage);
      }
      expectClose(
        list.map(({ score }) => score),
        expected,
        { within: 1e-4, what: `scores of sentence ${sentence}` },
      );
      expect(expected[0]).toBeCloseTo(Math.max(...expected), 4);
    }
    await decoder.dispose();
  });

  test("ranks those that join a search under way as it ranks them from the start", async () => {
    const sources = randomRows([4, 6, 2, 9, 1, 7, 3, 5, 2, 8], 13, 8);
    const decoder = new TransformerDecoder(model, weights, session);
    const options = { start, end, beams: 3, nbest: 3, lengthPenalty: 0.6, coveragePenalty: 0.7 };
    const maxTokens = sources.map((_, i) => 3 + ((5 * i) % 7));
    const together = await decoder.start(idRows(sources), { attention: {} });
    const expected = await beamSearch(together, { ...options, maxTokens });
    const joined = decoder.open((sentence) => sources[sentence]!, { attention: {} });
    const found = await beamSearch(joined, { ...options, maxTokens, admit: inPlaces(sources.length, 3) });
    expect(found.map((list) => list.map(({ tokens }) => tokens))).toEqual(
      expected.map((list) => list.map(({ tokens }) => tokens)),
    );
    const scores = (all: typeof found): number[] => all.flatMap((list) => list.map(({ score }) => score));
    expectClose(scores(found), scores(expected), { within: 1e-4, what: "scores" });
    await decoder.dispose();
  });

  test("does no more in a step that is not asked where it looks", () => {
    const nodes = (attention?: SourceAttentionChoice): number =>
      programNodes(stepProgram(model, { wanted: 10, beams: 3, attention })).length;
    expect(nodes({})).toBeGreaterThan(nodes());
  });
});

test("an ensemble looks where its members do on average, if all of them show it", async () => {
  const [one, two] = [1, 2].map((seed) => {
    const model = new Transformer(small);
    return new TransformerDecoder(model, noisy(model, seed), session);
  }) as [TransformerDecoder, TransformerDecoder];
  const sources = idRows(randomRows([4, 6], 13, 8));
  const members = [await one.start(sources, { attention: {} }), await two.start(sources, { attention: {} })];
  const both = ensemble(members, { weights: [1, 3] });
  const step = { sentences: Int32Array.of(0, 1), beams: 1, tokens: Int32Array.of(1, 1), parents: Int32Array.of(0, 1) };
  await both.topCandidates(step, 2);
  const [a, b] = members.map((member) => member.attention!().weights) as [Float32Array, Float32Array];
  const mean = a.map((value, i) => 0.25 * value + 0.75 * b[i]!);
  expectClose(both.attention!().weights, mean, { within: 1e-6 });
  expect(ensemble([members[0]!, await two.start(sources)]).attention).toBeUndefined();
  await one.dispose();
  await two.dispose();
});

test("what nothing looks at, and layers and heads that there are not, are refused", async () => {
  const options = { vocabularySize: 13, dModel: 6, dHidden: 8 } as const;
  const blind = new LstmTranslator({ ...options, attention: "none" });
  const sources = idRows(randomRows([4], 13, 8));
  const started = (model: SequenceToSequence, attention: SourceAttentionChoice) =>
    new TransformerDecoder(model, noisy(model), session).start(sources, { attention });
  await expect(started(blind, {})).rejects.toThrow(/nothing in this model looks at the source/);
  const model = new Transformer(small);
  await expect(started(model, { layer: 2 })).rejects.toThrow(/layer: must be below 2 \(got 2\)/);
  await expect(started(model, { head: 4 })).rejects.toThrow(/head: must be below 4 \(got 4\)/);
});
