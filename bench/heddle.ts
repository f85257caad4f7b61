// Heddle's side of the comparison.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../src/base/index.ts";
import { beamSearch, greedySearch } from "../src/decode/index.ts";
import { teacherForcing, Transformer, TransformerDecoder } from "../src/models/index.ts";
import { initialize, namedParameters } from "../src/nn/index.ts";
import { adam, ModelLearner, trainingProgram } from "../src/train/index.ts";
import type { DecodingBenchmark, ModelSizes, TrainingBenchmark } from "./cases.ts";
import { productsOf, type MatrixProduct } from "./products.ts";

/** One training step on one batch of random tokens, ready to be repeated. */
export interface TrainingCase {
  /** Forward, backward, Adam (β 0.9, 0.98), and the loss read back, as the opponent does. */
  step(): Promise<void>;
  /** The products of the traced step (`productsOf`); those that the sizes imply where it is left out. */
  products?(): readonly MatrixProduct[];
  dispose(): Promise<void>;
}

/** One batch of random sources, decoded to exactly `outputTime` tokens a sentence. */
export interface DecodingCase {
  /** The whole work: reading the source, then every step. */
  decode(): Promise<void>;
  products?(): readonly MatrixProduct[];
  dispose(): Promise<void>;
}

export async function trainingCase(
  { model: sizes, batch, time, dropout, labelSmoothing }: TrainingBenchmark,
  threads: number,
): Promise<TrainingCase> {
  const model = modelOf(sizes, dropout);
  const parameters = namedParameters(model);
  const learner = await ModelLearner.create({
    parameters,
    loss: teacherForcing(model, { labelSmoothing }),
    optimizer: adam({ betas: [0.9, 0.98], epsilon: 1e-9 }),
    values: initialize(parameters, 1),
    seed: 1,
    session: { threads },
  });
  const feeds = {
    sourceIds: randomIds(batch, time, sizes.vocabulary),
    targetIds: randomIds(batch, time + 1, sizes.vocabulary),
    tokenWeight: hostTensor("float32", [], [1 / (batch * time)]),
  };
  let step = 0;
  return {
    step: async () => {
      step += 1;
      const { loss } = await learner.accumulate(feeds, { step, microBatch: 0 });
      if (!Number.isFinite(loss)) throw new Error(`the loss of step ${step} is ${loss}`);
      learner.update({ step, learningRate: 1e-3, gradientScale: 1 });
    },
    products: () => {
      const program = trainingProgram(parameters, teacherForcing(model, { labelSmoothing }));
      return productsOf(
        program,
        new Map([
          ["batch", batch],
          ["sourceTime", time],
          ["targetLength", time + 1],
        ]),
      );
    },
    dispose: () => learner.dispose(),
  };
}

export async function decodingCase(
  { model: sizes, batch, time, outputTime, beams }: DecodingBenchmark,
  threads: number,
  precision: "float32" | "int8" = "float32",
): Promise<DecodingCase> {
  const model = modelOf(sizes, 0);
  const weights = initialize(namedParameters(model), 1);
  const decoder = new TransformerDecoder(model, weights, { threads }, { precision });
  const sources = randomIds(batch, time, sizes.vocabulary);
  // Without an END every hypothesis runs to its full length.
  const options = { start: 2, maxTokens: outputTime };
  return {
    decode: async () => {
      const stepper = await decoder.start(sources);
      await (beams === 1 ? greedySearch(stepper, options) : beamSearch(stepper, { ...options, beams }));
    },
    dispose: () => decoder.dispose(),
  };
}

/** Sinusoidal positions, post-norm, one table for all: as the opponent's model. */
function modelOf({ vocabulary, ...sizes }: ModelSizes, dropout: number): Transformer {
  return new Transformer({
    ...sizes,
    vocabularySize: vocabulary,
    dropout,
    attentionDropout: dropout,
    activationDropout: dropout,
  });
}

/** Ids [rows, time] without padding. */
export function randomIds(
  rows: number,
  time: number,
  vocabulary: number,
  random: RandomStream = new RandomStream(randomKey(1, rows, time)),
): HostTensor<"int32"> {
  return hostTensor(
    "int32",
    [rows, time],
    Int32Array.from({ length: rows * time }, () => 4 + random.integer(vocabulary - 4)),
  );
}
