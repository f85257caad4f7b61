// The encoder alone and its heads.
import { describe, expect, test } from "vitest";
import { hostTensor } from "../../src/base/index.ts";
import {
  labelledTexts,
  labelledTokens,
  MaskedLanguageModel,
  maskedTokens,
  TextClassifier,
  TextEncoder,
  TokenClassifier,
  type LossProgram,
  type TextEncoderOptions,
} from "../../src/models/index.ts";
import { namedParameters } from "../../src/nn/index.ts";
import { tanh, type Tensor } from "../../src/tensor/index.ts";
import { adamW, ParameterStore, TrainingStep } from "../../src/train/index.ts";
import { expectClose, largestDifference } from "../close.ts";
import { compiled, crossEntropy, expectSlopes, ids, noisy, segmentIds } from "./any-model.ts";
import { idRows, randomRows, session } from "./small-transformer.ts";

const small = { vocabularySize: 13, dModel: 16, heads: 4, layers: 2, dFeedForward: 24, maxPositions: 32 } as const;

const arrangements: readonly (readonly [name: string, options: TextEncoderOptions])[] = [
  ["as it is by itself", small],
  [
    "pre-norm, rotary, RMS norms, GeGLU",
    { ...small, norm: "pre", positions: "rotary", normKind: "rms", feedForward: "geglu" },
  ],
  ["ALiBi, three segments", { ...small, positions: "alibi", segments: 3 }],
  [
    "relative positions, no segments, experts",
    { ...small, positions: "relative", segments: 0, feedForward: { kind: "experts", experts: 3 } },
  ],
  ["linear attention, sinusoidal positions", { ...small, attention: "linear", positions: "sinusoidal" }],
];

describe.each(arrangements)("a text encoder, %s", (_, options) => {
  const encoder = new TextEncoder(options);
  const weights = noisy(encoder);
  const { segments } = encoder.options;

  test("padding and neighbours in the batch change nothing, in any hidden state", async () => {
    const { hidden } = encoder.forward(ids, segments > 0 ? segmentIds : undefined);
    const inputs = { ids, ...(segments > 0 && { segmentIds }) };
    const outputs = Object.fromEntries(hidden.map((state, i) => [`hidden.${i}`, state]));
    await using run = await compiled(encoder, weights, inputs, outputs);
    const rows = randomRows([7, 3, 1, 5], 13, 4);
    const runOn = (texts: number[][], time = 0) =>
      run.run({
        ids: idRows(texts, { time }),
        ...(segments > 0 && {
          segmentIds: idRows(
            texts.map((text) => text.map((_id, i) => (i > 2 ? 1 : 0))),
            { time },
          ),
        }),
      });
    const together = await runOn(rows, 9);
    for (const [i, row] of rows.entries())
      for (const [name, { data }] of Object.entries(await runOn([row]))) {
        const from = i * 9 * 16;
        expectClose(
          (together[name]!.data as Float32Array).subarray(from, from + row.length * 16),
          data as Float32Array,
          {
            within: 5e-6,
            what: `${name} of row ${i}`,
          },
        );
      }
  });

  test("reads in both directions: another last token changes what stands at the first place", async () => {
    const { output } = encoder.forward(ids);
    await using run = await compiled(encoder, weights, { ids }, { output });
    const first = async (last: number): Promise<Float32Array> =>
      ((await run.run({ ids: idRows([[1, 2, 3, last]]) })).output!.data as Float32Array).slice(0, 16);
    expect(largestDifference(await first(4), await first(5))).toBeGreaterThan(1e-4);
  });
});

test("the segment of a token is one more vector on its embedding; without segments there is no such table", async () => {
  const encoder = new TextEncoder({ ...small, embeddingNorm: false });
  const weights = noisy(encoder);
  const inputs = { ids, segmentIds };
  const [plain, told] = [encoder.forward(ids).hidden[0]!, encoder.forward(ids, segmentIds).hidden[0]!];
  await using run = await compiled(encoder, weights, inputs, { plain, told });
  const text = [3, 1, 4, 1, 5];
  const owner = [0, 0, 1, 1, 0];
  const got = await run.run({ ids: idRows([text]), segmentIds: idRows([owner]) });
  const table = weights.get("input.segments.table")!.data;
  const expected = (got.plain!.data as Float32Array).map(
    (x, i) => x + table[owner[Math.floor(i / 16)]! * 16 + (i % 16)]!,
  );
  expectClose(got.told!.data as Float32Array, expected, { within: 1e-6 });
  const names = [...namedParameters(new TextEncoder({ ...small, segments: 0 })).keys()];
  expect(names.filter((name) => name.includes("segments"))).toEqual([]);
});

describe("heads", () => {
  const encoder = new TextEncoder(small);
  const shapesOf = (outputs: Record<string, Tensor>) =>
    Object.fromEntries(Object.entries(outputs).map(([name, { shape }]) => [name, shape.map(String)]));

  test("have the shapes they are described with", () => {
    const masked = new MaskedLanguageModel(encoder);
    const { prediction } = masked.forward(ids);
    const { logits, pooled } = new TextClassifier({ encoder, classes: 5 }).forward(ids);
    const tags = new TokenClassifier({ encoder, classes: 6 }).forward(ids).logits;
    const [batch, time] = ids.shape.map(String) as [string, string];
    expect(shapesOf({ prediction, words: masked.logits(prediction), logits, pooled, tags })).toEqual({
      prediction: [batch, time, "16"],
      words: [batch, time, "13"],
      logits: [batch, "5"],
      pooled: [batch, "16"],
      tags: [batch, time, "6"],
    });
  });

  test("a masked language model has one table for both ends", () => {
    const names = [...namedParameters(new MaskedLanguageModel(encoder)).keys()];
    expect(names.filter((name) => name.endsWith("table"))).toEqual([
      "encoder.input.embedding.table",
      "encoder.input.segments.table",
      "encoder.input.positions.table",
    ]);
    expect(names.filter((name) => !name.startsWith("encoder."))).toEqual([
      "transform.weight",
      "transform.bias",
      "norm.scale",
      "norm.shift",
      "outputBias",
    ]);
  });

  test("a classifier takes the first token's vector, or the mean over tokens that are no padding", async () => {
    const text = [3, 1, 4, 1, 5];
    for (const pooling of ["first", "mean"] as const) {
      const model = new TextClassifier({ encoder, classes: 5, pooling });
      const weights = noisy(model);
      const { output, pooled } = model.forward(ids);
      await using run = await compiled(model, weights, { ids }, { output, pooled });
      const got = await run.run({ ids: idRows([text], { time: 8 }) });
      const vectors = Array.from({ length: 5 }, (_x, i) =>
        (got.output!.data as Float32Array).slice(i * 16, (i + 1) * 16),
      );
      const chosen = pooling === "first" ? vectors.slice(0, 1) : vectors;
      const x = Array.from({ length: 16 }, (_x, c) => chosen.reduce((total, v) => total + v[c]!, 0) / chosen.length);
      const [w, b] = [weights.get("pooler.weight")!.data, weights.get("pooler.bias")!.data];
      const expected = x.map((_x, to) =>
        Math.tanh(x.reduce((total, v, from) => total + v * w[from * 16 + to]!, b[to]!)),
      );
      expectClose(got.pooled!.data as Float32Array, expected, { within: 1e-5, what: pooling });
    }
  });
});

describe("the loss of masked tokens", () => {
  const model = new MaskedLanguageModel(new TextEncoder(small));
  const weights = noisy(model);
  const texts = randomRows([6, 4], 13, 7);
  const asked = [
    [-100, 5, -100, 0, -100, -100],
    [-100, -100, -100, 2, -100, -100],
  ];
  const segments = texts.map((text) => text.map((_id, i) => (i > 1 ? 1 : 0)));

  test("is the mean cross-entropy over the places that are asked for, and over no others", async () => {
    const program = maskedTokens(model);
    const logits = model.logits(model.forward(ids, segmentIds).prediction);
    await using whole = await compiled(model, weights, { ids, segmentIds }, { logits });
    await using run = await compiled(model, weights, program.inputs, { loss: program.loss });
    const given = { ids: idRows(texts), segmentIds: idRows(segments) };
    const { data } = (await whole.run(given)).logits!;
    const losses = asked
      .flat()
      .flatMap((label, i) =>
        label < 0 ? [] : [crossEntropy((data as Float32Array).subarray(i * 13, (i + 1) * 13), label)],
      );
    expect(losses).toHaveLength(3); // label 0 is the padding's id and counts: −100 alone says "not asked"
    const feeds = { ...given, labels: idRows(asked), tokenWeight: hostTensor("float32", [], [1 / 3]) };
    const expected = losses.reduce((total, x) => total + x, 0) / 3;
    expectClose([(await run.run(feeds)).loss!.data[0] as number], [expected], { within: 1e-5, what: "loss" });
  });

  test("has no input for segments where the encoder has none", () => {
    const plain = new MaskedLanguageModel(new TextEncoder({ ...small, segments: 0 }));
    expect(Object.keys(maskedTokens(plain).inputs)).toEqual(["ids", "labels", "tokenWeight"]);
  });

  test("training lowers it", async () => {
    const parameters = namedParameters(model);
    const optimizer = adamW({ weightDecay: 0 });
    const store = new ParameterStore(parameters, { slots: optimizer.slots });
    store.load(weights);
    const training = await TrainingStep.create({
      parameters,
      loss: maskedTokens(model),
      memory: store,
      seed: 0,
      session,
    });
    const feeds = {
      ids: idRows(texts),
      segmentIds: idRows(segments),
      labels: idRows(asked),
      tokenWeight: hostTensor("float32", [], [1 / 3]),
    };
    const losses: number[] = [];
    for (let step = 1; step <= 30; step++) {
      losses.push((await training.run(feeds, { step })).loss);
      optimizer.update(store, { step, learningRate: 0.01 });
    }
    await training.dispose();
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 3);
  });
});

describe("the losses of classes", () => {
  const encoder = new TextEncoder(small);
  const texts = randomRows([6, 4, 2], 13, 8);
  const given = { ids: idRows(texts), segmentIds: idRows(texts.map((text) => text.map(() => 0))) };
  const cases = [
    ["a text", new TextClassifier({ encoder, classes: 5 }), labelledTexts, hostTensor("int32", [3], [4, -100, 0])],
    [
      "a token",
      new TokenClassifier({ encoder, classes: 5 }),
      labelledTokens,
      idRows([
        [4, -100, 0, 1, 2, -100],
        [3, 3, 0, -100, -100, -100],
        [-100, -100, -100, -100, -100, -100],
      ]),
    ],
  ] as const;

  test.each(cases)("of %s are mean cross-entropies over those that are asked for", async (_, model, lossOf, labels) => {
    const weights = noisy(model);
    const program = (lossOf as (given: typeof model) => LossProgram)(model);
    const { logits } = model.forward(ids, segmentIds);
    await using whole = await compiled(model, weights, { ids, segmentIds }, { logits });
    const data = (await whole.run(given)).logits!.data as Float32Array;
    const losses = Array.from(labels.data).flatMap((label, i) =>
      label < 0 ? [] : [crossEntropy(data.subarray(i * 5, (i + 1) * 5), label)],
    );
    await using run = await compiled(model, weights, program.inputs, { loss: program.loss });
    const feeds = { ...given, labels, tokenWeight: hostTensor("float32", [], [1 / losses.length]) };
    const expected = losses.reduce((total, x) => total + x, 0) / losses.length;
    expectClose([(await run.run(feeds)).loss!.data[0] as number], [expected], { within: 1e-5, what: "loss" });
  });
});

describe("every parameter's gradient is the slope of the loss", () => {
  // The error function has no kernel in double precision, so tanh stands for it.
  const tiny = { vocabularySize: 8, dModel: 4, heads: 2, layers: 2, dFeedForward: 6, maxPositions: 8 } as const;
  const encoder = new TextEncoder({ ...tiny, feedForward: "tanh" });
  const texts = [
    [1, 2, 3, 4],
    [5, 6],
  ];
  const given = {
    ids: idRows(texts),
    segmentIds: idRows([
      [0, 0, 1, 1],
      [1, 0],
    ]),
  };

  test("masked tokens", async () => {
    const model = new MaskedLanguageModel(encoder, { activation: tanh });
    await expectSlopes(model, maskedTokens(model), {
      ...given,
      labels: idRows([
        [-100, 3, -100, 1],
        [7, -100, -100, -100],
      ]),
      tokenWeight: hostTensor("float64", [], [1 / 4]),
    });
  });

  test.each(["first", "mean"] as const)("classes of texts, pooling %s", async (pooling) => {
    const model = new TextClassifier({ encoder, classes: 3, pooling });
    await expectSlopes(model, labelledTexts(model), {
      ...given,
      labels: hostTensor("int32", [2], [2, 0]),
      tokenWeight: hostTensor("float64", [], [1 / 2]),
    });
  });

  test("classes of tokens", async () => {
    const model = new TokenClassifier({ encoder, classes: 3 });
    await expectSlopes(model, labelledTokens(model), {
      ...given,
      labels: idRows([
        [0, 1, -100, 2],
        [2, 1, -100, -100],
      ]),
      tokenWeight: hostTensor("float64", [], [1 / 4]),
    });
  });
});
