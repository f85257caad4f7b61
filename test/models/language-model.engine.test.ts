// The decoder alone: nobody sees what comes later, stored keys give what whole texts give, and its loss is the definition's.
import { describe, expect, test } from "vitest";
import { hostTensor } from "../../src/base/index.ts";
import { greedySearch, suppressed } from "../../src/decode/index.ts";
import { LanguageModel, LanguageModelDecoder, nextToken, type LanguageModelOptions } from "../../src/models/index.ts";
import { namedParameters } from "../../src/nn/index.ts";
import { constant, gradients, mul, slice, sum } from "../../src/tensor/index.ts";
import { adamW, ParameterStore, TrainingStep } from "../../src/train/index.ts";
import { expectClose } from "../close.ts";
import { compiled, crossEntropy, expectSlopes, ids, noisy } from "./any-model.ts";
import { idRows, randomRows, session, type Weights } from "./small-transformer.ts";

const small = { vocabularySize: 13, dModel: 16, heads: 4, layers: 2, dFeedForward: 24, maxPositions: 32 } as const;

const arrangements: readonly (readonly [name: string, options: LanguageModelOptions])[] = [
  ["as it is by itself", small],
  [
    "untied, post-norm, sinusoidal positions, scaled embeddings, an offset on the output",
    {
      ...small,
      tying: false,
      norm: "post",
      positions: "sinusoidal",
      scaleEmbeddings: true,
      outputBias: true,
      embeddingNorm: true,
    },
  ],
  [
    "rotary positions, RMS norms, SwiGLU, groups of queries",
    { ...small, positions: "rotary", normKind: "rms", feedForward: "swiglu", keyValueHeads: 2, tying: false },
  ],
  ["ALiBi and a sliding window", { ...small, positions: "alibi", attention: { kind: "sliding-window", window: 4 } }],
  [
    "relative positions and experts",
    { ...small, positions: "relative", feedForward: { kind: "experts", experts: 4, chosen: 2 } },
  ],
  ["positions in front of tokens, no norm before", { ...small, positionJoin: "concatenate", norm: "deep" }],
  ["retention", { ...small, attention: "retention", positions: "none" }],
];

async function logitsOf(model: LanguageModel, weights: Weights) {
  const run = await compiled(model, weights, { ids }, { logits: model.logits(model.forward(ids).output) });
  return {
    run: async (rows: ReturnType<typeof idRows>) => (await run.run({ ids: rows })).logits!.data as Float32Array,
    [Symbol.asyncDispose]: () => run[Symbol.asyncDispose](),
  };
}

describe.each(arrangements)("a language model, %s", (_, options) => {
  const model = new LanguageModel(options);
  const weights = noisy(model);
  const width = options.vocabularySize;

  test("what stands at a place has no gradient at all towards later tokens, and some towards every earlier one", async () => {
    const tokens = [5, 3, 9, 1, 7, 2, 11, 4]; // each once, so that a row of the table is one place
    const { output } = model.forward(ids);
    const { table } = model.input.embedding;
    for (const place of [0, 3, 6]) {
      const seen = slice(output, { axis: 1, start: place, end: place + 1 });
      // Columns weigh differently: the plain sum of what leaves a layer norm is a constant.
      const weighing = constant(
        hostTensor(
          "float32",
          [16],
          Float32Array.from({ length: 16 }, (_x, i) => Math.sin(i + 1)),
        ),
      );
      const [gradient] = gradients(sum(mul(seen, weighing)), [table.value]);
      await using run = await compiled(model, weights, { ids }, { gradient: gradient! });
      const { data } = (await run.run({ ids: idRows([tokens]) })).gradient!;
      for (const [at, token] of tokens.entries()) {
        const row = (data as Float32Array).subarray(token * 16, (token + 1) * 16);
        const largest = row.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        if (at > place) expect(largest, `${place} towards ${at}`).toBe(0);
        // A window of 4 over 2 layers reaches 6 places back.
        else expect(largest, `${place} towards ${at}`).toBeGreaterThan(1e-6);
      }
    }
  });

  test("padding at the end and neighbours in the batch change nothing", async () => {
    await using whole = await logitsOf(model, weights);
    const rows = randomRows([7, 3, 1, 5], width, 4);
    const together = await whole.run(idRows(rows, { time: 9 }));
    for (const [i, row] of rows.entries()) {
      const alone = await whole.run(idRows([row]));
      const from = i * 9 * width;
      expectClose(together.subarray(from, from + row.length * width), alone, { within: 2e-6, what: `row ${i}` });
    }
  });

  test("token by token, logits are those of whole texts within 1e-5", async () => {
    await using whole = await logitsOf(model, weights);
    const texts = randomRows([9, 9, 9], width, 5);
    const expected = await whole.run(idRows(texts));
    const decoder = new LanguageModelDecoder(model, weights, session);
    const beginning = 3;
    const stepper = await decoder.start(texts.map((text) => text.slice(0, beginning)));
    const rows = Int32Array.of(0, 1, 2);
    for (let place = beginning - 1; place < 9; place++) {
      const tokens = Int32Array.from(texts, (text) => text[place]!);
      const got = await stepper.logits({ sentences: rows, beams: 1, tokens, parents: rows });
      for (const row of rows) {
        const from = (row * 9 + place) * width;
        expectClose(got.subarray(row * width, (row + 1) * width), expected.subarray(from, from + width), {
          within: 1e-5,
          what: `place ${place}, row ${row}`,
        });
      }
    }
    await decoder.dispose();
  });

  test("greedy search continues a text with the likeliest token, given the whole of it, each time", async () => {
    await using whole = await logitsOf(model, weights);
    const texts = randomRows([4, 4], width, 6);
    const decoder = new LanguageModelDecoder(model, weights, session);
    // Padding is no word of a text: experts would pass it by in a whole text and not while writing.
    const found = await greedySearch(await decoder.start(texts), {
      start: texts,
      maxTokens: 8,
      processors: [suppressed([model.pad])],
    });
    await decoder.dispose();
    for (const [i, text] of texts.entries()) {
      const written = [...text];
      for (let step = 0; step < 8; step++) {
        const logits = (await whole.run(idRows([written]))).slice(-width);
        logits[model.pad] = -Infinity;
        written.push(logits.indexOf(Math.max(...logits)));
      }
      expect([...text, ...found[i]!.tokens]).toEqual(written);
    }
  });
});

test("an untied model has a table of its own for the output, a tied one has not", () => {
  const tables = (tying: boolean): string[] =>
    [...namedParameters(new LanguageModel({ ...small, positions: "rotary", tying })).keys()].filter((name) =>
      name.endsWith("table"),
    );
  expect(tables(true)).toEqual(["input.embedding.table"]);
  expect(tables(false)).toEqual(["input.embedding.table", "output.table"]);
});

test("beginnings of unlike length in one batch are refused", async () => {
  const model = new LanguageModel(small);
  const decoder = new LanguageModelDecoder(model, noisy(model), session);
  await expect(decoder.start([[1, 2], [1]])).rejects.toThrow(/beginnings of one length/);
  await decoder.dispose();
});

describe("the loss of the next token", () => {
  const model = new LanguageModel(small);
  const weights = noisy(model);
  const texts = randomRows([6, 3, 1], small.vocabularySize, 7);

  test.each([0, 0.1])(
    "is the mean cross-entropy over tokens that have one before them, smoothing %f",
    async (labelSmoothing) => {
      await using whole = await logitsOf(model, weights);
      const wanted: { loss: number; plain: number }[] = [];
      for (const text of texts) {
        const logits = await whole.run(idRows([text]));
        for (let place = 1; place < text.length; place++) {
          const row = logits.subarray((place - 1) * 13, place * 13);
          wanted.push({
            loss: crossEntropy(row, text[place]!, labelSmoothing),
            plain: crossEntropy(row, text[place]!),
          });
        }
      }
      expect(wanted).toHaveLength(5 + 2);
      const program = nextToken(model, { labelSmoothing });
      await using run = await compiled(model, weights, program.inputs, { loss: program.loss, ...program.figures });
      const { loss, negativeLogLikelihood } = await run.run({
        ids: idRows(texts),
        tokenWeight: hostTensor("float32", [], [1 / wanted.length]),
      });
      const mean = (key: "loss" | "plain"): number => wanted.reduce((total, x) => total + x[key], 0) / wanted.length;
      expectClose([loss!.data[0] as number], [mean("loss")], { within: 1e-5, what: "loss" });
      expectClose([negativeLogLikelihood!.data[0] as number], [mean("plain")], { within: 1e-5, what: "likelihood" });
    },
  );

  test.each([
    ["as it is by itself, GELU by tanh", { feedForward: "tanh" }],
    [
      "rotary positions, RMS norms, untied",
      { positions: "rotary", normKind: "rms", tying: false, feedForward: "relu" },
    ],
  ] as const)("every parameter's gradient is its slope: %s", async (_, options) => {
    const sizes = { vocabularySize: 8, dModel: 4, heads: 2, layers: 2, dFeedForward: 6, maxPositions: 8 };
    const tiny = new LanguageModel({ ...sizes, ...options });
    await expectSlopes(tiny, nextToken(tiny), {
      ids: idRows([
        [1, 2, 3, 4],
        [5, 6],
      ]),
      tokenWeight: hostTensor("float64", [], [1 / 4]),
    });
  });

  test("training lowers it", async () => {
    const parameters = namedParameters(model);
    const optimizer = adamW({ weightDecay: 0 });
    const store = new ParameterStore(parameters, { slots: optimizer.slots });
    store.load(weights);
    const training = await TrainingStep.create({ parameters, loss: nextToken(model), memory: store, seed: 0, session });
    const feeds = { ids: idRows(texts), tokenWeight: hostTensor("float32", [], [1 / 7]) };
    const losses: number[] = [];
    for (let step = 1; step <= 40; step++) {
      losses.push((await training.run(feeds, { step })).loss);
      optimizer.update(store, { step, learningRate: 0.01 });
    }
    await training.dispose();
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 3);
  });
});
