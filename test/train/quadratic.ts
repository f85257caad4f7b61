// A model that needs no runtime: it learns the mean of the numbers it is shown, with noise that plays the part of dropout.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import { Batches, EncodedPairs, TokenRows, type PairBatch } from "../../src/data/index.ts";
import type { BatchReader } from "../../src/train/loop.ts";
import type { Learner, MicroBatch, MicroBatchResult, Update } from "../../src/train/learner.ts";
import type { CheckpointMemory } from "../../src/train/checkpoint.node.ts";

/** Loss: Σ over tokens of tokenWeight · (weight − token)² / 2, for each of the weight's elements; momentum of 0.9. */
export class Quadratic implements Learner {
  readonly seed: number;
  readonly values: { weight: HostTensor<"float32">; bias: HostTensor<"float32"> };
  readonly gradients: Quadratic["values"];
  readonly moments: Quadratic["values"];
  readonly updates: Update[] = [];

  constructor({ seed = 1, width = 4 }: { seed?: number; width?: number } = {}) {
    const make = () => ({
      weight: hostTensor("float32", [width], new Float32Array(width)),
      bias: hostTensor("float32", [1], [0]),
    });
    this.seed = seed;
    this.values = make();
    this.gradients = make();
    this.moments = make();
  }

  get memory(): CheckpointMemory {
    const optimizer = Object.entries(this.moments).map(([name, tensor]) => [`moment.${name}`, tensor]);
    return { model: this.values, optimizer: Object.fromEntries(optimizer) };
  }

  async accumulate(
    feeds: Readonly<Record<string, HostTensor>>,
    { step, microBatch }: MicroBatch,
  ): Promise<MicroBatchResult> {
    const tokenWeight = feeds.tokenWeight!.data[0] as number;
    const noise = new RandomStream(randomKey(this.seed, step, microBatch));
    let loss = 0;
    for (const name of ["weight", "bias"] as const) {
      const [value, gradient] = [this.values[name].data, this.gradients[name].data];
      if (microBatch === 0) gradient.fill(0);
      for (const token of feeds.sourceIds!.data as Int32Array) {
        if (token === 0) continue;
        for (let i = 0; i < value.length; i++) {
          const difference = value[i]! - token + 0.1 * noise.normal();
          gradient[i]! += tokenWeight * difference;
          loss += (tokenWeight * difference ** 2) / 2;
        }
      }
    }
    return { loss, figures: { negativeLogLikelihood: loss / 100 } };
  }

  gradientNorm(): number {
    const squares = Object.values(this.gradients).flatMap(({ data }) => Array.from(data, (gradient) => gradient ** 2));
    return Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  }

  update(update: Update): void {
    this.updates.push(update);
    for (const name of ["weight", "bias"] as const) {
      const [value, gradient, moment] = [this.values[name].data, this.gradients[name].data, this.moments[name].data];
      for (let i = 0; i < value.length; i++) {
        moment[i] = 0.9 * moment[i]! + update.gradientScale * gradient[i]!;
        value[i]! -= update.learningRate * moment[i]!;
      }
    }
  }
}

/** `count` pairs of 2 to 8 tokens; `shift` is added to every token, for data that have changed. */
export function numberPairs(count = 60, { shift = 0 }: { shift?: number } = {}): EncodedPairs {
  const random = new RandomStream(randomKey(7));
  const tokens: number[] = [];
  const offsets = [0];
  for (let i = 0; i < count; i++) {
    const length = 2 + random.integer(7);
    for (let t = 0; t < length; t++) tokens.push(3 + random.integer(20) + shift);
    offsets.push(tokens.length);
  }
  const rows = new TokenRows(Int32Array.from(tokens), Uint32Array.from(offsets));
  const none = { count: 0, first: undefined };
  return new EncodedPairs({
    source: rows,
    target: rows,
    lines: Int32Array.from({ length: count }, (_, i) => i + 1),
    files: ["numbers.txt"],
    fileOf: new Int32Array(count),
    sourcePad: 0,
    targetPad: 0,
    targetStart: 1,
    report: { read: count, kept: count, empty: none, overlong: none },
  });
}

export function numberBatches(pairs = numberPairs(), seed = 1): Batches {
  return new Batches(pairs, { batchTokens: 40, seed });
}

export const numberReader: BatchReader<PairBatch> = {
  tokens: ({ sourceTokens }) => sourceTokens,
  feeds: ({ sourceIds }, tokenWeight) => ({ sourceIds, tokenWeight: hostTensor("float32", [], [tokenWeight]) }),
  describe: ({ lines }) => `numbers.txt, lines ${[...lines].join(", ")}`,
};
