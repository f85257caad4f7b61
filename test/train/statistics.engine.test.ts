// Parameters that follow the data: a training step moves them, checkpoints hold them, and a resumed run ends on the same bits.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, hostTensor, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import type { Feeds } from "../../src/engine/index.ts";
import {
  BatchNorm,
  ExpertsFeedForward,
  FeedForward,
  initialize,
  LayerDrop,
  Linear,
  Module,
  namedParameters,
  Parameter,
  Pass,
  PassReports,
  zeros,
} from "../../src/nn/index.ts";
import { add, dim, input, mul, reshape, sub, sum, where, type Tensor } from "../../src/tensor/index.ts";
import { adam, initialState, ModelLearner } from "../../src/train/index.ts";
import { currentEnvironment, loadCheckpoint, writeCheckpoint } from "../../src/train/index.node.ts";
import { expectClose } from "../close.ts";

const width = 4;

/** Everything that asks for random bytes or reports: experts that drop values, batch norm, a layer that may be left out. */
class Noisy extends Module {
  readonly norm = new BatchNorm({ dModel: width, momentum: 0.25 });
  readonly experts = new ExpertsFeedForward({
    dModel: width,
    experts: 3,
    chosen: 2,
    expert: () => new FeedForward({ dModel: width, dFeedForward: 8, dropout: 0.25 }),
  });
  readonly output = new Linear({ from: width, to: width });
  readonly layerDrop = new LayerDrop(0.3);

  forward(x: Tensor, pass: Pass): Tensor {
    const y = this.norm.forward(x, pass);
    return this.output.forward(this.layerDrop.forward(y, add(y, this.experts.forward(y, pass))));
  }
}

/** Learns to give back what it is shown. */
function lossProgram(model: Noisy) {
  const x = input("x", "float32", [dim("batch"), dim("time"), width]);
  const valid = input("valid", "bool", [dim("batch"), dim("time")]);
  const tokenWeight = input("tokenWeight", "float32", []);
  const reports = new PassReports();
  const difference = sub(model.forward(x, new Pass(valid, reports)), x);
  const counted = where(reshape(valid, [dim("batch"), dim("time"), 1]), mul(difference, difference), 0);
  const loss = [mul(sum(counted), tokenWeight), ...reports.losses].reduce((a, b) => add(a, b));
  return {
    inputs: { x, valid, tokenWeight },
    loss,
    figures: Object.fromEntries(reports.figures),
    statistics: reports.statistics,
  };
}

/** Batch `number`: two sentences of 5 and 3 tokens. */
function batch(number: number): Feeds & { readonly x: HostTensor<"float32"> } {
  const random = new RandomStream(randomKey(91, number));
  const data = Float32Array.from({ length: 2 * 5 * width }, () => 2 * random.normal() + 3);
  return {
    x: hostTensor("float32", [2, 5, width], data),
    valid: hostTensor("bool", [2, 5], [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]),
    tokenWeight: hostTensor("float32", [], [1 / 16]),
  };
}

async function learner(model = new Noisy()): Promise<ModelLearner> {
  const parameters = namedParameters(model);
  return ModelLearner.create({
    parameters,
    loss: lossProgram(model),
    optimizer: adam(),
    values: initialize(parameters, 3),
    seed: 5,
    accumulates: true,
    session: { threads: 1 },
  });
}

/** Steps of two micro-batches each. */
async function learn(trained: ModelLearner, from: number, to: number): Promise<number[]> {
  const losses: number[] = [];
  for (let step = from; step <= to; step++) {
    for (const microBatch of [0, 1]) {
      const { loss } = await trained.accumulate(batch(2 * step + microBatch), { step, microBatch });
      losses.push(loss);
    }
    trained.update({ step, learningRate: 0.05, gradientScale: 1 });
  }
  return losses;
}

const bytes = ({ data }: HostTensor): Uint8Array => new Uint8Array(data.slice().buffer);

describe("running statistics", () => {
  let folder: string;
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "statistics-"))));
  afterAll(() => rm(folder, { recursive: true }));

  test("move with every micro-batch, by its own tokens, and no gradient or update touches them", async () => {
    const trained = await learner();
    const expected = new Float64Array(width);
    for (const microBatch of [0, 1]) {
      const feeds = batch(microBatch);
      await trained.accumulate(feeds, { step: 1, microBatch });
      for (let column = 0; column < width; column++) {
        const tokens = [0, 1, 2, 3, 4, 5, 6, 7].map((token) => feeds.x.data[token * width + column]!);
        const mean = tokens.reduce((a, b) => a + b) / tokens.length;
        expected[column] = 0.75 * expected[column]! + 0.25 * mean;
      }
      expectClose(trained.store.values["norm.runningMean"]!.data, expected, { within: 1e-5 });
    }
    expect(Object.keys(trained.gradients)).not.toContain("norm.runningMean");
    const before = bytes(trained.store.values["norm.runningVariance"]!);
    trained.update({ step: 1, learningRate: 0.1, gradientScale: 1 });
    expect(bytes(trained.store.values["norm.runningVariance"]!)).toEqual(before);
    await trained.dispose();
  });

  test("are in a checkpoint, and the run that goes on from it ends bit for bit where the unbroken one ends", async () => {
    const unbroken = await learner();
    const losses = await learn(unbroken, 1, 8);
    const first = await learner();
    const earlier = await learn(first, 1, 5);
    const state = { ...initialState(5), step: 5 };
    const path = await writeCheckpoint(folder, {
      state,
      memory: first.checkpointMemory,
      environment: currentEnvironment({ threads: 1 }),
    });
    const second = await learner();
    await loadCheckpoint(path, second.checkpointMemory);
    const later = await learn(second, 6, 8);
    expect([...earlier, ...later]).toEqual(losses);
    for (const [name, value] of Object.entries(unbroken.store.values))
      expect(bytes(second.store.values[name]!), name).toEqual(bytes(value));
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2);
    await Promise.all([unbroken.dispose(), first.dispose(), second.dispose()]);
  });
});

test("a statistic of a parameter that gradients move too, or of none of the model's, is refused", async () => {
  const model = new Noisy();
  const program = lossProgram(model);
  const create = (statistics: ReadonlyMap<Parameter, Tensor>) => {
    const parameters = namedParameters(model);
    const values = initialize(parameters, 3);
    return ModelLearner.create({ parameters, loss: { ...program, statistics }, optimizer: adam(), values, seed: 5 });
  };
  const { scale } = model.norm;
  await expect(create(new Map([[scale, scale.value]]))).rejects.toThrow(ConfigError);
  await expect(create(new Map([[scale, scale.value]]))).rejects.toThrow("norm.scale: it follows the data");
  const stray = new Parameter({ shape: [1], initializer: zeros, trainable: false });
  await expect(create(new Map([[stray, stray.value]]))).rejects.toThrow("belongs to no parameter");
});
