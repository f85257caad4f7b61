// What Node and the page both run; the numbers must agree.
import { hostTensor, RandomStream, randomKey } from "../../../src/base/index.ts";
import { beamSearch, greedySearch, inPlaces, nucleus, sample, type Hypothesis } from "../../../src/decode/index.ts";
import { compile, defaultThreads, runtimeVersion, type SessionOptions } from "../../../src/engine/index.ts";
import { teacherForcing, Transformer, TransformerDecoder } from "../../../src/models/index.ts";
import { initialize, namedParameters } from "../../../src/nn/index.ts";
import * as t from "../../../src/tensor/index.ts";
import { adam, ModelLearner } from "../../../src/train/index.ts";

/** A two-layer network's loss and gradients over fixed numbers. */
async function gradients(session: SessionOptions): Promise<number[]> {
  const random = new RandomStream(randomKey(7));
  const drawn = (...dims: number[]) =>
    hostTensor(
      "float32",
      dims,
      Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.uniform() - 0.5),
    );
  const [x, first, second] = [
    t.input("x", "float32", [t.dim("rows"), 5]),
    t.input("first", "float32", [5, 8]),
    t.input("second", "float32", [8, 3]),
  ];
  const labels = t.input("labels", "int32", [t.dim("rows")]);
  const hidden = t.layerNorm(
    t.tanh(t.matmul(x, first)),
    t.expand(t.scalar(1), [8]),
    t.zeros({ dtype: "float32", shape: [8] }),
  );
  const { loss } = t.linearCrossEntropy(hidden, t.transpose(second, [1, 0]), labels, { smoothing: 0.1 });
  const total = t.sum(loss);
  const [dFirst, dSecond] = t.gradients(total, [first, second]) as [t.Tensor, t.Tensor];
  const program = { name: "page", inputs: { x, first, second, labels }, outputs: { total, dFirst, dSecond } };
  const executable = await compile(program, session);
  const into = { dSecond: hostTensor("float32", [8, 3], new Float32Array(24)) };
  const results = await executable.run(
    { x: drawn(4, 5), first: drawn(5, 8), second: drawn(8, 3), labels: hostTensor("int32", [4], [0, 2, 1, 2]) },
    { into },
  );
  await executable.dispose();
  return [results.total!, results.dFirst!, into.dSecond].flatMap(({ data }) => Array.from(data as Float32Array));
}

/** Losses of three updates of a one-layer Transformer with dropout, by Adam. */
async function training(session: SessionOptions): Promise<number[]> {
  const model = new Transformer({
    vocabularySize: 20,
    dModel: 16,
    heads: 2,
    layers: 1,
    dFeedForward: 32,
    dropout: 0.1,
  });
  const parameters = namedParameters(model);
  const learner = await ModelLearner.create({
    parameters,
    loss: teacherForcing(model, { labelSmoothing: 0.1 }),
    optimizer: adam(),
    values: initialize(parameters, 3),
    seed: 5,
    session,
  });
  const ids = hostTensor("int32", [2, 4], [5, 6, 7, 2, 8, 9, 2, 0]);
  const targets = hostTensor("int32", [2, 5], [1, 10, 11, 12, 2, 1, 13, 14, 2, 0]);
  const losses: number[] = [];
  for (let step = 1; step <= 3; step++) {
    const { loss } = await learner.accumulate(
      { sourceIds: ids, targetIds: targets, tokenWeight: hostTensor("float32", [], [1 / 7]) },
      { step, microBatch: 0 },
    );
    losses.push(loss);
    learner.update({ step, learningRate: 0.01, gradientScale: 1 });
  }
  await learner.dispose();
  return losses;
}

/**
 * What greedy search, a beam, drawing with seeds, and drawing with sentences that join a batch of two write. The weights are drawn
 * wide, so that a model which has learnt nothing is sure of something.
 */
async function decoding(session: SessionOptions): Promise<Hypothesis[]> {
  const model = new Transformer({ vocabularySize: 20, dModel: 16, heads: 2, layers: 2, dFeedForward: 32, dropout: 0 });
  const weights = initialize(namedParameters(model), 3);
  const random = new RandomStream(randomKey(8));
  for (const { data } of weights.values()) for (let i = 0; i < data.length; i++) data[i]! += 0.2 * random.normal();
  const decoder = new TransformerDecoder(model, weights, session);
  const sources = [
    [5, 6, 7, 2],
    [8, 9, 2],
    [10, 11, 12, 13, 2],
  ];
  const sourceIds = hostTensor(
    "int32",
    [3, 5],
    sources.flatMap((ids) => [...ids, 0, 0].slice(0, 5)),
  );
  const told = { start: 1, end: 2, maxTokens: 12 };
  const found = [
    ...(await greedySearch(await decoder.start(sourceIds), told)),
    ...(await beamSearch(await decoder.start(sourceIds), { ...told, beams: 3 })).flat(),
    ...(await sample(await decoder.start(sourceIds), { ...told, seed: 11, processors: [nucleus(0.9)] })),
    ...(await sample(
      decoder.open((sentence) => sources[sentence]!),
      { ...told, seed: 11, processors: [nucleus(0.9)], admit: inPlaces(3, 2) },
    )),
  ];
  await decoder.dispose();
  return found;
}

/** The name and text of what a session with these options fails with. */
async function refusal(session: SessionOptions): Promise<string> {
  const x = t.input("x", "float32", []);
  try {
    await compile({ name: "refused", inputs: { x }, outputs: { y: t.mul(x, 2) } }, session);
    return "it runs";
  } catch (error) {
    return String(error);
  }
}

async function environment(): Promise<{ threads: number; version: string }> {
  return { threads: defaultThreads(), version: runtimeVersion };
}

export const scenarios = { gradients, training, decoding, refusal, environment };
