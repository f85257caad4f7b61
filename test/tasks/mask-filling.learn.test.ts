// A masked language model in memory: learns which words go together, and fills holes with them.
import { beforeAll, describe, expect, test } from "vitest";
import { randomKey, RandomStream } from "../../src/base/index.ts";
import { textsOf } from "../../src/data/index.ts";
import { MaskedLanguageModel, TextEncoder } from "../../src/models/index.ts";
import { MaskFilling } from "../../src/tasks/index.ts";
import { WordTokenizer } from "../../src/text/index.ts";

const animals = ["dog", "cat", "cow", "horse"];
const sounds = ["barks", "meows", "moos", "neighs"];
const times = ["today", "always", "seldom", "often", "here", "there"];
const random = new RandomStream(randomKey(1));
/** Each animal makes its own sound; where and when says nothing, nor does the sentence before. */
const texts = Array.from({ length: 400 }, () => {
  const animal = random.integer(animals.length);
  return `${times[random.integer(times.length)]} the ${animals[animal]} ${sounds[animal]} and sleeps`;
});
const tokenizer = WordTokenizer.train(texts, { specialTokens: ["<mask>"] });

describe.each([0, 2])("an encoder with %d segments that learnt to tell hidden words", (segments) => {
  const encoder = new TextEncoder({
    vocabularySize: tokenizer.vocabularySize,
    dModel: 32,
    heads: 2,
    layers: 2,
    dFeedForward: 64,
    dropout: 0,
    positions: "relative",
    norm: "pre",
    segments,
  });
  const filling = new MaskFilling({
    model: new MaskedLanguageModel(encoder),
    tokenizer,
    session: { threads: 1 },
    masking: { contextTokens: 32, maskRate: 0.25 },
  });
  let [before, after] = [0, 0];

  beforeAll(async () => {
    const options = { batchTokens: 256, contextTokens: 32, learningRate: 0.004, warmup: 20 };
    await filling.train(textsOf(texts), { ...options, steps: 1, warmup: 1 });
    before = (await filling.score(textsOf(texts))).loss;
    await filling.train(textsOf(texts), { ...options, steps: 1200, schedule: "cosine" });
    after = (await filling.score(textsOf(texts))).loss;
    return () => filling.dispose();
  });

  test("loses less on hidden words than at first", () => {
    expect(after).toBeLessThan(before / 2);
  });

  test.each(animals.map((animal, i) => [animal, sounds[i]!]))(
    "knows what the %s does: it %s",
    async (animal, sound) => {
      const { text, masks } = await filling.fill(`often the ${animal} <mask> and sleeps`, { candidates: 3 });
      expect(text).toBe(`often the ${animal} ${sound} and sleeps`);
      expect(masks).toHaveLength(1);
      expect(masks[0]!.map(({ token }) => token)[0]).toContain(sound);
      const probabilities = masks[0]!.map(({ probability }) => probability);
      expect(probabilities).toEqual(probabilities.toSorted((a, b) => b - a));
      expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeLessThanOrEqual(1 + 1e-6);
    },
  );

  test("a text without a mask stays as it is", async () => {
    expect(await filling.fill("the dog barks")).toEqual({ text: "the dog barks", masks: [] });
  });
});

test("a vocabulary without a mask is refused", () => {
  const encoder = new TextEncoder({ vocabularySize: 8, dModel: 8, heads: 2, layers: 1 });
  expect(
    () => new MaskFilling({ model: new MaskedLanguageModel(encoder), tokenizer: WordTokenizer.train(["a b"]) }),
  ).toThrow("tokenizer: has neither <mask> nor [MASK]");
});
