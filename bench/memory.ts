// Whether a long training creeps: peak memory of the first and of the last steps, over batches of ever other shapes.
import { hostTensor, randomKey, RandomStream } from "../src/base/index.ts";
import { teacherForcing, Transformer } from "../src/models/index.ts";
import { initialize, namedParameters } from "../src/nn/index.ts";
import { adam, ModelLearner } from "../src/train/index.ts";
import { randomIds } from "./heddle.ts";

export interface MemoryResult {
  readonly case: "memory";
  readonly steps: number;
  /** Steps at either end whose peaks are compared. */
  readonly window: number;
  /** Different shapes of batches among them. */
  readonly shapes: number;
  /** Largest resident set of the process, MiB. */
  readonly firstPeak: number;
  readonly lastPeak: number;
  /** lastPeak / firstPeak */
  readonly ratio: number;
}

const vocabulary = 2000;
const longest = 64;
/** Padded tokens a side, as `training.batchTokens` bounds them. */
const batchTokens = 1536;

/** Trains a small Transformer (2+2 layers, dModel 64) for `steps` steps and looks at the resident set after each. */
export async function measureMemory({
  steps,
  window,
  threads,
  onProgress = () => {},
}: {
  steps: number;
  window: number;
  threads: number;
  onProgress?: (step: number, mebibytes: number) => void;
}): Promise<MemoryResult> {
  const model = new Transformer({ vocabularySize: vocabulary, dModel: 64, heads: 4, layers: 2, dropout: 0.1 });
  const parameters = namedParameters(model);
  const learner = await ModelLearner.create({
    parameters,
    loss: teacherForcing(model, { labelSmoothing: 0.1 }),
    optimizer: adam(),
    values: initialize(parameters, 1),
    seed: 1,
    session: { threads },
  });
  const random = new RandomStream(randomKey(1));
  const shapes = new Set<string>();
  const peaks = { first: 0, last: 0 };
  try {
    for (let step = 1; step <= steps; step++) {
      const [sourceTime, targetTime] = [1 + random.integer(longest), 1 + random.integer(longest)];
      const batch = 1 + random.integer(Math.floor(batchTokens / Math.max(sourceTime, targetTime + 1)));
      shapes.add(`${batch} ${sourceTime} ${targetTime}`);
      const feeds = {
        sourceIds: randomIds(batch, sourceTime, vocabulary, random),
        targetIds: randomIds(batch, targetTime + 1, vocabulary, random),
        tokenWeight: hostTensor("float32", [], [1 / (batch * targetTime)]),
      };
      await learner.accumulate(feeds, { step, microBatch: 0 });
      learner.update({ step, learningRate: 1e-3, gradientScale: 1 });
      const mebibytes = process.memoryUsage.rss() / 2 ** 20;
      if (step <= window) peaks.first = Math.max(peaks.first, mebibytes);
      if (step > steps - window) peaks.last = Math.max(peaks.last, mebibytes);
      if (step % window === 0) onProgress(step, mebibytes);
    }
  } finally {
    await learner.dispose();
  }
  const { first, last } = peaks;
  return { case: "memory", steps, window, shapes: shapes.size, firstPeak: first, lastPeak: last, ratio: last / first };
}
