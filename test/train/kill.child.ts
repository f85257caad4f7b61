// One session of a run that a test kills: a small Transformer, with dropout, learns to reverse digits. Folder and steps are the
// arguments; each step and each save is told on standard output when it begins.
import { RandomStream, randomKey } from "../../src/base/index.ts";
import { Batches, EncodedPairs, TokenRows } from "../../src/data/index.ts";
import { teacherForcing, Transformer } from "../../src/models/index.ts";
import { initialize, namedParameters } from "../../src/nn/index.ts";
import { hostTensor } from "../../src/base/index.ts";
import {
  adam,
  currentEnvironment,
  inverseSquareRoot,
  ModelLearner,
  RunDirectory,
  train,
} from "../../src/train/index.node.ts";

const [path = "", steps = ""] = process.argv.slice(2);
const seed = 3;
const special = { pad: 0, start: 1, end: 2, firstDigit: 3 };
const session = { threads: 1, spinning: false };

function digitPairs(count: number): EncodedPairs {
  const random = new RandomStream(randomKey(seed));
  const sides = { source: [] as number[], target: [] as number[] };
  const offsets = [0];
  for (let i = 0; i < count; i++) {
    const digits = Array.from({ length: 1 + random.integer(6) }, () => special.firstDigit + random.integer(10));
    sides.source.push(...digits, special.end);
    sides.target.push(...digits.reverse(), special.end);
    offsets.push(sides.source.length);
  }
  const rows = (tokens: readonly number[]): TokenRows =>
    new TokenRows(Int32Array.from(tokens), Uint32Array.from(offsets));
  const none = { count: 0, first: undefined };
  return new EncodedPairs({
    source: rows(sides.source),
    target: rows(sides.target),
    lines: Int32Array.from({ length: count }, (_, i) => i + 1),
    files: ["digits"],
    fileOf: new Int32Array(count),
    sourcePad: special.pad,
    targetPad: special.pad,
    targetStart: special.start,
    report: { read: count, kept: count, empty: none, overlong: none },
  });
}

const model = new Transformer({ vocabularySize: 13, dModel: 16, heads: 2, layers: 1, dFeedForward: 32, dropout: 0.2 });
const parameters = namedParameters(model);
const learner = await ModelLearner.create({
  parameters,
  loss: teacherForcing(model, { labelSmoothing: 0.1 }),
  optimizer: adam({ betas: [0.9, 0.98], epsilon: 1e-9 }),
  values: initialize(parameters, seed),
  seed,
  accumulates: true,
  session,
});
using run = await RunDirectory.open({
  path,
  memory: learner.checkpointMemory,
  seed,
  environment: currentEnvironment(session),
  averageCheckpoints: 3,
});
const tell = (what: string, step: number): void => void process.stdout.write(`${what} ${step}\n`);
const { reason } = await train({
  learner,
  batches: new Batches(digitPairs(300), { batchTokens: 96, seed }),
  reader: {
    tokens: ({ targetTokens }) => targetTokens,
    feeds: ({ sourceIds, targetIds }, tokenWeight) => ({
      sourceIds,
      targetIds,
      tokenWeight: hostTensor("float32", [], [tokenWeight]),
    }),
    describe: ({ lines }) => `digits, lines ${[...lines].join(", ")}`,
  },
  state: run.state,
  recorder: {
    record: (line) => run.record(line),
    save: (state, options) => {
      tell("save", state.step);
      return run.save(state, options);
    },
  },
  steps: Number(steps),
  schedule: inverseSquareRoot({ learningRate: 0.01, warmup: 20 }),
  accumulate: 2,
  clip: 1,
  logEvery: 5,
  // Any figure of the weights will do to move the best checkpoint about.
  validation: {
    validate: async () => ({ norm: Math.hypot(...learner.store.flat("value")) % 1 }),
    every: 4,
    metric: "norm",
    better: "smaller",
  },
  saveEvery: 2,
  listener: (event) => {
    if (event.type === "progress") tell("step", event.done);
  },
});
if (reason === "finished") await run.finish();
await learner.dispose();
