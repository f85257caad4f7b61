// A language model in memory: learns a text by heart, goes on with it, and knows how likely it is.
import { beforeAll, describe, expect, test } from "vitest";
import { encodeTexts, textsOf } from "../../src/data/index.ts";
import { suppressed } from "../../src/decode/index.ts";
import { compile } from "../../src/engine/index.ts";
import { LanguageModel, type LanguageModelOptions } from "../../src/models/index.ts";
import { namedParameters, parameterInputs } from "../../src/nn/index.ts";
import { dim, input, logSoftmax, withoutDropout } from "../../src/tensor/index.ts";
import { TextGeneration, type CompletionOptions, type Continuation } from "../../src/tasks/index.ts";
import { CharacterTokenizer } from "../../src/text/index.ts";

const verses = [
  "A fly and a flea in a flue",
  "were imprisoned, so what could they do?",
  '"Let us fly!" said the flea,',
  '"Let us flee!" said the fly,',
  "so they flew through a flaw in the flue.",
];
const text = `${verses.join("\n")}\n`;
/** As much of the text as makes its end certain. */
const beginning = text.slice(0, text.lastIndexOf(" flew"));
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

  test("a search that is asked for forgets how drawing was configured, and the other way round", async () => {
    const { model, weights } = generation;
    const greedy = await generation.complete(beginning, { temperature: 0, maxLength: 20 });
    await using drawing = new TextGeneration({
      model,
      tokenizer,
      weights,
      session,
      decoding: { temperature: 2, topP: 0.9, maxTokens: 20 },
    });
    expect(await drawing.complete(beginning, { beams: 3 })).toBe(greedy);
    expect(await drawing.complete(beginning, { search: "beam" })).toBe(greedy);
    expect(await drawing.complete(beginning, { temperature: 0 })).toBe(greedy);
    await using searching = new TextGeneration({
      model,
      tokenizer,
      weights,
      session,
      decoding: { temperature: 0, beams: 4, groups: 2, diversityPenalty: 0.5 },
    });
    const drawn = { temperature: 2, maxTokens: 20, seed: 3 };
    expect(await searching.complete(beginning, drawn)).toBe(await generation.complete(beginning, drawn));
  });

  test("gives the n best of a beam, or as many draws, best first, with the log-probability of each token", async () => {
    for (const options of [
      { search: "beam", beams: 4 },
      { search: "beam", beams: 4, groups: 2, diversityPenalty: 0.5 },
      { search: "stochastic-beam", beams: 4 },
      { search: "sample", temperature: 3 },
    ] as const) {
      const [completion] = await generation.generate(["A fly"], { ...options, nbest: 3, maxLength: 12 });
      const { continuation, logProbability, continuations } = completion!;
      expect(continuations).toHaveLength(3);
      expect(continuations[0]).toMatchObject({ text: continuation, logProbability });
      const scores = continuations.map(({ score }) => score);
      expect(scores).toEqual(scores.toSorted((a, b) => b - a));
      for (const { tokens, tokenLogProbabilities, ...one } of continuations) {
        expect(tokens).toHaveLength(tokenLogProbabilities.length);
        expect(tokenLogProbabilities.reduce((a, b) => a + b, 0)).toBeCloseTo(one.logProbability, 4);
        if (options.search !== "stochastic-beam") expect(one.score).toBeCloseTo(one.logProbability / tokens.length, 5);
      }
    }
    const [normalised] = await generation.generate(["A fly"], {
      search: "beam",
      lengthNormalization: "gnmt",
      lengthPenalty: 0.6,
      maxLength: 12,
    });
    const [{ score, logProbability }] = normalised!.continuations as [Continuation];
    expect(score).toBeCloseTo(logProbability / ((5 + 12) / 6) ** 0.6, 5);
  });

  test("a draw of several is the draws of one, seed by seed", async () => {
    const options = { temperature: 2, maxLength: 15, seed: 9 };
    const [three] = await generation.generate(["A fly"], { ...options, nbest: 3 });
    const [one] = await generation.generate(["A fly"], options);
    expect(three!.continuations.map(({ text: drawn }) => drawn)).toContain(one!.continuation);
  });

  test("holds continuations to what is asked of them", async () => {
    const greedy = { temperature: 0, maxLength: 60 } as const;
    const complete = (options: CompletionOptions): Promise<string> =>
      generation.complete(beginning, { ...greedy, ...options });
    expect(await complete({ stop: ["thr"] })).toBe(" flew ");
    expect(await complete({ avoid: ["f"] })).not.toMatch(/f/);
    expect(await complete({ oneOf: [" swam", " ran"] })).toMatch(/^ (swam|ran)$/);
    expect(await complete({ beams: 12, maxLength: 20, phrases: ["flea"] })).toMatch(/flea/);
    const ended = await generation.complete(verses.at(-1)!, { temperature: 0, minLength: 5, maxLength: 8 });
    expect(ended.length).toBeGreaterThanOrEqual(5);
    const bigrams = [...(await generation.complete("A", { ...greedy, blockNgram: 2 }))];
    const pairs = ["A", ...bigrams].slice(1).map((letter, i) => ["A", ...bigrams][i]! + letter);
    expect(new Set(pairs).size).toBe(pairs.length);
    for (const penalty of [{ presencePenalty: 30 }, { frequencyPenalty: 30 }]) {
      const letters = [...(await complete({ ...penalty, maxLength: 10 }))];
      expect(new Set(letters).size).toBe(letters.length);
    }
    const repelled = await generation.complete("A fly and", { ...greedy, repetitionPenalty: 1e6, maxLength: 3 });
    expect(repelled).not.toMatch(/[A fly and]/);
    for (const filter of [{ minP: 0.9 }, { typicalP: 0.01 }])
      expect(await generation.complete(beginning, { temperature: 3, ...filter, maxLength: 10 })).toHaveLength(10);
    const processors = [suppressed(tokenizer.encode("e"))];
    expect(await complete({ processors })).not.toMatch(/e/);
  });

  test("tells a text while it is written, the same that is written at once, and ends it when asked", async () => {
    for (const options of [{ temperature: 0 }, { temperature: 2, seed: 4 }, { temperature: 0, stop: ["flew thr"] }]) {
      const pieces: string[] = [];
      for await (const piece of generation.stream("so they", { ...options, maxLength: 25 })) pieces.push(piece);
      expect(pieces.join("")).toBe(await generation.complete("so they", { ...options, maxLength: 25 }));
      expect(pieces.length).toBeGreaterThan(1);
    }
    const stop = new AbortController();
    const stream = generation.stream("so they", { signal: stop.signal });
    await stream.next();
    stop.abort();
    await expect(stream.next()).rejects.toMatchObject({ name: "AbortError" });
    await expect(generation.stream("so", { phrases: ["fly"], search: "beam" }).next()).rejects.toThrow(/stream/);
  });

  test.each([
    [{ search: "sample", temperature: 0 }, "temperature: must be above 0 with search sample (got 0)."],
    [{ search: "beam", temperature: 0.5 }, "temperature: has no effect with search beam: nothing is drawn."],
    [{ search: "beam", nbest: 2 }, "nbest: must not exceed beams (got 2 and 1)."],
    [{ phrases: ["fly"] }, "phrases: need search beam (got sample)."],
    [{ minLength: 9, maxLength: 5 }, "minLength: must not exceed maxLength (got 9 and 5)."],
    [{ maxTokens: 4, maxLength: 5 }, "maxTokens: is another name of maxLength (got 4 and 5). Say one of them."],
    [{ mbr: "bleu" }, "mbr: has no meaning for a language model: continuations of one prompt"],
    [{ maxLengthRatio: 2 }, "maxLengthRatio: has no meaning for a language model: there is no source"],
    [{ beams: 2, temperature: 1 }, "beams: beam search does not draw. Set temperature to 0, or beams to 1."],
    [{ temperature: 0, topK: 3 }, "topK: has no effect at temperature 0, where nothing is drawn. Remove it."],
    [{ temperature: -1 }, "temperature: must be 0 or more (got -1)."],
  ])("refuses %j", async (options, message) => {
    await expect((async () => generation.complete("A", options as CompletionOptions))()).rejects.toThrow(message);
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
