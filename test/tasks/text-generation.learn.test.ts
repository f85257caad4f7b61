// A language model in memory: learns a text by heart, goes on with it, and knows how likely it is.
import { beforeAll, describe, expect, test } from "vitest";
import { encodeTexts, textsOf } from "../../src/data/index.ts";
import { compile } from "../../src/engine/index.ts";
import { LanguageModel, type LanguageModelOptions } from "../../src/models/index.ts";
import { namedParameters, parameterInputs } from "../../src/nn/index.ts";
import { dim, input, logSoftmax, withoutDropout } from "../../src/tensor/index.ts";
import { TextGeneration } from "../../src/tasks/index.ts";
import { CharacterTokenizer } from "../../src/text/index.ts";

const verses = [
  "A fly and a flea in a flue",
  "were imprisoned, so what could they do?",
  '"Let us fly!" said the flea,',
  '"Let us flee!" said the fly,',
  "so they flew through a flaw in the flue.",
];
const text = `${verses.join("\n")}\n`;
const tokenizer = CharacterTokenizer.train([text]);
const session = { threads: 1 };

function generationOf(options: Partial<LanguageModelOptions> = {}): TextGeneration {
  const model = new LanguageModel({
    vocabularySize: tokenizer.vocabularySize,
    dModel: 32,
    heads: 2,
    layers: 2,
    dFeedForward: 64,
    dropout: 0,
    positions: "rotary",
    maxPositions: 256,
    ...options,
  });
  return new TextGeneration({ model, tokenizer, session, scoring: { contextTokens: 256 } });
}

const learning = {
  steps: 250,
  batchTokens: 256,
  contextTokens: 256,
  learningRate: 0.01,
  warmup: 20,
  schedule: "cosine",
} as const;

describe("a language model that learnt a text by heart", () => {
  const generation = generationOf();
  let [before, after] = [0, 0];

  beforeAll(async () => {
    await generation.train(textsOf([text]), { ...learning, steps: 1, warmup: 0 });
    before = (await generation.score(textsOf([text]))).perplexity;
    await generation.train(textsOf([text]), learning);
    after = (await generation.score(textsOf([text]))).perplexity;
    return () => generation.dispose();
  });

  test("is surprised by it no longer", () => {
    expect(before).toBeGreaterThan(5);
    expect(after).toBeLessThan(1.1);
  });

  test("goes on with a beginning as the text does, to its end", async () => {
    const [completion] = await generation.generate([verses[0]!], { temperature: 0, maxTokens: 200 });
    expect(completion).toMatchObject({ prompt: verses[0], finished: true });
    expect(completion!.continuation).toBe(text.slice(verses[0]!.length));
    expect(await generation.complete("", { beams: 3, maxTokens: 200 })).toBe(text);
  });

  test("writes no more tokens than it may", async () => {
    const [completion] = await generation.generate([verses[0]!], { temperature: 0, maxTokens: 5 });
    expect(completion).toMatchObject({ continuation: "\nwere", finished: false });
  });

  test("draws the same text from the same seed, whatever its neighbours are, and others from others", async () => {
    const options = { temperature: 2, maxTokens: 30 };
    const [first, second] = await generation.complete(["A fly", "A fly"], { ...options, seed: 3 });
    expect(first).not.toBe(second);
    expect(await generation.complete(["A fly", "so what could"], { ...options, seed: 3 })).toContain(first);
    expect(await generation.complete("A fly", { ...options, seed: 4 })).not.toBe(first);
  });

  test("draws only the likeliest from a set of one", async () => {
    const greedy = await generation.complete("so they", { temperature: 0, maxTokens: 20 });
    expect(await generation.complete("so they", { temperature: 3, topK: 1, maxTokens: 20 })).toBe(greedy);
    expect(await generation.complete("so they", { topP: 0.01, maxTokens: 20 })).toBe(greedy);
  });

  test("gives prompts that come one by one what it gives a list", async () => {
    const prompts = ["A fly", "", "so they", "A fly"];
    const listed = await generation.generate(prompts, { maxTokens: 10 });
    const streamed = [];
    for await (const completion of generation.generateEach(prompts, { maxTokens: 10 })) streamed.push(completion);
    expect(streamed).toEqual(listed);
  });

  test.each([
    [{ beams: 2, temperature: 1 }, "beams: beam search does not draw. Set temperature to 0, or beams to 1."],
    [{ temperature: 0, topK: 3 }, "topK: has no effect at temperature 0, where nothing is drawn. Remove it."],
    [{ temperature: -1 }, "temperature: must be 0 or more (got -1)."],
  ])("refuses %j", async (options, message) => {
    await expect((async () => generation.complete("A", options))()).rejects.toThrow(message);
  });

  test("a text's likelihood is the product of its tokens' probabilities, the end included", async () => {
    const line = "so they flew";
    const { negativeLogLikelihood, tokens, bytes, bitsPerByte, loss } = await generation.score(line);
    const { tokens: ids } = await encodeTexts(textsOf([line]), tokenizer);
    const { model } = generation;
    const given = input("ids", "int32", [dim("batch"), dim("time")]);
    const run = await compile(
      withoutDropout({
        name: "whole",
        inputs: { ...parameterInputs(namedParameters(model)), ids: given },
        outputs: { scores: logSoftmax(model.logits(model.forward(given).output)) },
      }),
      session,
    );
    const { scores } = await run.run({
      ...Object.fromEntries(generation.weights),
      ids: { dtype: "int32", dims: [1, ids.length], data: ids },
    });
    await run.dispose();
    let sum = 0;
    for (let place = 0; place + 1 < ids.length; place++)
      sum -= Number(scores!.data[place * tokenizer.vocabularySize + ids[place + 1]!]);
    expect(negativeLogLikelihood).toBeCloseTo(sum, 4);
    expect([tokens, bytes]).toEqual([line.length + 1, line.length]);
    expect(loss).toBeCloseTo(sum / (line.length + 1), 5);
    expect(bitsPerByte).toBeCloseTo(sum / Math.LN2 / line.length, 5);
  });

  test("more overlap of windows asks for the same tokens with more before them", async () => {
    const plain = await generation.score(text, { contextTokens: 16 });
    const more = await generation.score(text, { contextTokens: 16, overlapTokens: 12 });
    const whole = await generation.score(text, { contextTokens: 256 });
    expect(more.tokens).toBe(plain.tokens);
    expect(more.loss).toBeLessThan(plain.loss);
    expect(whole.loss).toBeLessThan(more.loss);
  });
});

test("a prompt that leaves no room is read from its end, with a warning", async () => {
  const messages: string[] = [];
  const { model } = generationOf({ positions: "learned", maxPositions: 32 });
  await using generation = new TextGeneration({
    model,
    tokenizer,
    session,
    listener: (event) => void (event.type === "log" && event.level === "warning" && messages.push(event.message)),
  });
  await generation.train(textsOf([text]), { ...learning, steps: 1, warmup: 0, contextTokens: 32 });
  expect([...(await generation.complete(text, { maxTokens: 100 }))].length).toBeLessThanOrEqual(16);
  expect(messages).toContain(`prompt 1: ${text.length} tokens, of which the last 17 are read`);
});

test("a model without weights says so", async () => {
  await expect(generationOf().complete("A")).rejects.toThrow("the model has no weights yet");
});
