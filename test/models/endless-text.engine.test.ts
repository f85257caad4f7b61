// Texts longer than a model was made for: read with a window and attention sinks, or segment by segment with a memory.
import { expect, test } from "vitest";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import { compile } from "../../src/engine/index.ts";
import {
  LanguageModel,
  LanguageModelDecoder,
  nextToken,
  nextTokenWithMemory,
  readSegment,
  SegmentMemory,
  type LanguageModelOptions,
} from "../../src/models/index.ts";
import { initialize, namedParameters, parameterInputs } from "../../src/nn/index.ts";
import { dim, gradients, input, logSoftmax, mul, sum, withoutDropout, type Tensor } from "../../src/tensor/index.ts";
import { adam, ModelLearner } from "../../src/train/index.ts";
import { expectClose } from "../close.ts";

const vocabularySize = 13;
const session = { threads: 1 };
const small = { vocabularySize, dModel: 16, heads: 4, layers: 2, dFeedForward: 24, dropout: 0, pad: -1 } as const;
const text = Array.from({ length: 24 }, (_, i) => (i * i + 3 * i) % vocabularySize);

const weightsOf = (model: LanguageModel) => initialize(namedParameters(model), 5);

/** Log-probabilities [time, vocabulary] after each token of a whole text. */
async function readWhole(model: LanguageModel, tokens: readonly number[]): Promise<Float32Array> {
  const ids = input("ids", "int32", [1, dim("time")]);
  const outputs = { scores: logSoftmax(model.logits(model.forward(ids).output)) };
  await using run = await compile(
    withoutDropout({ name: "whole", inputs: { ...parameterInputs(namedParameters(model)), ids }, outputs }),
    { ...session, frozen: weightsOf(model) },
  );
  return (await run.run({ ids: hostTensor("int32", [1, tokens.length], tokens) })).scores!.data as Float32Array;
}

const streams: [string, Partial<LanguageModelOptions>, { sinks: number; window: number }][] = [
  ["rotary, no sinks", { positions: "rotary" }, { sinks: 0, window: 5 }],
  ["rotary, two sinks", { positions: "rotary" }, { sinks: 2, window: 4 }],
  ["ALiBi, one sink", { positions: "alibi" }, { sinks: 1, window: 5 }],
  ["relative bias, three sinks, shared keys", { positions: "relative", keyValueHeads: 2 }, { sinks: 3, window: 3 }],
  ["no positions", { positions: "none" }, { sinks: 1, window: 1 }],
];

test.each(streams)(
  "one layer, %s: after each token the stream says what the kept tokens alone would say",
  async (_, options, reach) => {
    // With one layer keys depend on their own token alone, so what fell out of sight has left no trace.
    const model = new LanguageModel({ ...small, layers: 1, ...options });
    const decoder = new LanguageModelDecoder(model, weightsOf(model), session, { stream: reach });
    const stepper = await decoder.start([[]]);
    const row = Int32Array.of(0);
    for (const [t, token] of text.entries()) {
      const tokens = Int32Array.of(token);
      const got = await stepper.logProbabilities({ sentences: row, beams: 1, tokens, parents: row });
      const seen = text.slice(0, t + 1);
      const { sinks, window } = reach;
      const kept = seen.length <= sinks + window ? seen : [...seen.slice(0, sinks), ...seen.slice(-window)];
      const expected = (await readWhole(model, kept)).slice(-vocabularySize);
      expectClose(got, expected, { within: 1e-5, what: `token ${t}` });
    }
    await decoder.dispose();
  },
);

test("a stream's cache stops growing, and far into it nothing has changed but the text", async () => {
  const model = new LanguageModel({ ...small, positions: "rotary" });
  const decoder = new LanguageModelDecoder(model, weightsOf(model), session, { stream: { sinks: 2, window: 6 } });
  const stepper = await decoder.start([[]]);
  const row = Int32Array.of(0);
  const read = (token: number): Promise<Float32Array> =>
    stepper.logProbabilities({ sentences: row, beams: 1, tokens: Int32Array.of(token), parents: row });
  const periodic = (t: number): number => text[t % 12]!;
  const early: Float32Array[] = [];
  let bytes = 0;
  for (let t = 0; t < 600; t++) {
    const scores = (await read(periodic(t))).slice();
    if (t >= 48 && t < 60) early.push(scores);
    if (t === 60) bytes = stepper.cacheBytes;
    if (t >= 588) expectClose(scores, early[t - 588]!, { within: 1e-5, what: `token ${t}` });
  }
  expect(stepper.cacheBytes).toBe(bytes);
  await decoder.dispose();
});

test("a model that is told absolute places is refused, for streams and for segments alike", () => {
  const model = new LanguageModel({ ...small, positions: "learned" });
  expect(() => new LanguageModelDecoder(model, weightsOf(model), session, { stream: { sinks: 1, window: 3 } })).toThrow(
    "model.positions: a table of positions runs out, so this model cannot read a text without end. Take rotary, alibi, relative or none",
  );
  expect(() => nextTokenWithMemory(model)).toThrow("a table gives every segment the same places");
});

const places = ["rotary", "alibi", "relative", "none"] as const;

test.each(places)(
  "%s positions: segments with a memory that reaches back far enough give the whole text's answers",
  async (positions) => {
    const model = new LanguageModel({
      ...small,
      positions,
      attention: positions === "alibi" ? "causal-blocks" : "full",
    });
    const whole = await readWhole(model, text);
    const ids = input("ids", "int32", [1, dim("time")]);
    const memory = model.decoder.layers.map((_, i) =>
      input(`memory.${i}`, "float32", [1, dim("memoryTime"), model.options.dModel]),
    );
    const { output, remembered } = readSegment(model, ids, memory);
    const named = (tensors: readonly Tensor[], prefix: string) =>
      Object.fromEntries(tensors.map((tensor, i) => [`${prefix}${i}`, tensor]));
    await using run = await compile(
      withoutDropout({
        name: "segment",
        inputs: { ...parameterInputs(namedParameters(model)), ids, ...named(memory, "memory.") },
        outputs: { scores: logSoftmax(model.logits(output)), ...named(remembered, "kept.") },
      }),
      { ...session, frozen: weightsOf(model) },
    );
    const past = new SegmentMemory({ layers: 2, batch: 1, dModel: 16, places: 100 });
    let start = 0;
    for (const length of [5, 1, 7, 3, 8]) {
      const part = text.slice(start, start + length);
      const { scores, ...kept } = await run.run({ ids: hostTensor("int32", [1, length], part), ...past.feeds() });
      const carried = Object.entries(kept).map(([name, value]): [string, HostTensor] => [
        name.replace("kept.", "memory."),
        value,
      ]);
      past.remember(Object.fromEntries(carried));
      const expected = whole.subarray(start * vocabularySize, (start + length) * vocabularySize);
      expectClose(scores!.data as Float32Array, expected, { within: 1e-5, what: `from token ${start}` });
      start += length;
    }
  },
);

test("no gradient reaches the memory, and it keeps the last places only", () => {
  const model = new LanguageModel({ ...small, positions: "rotary" });
  const ids = input("ids", "int32", [1, dim("time")]);
  const memory = [0, 1].map((i) => input(`memory.${i}`, "float32", [1, dim("memoryTime"), 16]));
  const { output } = readSegment(model, ids, memory);
  const flowing = gradients(sum(mul(output, output)), memory);
  // Zeros made from nothing but a shape: there is no path.
  for (const gradient of flowing)
    expect(gradient.node.inputs.some(({ node }) => node.operation.name === "matmul")).toBe(false);

  const past = new SegmentMemory({ layers: 1, batch: 2, dModel: 1, places: 3 });
  const stretch = (rows: number[][]) => ({ "memory.0": hostTensor("float32", [2, rows[0]!.length, 1], rows.flat()) });
  past.remember(
    stretch([
      [1, 2],
      [5, 6],
    ]),
  );
  past.remember(
    stretch([
      [3, 4],
      [7, 8],
    ]),
  );
  expect([...past.feeds()["memory.0"]!.data]).toEqual([2, 3, 4, 6, 7, 8]);
  past.remember(
    stretch([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ]),
  );
  expect([...past.feeds()["memory.0"]!.data]).toEqual([2, 3, 4, 6, 7, 8]);
});

test("what is further back than a segment is learnt with a memory, and cannot be without", async () => {
  // Each segment holds one number, after a 12; it is that of the segment before and one more.
  const [length, batch, steps] = [6, 8, 200];
  const segment = (k: number): number[] =>
    Array.from({ length: batch }, (_, row) => [11, 12, (3 * row + k) % 11, 11, 11, 11]).flat();
  const learn = async (isRemembering: boolean): Promise<number> => {
    const model = new LanguageModel({ ...small, positions: "rotary" });
    const parameters = namedParameters(model);
    const learner = await ModelLearner.create({
      parameters,
      loss: isRemembering ? nextTokenWithMemory(model) : nextToken(model),
      optimizer: adam(),
      values: initialize(parameters, 1),
      seed: 1,
      session,
    });
    const past = new SegmentMemory({ layers: 2, batch, dModel: 16, places: length });
    let last = 0;
    for (let step = 1; step <= steps; step++) {
      const { figures, carried = {} } = await learner.accumulate(
        {
          ids: hostTensor("int32", [batch, length], segment(step)),
          tokenWeight: hostTensor("float32", [], [1 / (batch * (length - 1))]),
          ...(isRemembering && past.feeds()),
        },
        { step, microBatch: 0 },
      );
      if (isRemembering) past.remember(carried);
      learner.update({ step, learningRate: 0.01, gradientScale: 1 });
      last = figures.negativeLogLikelihood!;
    }
    await learner.dispose();
    return last;
  };
  // Without a memory one token of five is a guess among eleven: ln 11 / 5 = 0.48 nats a token.
  expect(await learn(false)).toBeGreaterThan(0.4);
  expect(await learn(true)).toBeLessThan(0.1);
});
