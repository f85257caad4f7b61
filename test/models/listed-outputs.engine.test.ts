// Steps that score a list of tokens, against steps that score them all.
import { describe, expect, test } from "vitest";
import {
  beamSearch,
  ensemble,
  greedySearch,
  sample,
  type Hypothesis,
  type SearchOptions,
} from "../../src/decode/index.ts";
import { LstmTranslator, Transformer, TransformerDecoder, type SequenceToSequence } from "../../src/models/index.ts";
import { expectClose } from "../close.ts";
import { noisy } from "./any-model.ts";
import { idRows, randomRows, session } from "./small-transformer.ts";

const vocabularySize = 13;
const small = { vocabularySize, dModel: 16, heads: 4, layers: 2, dFeedForward: 24, maxPositions: 32 } as const;
const [start, end] = [1, 2];
const options: SearchOptions = { start, end, maxTokens: 9 };

const models: readonly (readonly [string, SequenceToSequence])[] = [
  ["a Transformer", new Transformer(small)],
  ["a Transformer with tied tables", new Transformer({ ...small, tying: "three-way" })],
  ["a Transformer with an output offset", new Transformer({ ...small, outputBias: "learned" })],
  ["an LSTM", new LstmTranslator({ vocabularySize, dModel: 6, dHidden: 8 })],
];
const everything = Int32Array.from({ length: vocabularySize }, (_, id) => id);
const sources = randomRows([5, 1, 3, 5, 2], vocabularySize, 3);
/** Each sentence has tokens that no other has. */
const lists = sources.map((_, sentence) => Int32Array.of(start, end, 3, 4, 5, 6 + sentence, 11).sort());

const ownLists = { of: (sentence: number): Int32Array => lists[sentence]! };

const searches: readonly (readonly [
  string,
  (stepper: Parameters<typeof greedySearch>[0]) => Promise<Hypothesis[][]>,
])[] = [
  ["greedy search", async (stepper) => (await greedySearch(stepper, options)).map((one) => [one])],
  ["a beam of three", (stepper) => beamSearch(stepper, { ...options, beams: 3, nbest: 3 })],
  ["draws", async (stepper) => (await sample(stepper, { ...options, seed: [1, 2, 3, 4, 5] })).map((one) => [one])],
];

describe.each(models)("%s", (_, model) => {
  const weights = noisy(model);

  test.each(searches)("with all tokens listed %s finds what it finds without a list", async (__, search) => {
    await using decoder = disposable(new TransformerDecoder(model, weights, session));
    const plain = await search(await decoder.start(idRows(sources)));
    const listed = await search(await decoder.start(idRows(sources), { lists: { of: () => everything } }));
    expect(listed.map((all) => all.map(({ tokens }) => tokens))).toEqual(
      plain.map((all) => all.map(({ tokens }) => tokens)),
    );
    expectClose(
      listed.flat().map(({ logProbability }) => logProbability),
      plain.flat().map(({ logProbability }) => logProbability),
      { within: 1e-5 },
    );
  });

  test.each(searches)("%s writes listed tokens alone, and the same whoever stands beside", async (__, search) => {
    await using decoder = disposable(new TransformerDecoder(model, weights, session));
    const together = await search(await decoder.start(idRows(sources), { lists: ownLists }));
    for (const [sentence, all] of together.entries())
      for (const { tokens } of all) expect(tokens.filter((token) => !lists[sentence]!.includes(token))).toEqual([]);
    if (search === searches[2]![1]) return;
    for (const [sentence, source] of sources.entries()) {
      const [alone] = await search(await decoder.start(idRows([source]), { lists: { of: () => lists[sentence]! } }));
      expect(alone!.map(({ tokens }) => tokens)).toEqual(together[sentence]!.map(({ tokens }) => tokens));
      expectClose(
        alone!.map(({ score }) => score),
        together[sentence]!.map(({ score }) => score),
        { within: 1e-5 },
      );
    }
  });
});

describe("a list", () => {
  const model = new Transformer(small);
  const weights = noisy(model);
  const first = {
    sentences: Int32Array.of(0, 1),
    beams: 1,
    tokens: Int32Array.of(start, start),
    parents: Int32Array.of(0, 1),
  };

  test("takes part in the softmax, and what is not in it has −∞", async () => {
    await using decoder = disposable(new TransformerDecoder(model, weights, session));
    const two = idRows(sources.slice(0, 2));
    const all = await (await decoder.start(two)).logits(first);
    const listed = await decoder.start(two, { lists: ownLists });
    const scores = await listed.logProbabilities(first);
    for (const row of [0, 1]) {
      const sum = lists[row]!.reduce((total, id) => total + Math.exp(all[row * vocabularySize + id]!), 0);
      for (let id = 0; id < vocabularySize; id++) {
        const expected = lists[row]!.includes(id) ? all[row * vocabularySize + id]! - Math.log(sum) : -Infinity;
        if (expected === -Infinity) expect(scores[row * vocabularySize + id]).toBe(-Infinity);
        else expect(scores[row * vocabularySize + id]).toBeCloseTo(expected, 5);
      }
    }
  });

  test("that is shared leaves a sentence the tokens of those beside it", async () => {
    await using decoder = disposable(new TransformerDecoder(model, weights, session));
    const two = idRows(sources.slice(0, 2));
    const shared = await decoder.start(two, { lists: { ...ownLists, areShared: true } });
    const together = Int32Array.from(new Set([...lists[0]!, ...lists[1]!])).sort();
    const same = await decoder.start(two, { lists: { of: () => together } });
    expect(await shared.logProbabilities(first)).toEqual(await same.logProbabilities(first));
  });

  test("is heeded by all members of an ensemble", async () => {
    await using decoder = disposable(new TransformerDecoder(model, weights, session));
    const alone = await beamSearch(await decoder.start(idRows(sources), { lists: ownLists }), { ...options, beams: 2 });
    const members = [
      await decoder.start(idRows(sources), { lists: ownLists }),
      await decoder.start(idRows(sources), { lists: ownLists }),
    ];
    const both = await beamSearch(ensemble(members), { ...options, beams: 2 });
    expect(both.map(([best]) => best!.tokens)).toEqual(alone.map(([best]) => best!.tokens));
  });

  test("must be as long as what a search looks at", async () => {
    await using decoder = disposable(new TransformerDecoder(model, weights, session));
    const stepper = await decoder.start(idRows(sources.slice(0, 2)), { lists: { of: () => Int32Array.of(1, 2, 3) } });
    await expect(stepper.topCandidates(first, 4)).rejects.toThrow(
      /shortlist: 3 tokens are listed, and the search looks at 4/,
    );
  });
});

function disposable<T extends { dispose(): Promise<void> }>(value: T): T & AsyncDisposable {
  return Object.assign(value, { [Symbol.asyncDispose]: () => value.dispose() });
}
