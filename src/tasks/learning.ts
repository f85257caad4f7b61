// Training any model that has a loss over tokens: what the loop needs, made from options that all tasks share.
import { silent, type HostTensor, type Listener } from "../base/index.ts";
import type { SessionOptions } from "../engine/index.ts";
import type { LossProgram } from "../models/index.ts";
import { initialize, namedParameters, type Module } from "../nn/index.ts";
import {
  adam,
  adamW,
  initialState,
  ModelLearner,
  schedules,
  train,
  vectorsWithoutDecay,
  type BatchReader,
  type BatchSource,
  type RunRecorder,
  type ScheduleName,
  type TrainingResult,
  type TrainingState,
} from "../train/index.ts";

/** The weights of a model by parameter name. */
export type Weights = ReadonlyMap<string, HostTensor<"float32">>;

export interface TrainingOptions {
  /** Most updates. */
  steps: number;
  /** Batches whose gradients one update sums. */
  accumulate?: number;
  optimizer?: "adam" | "adamw";
  /** The highest learning rate, reached when warm-up ends. */
  learningRate?: number;
  /** Updates over which the learning rate rises from zero. */
  warmup?: number;
  schedule?: Exclude<ScheduleName, "noam">;
  betas?: readonly [number, number];
  epsilon?: number;
  /** Decay of matrices, apart from the gradient: adamw only. */
  weightDecay?: number;
  /** Largest global norm of a gradient. */
  clip?: number;
  /** Of parameters, order of batches and dropout: same seed, same run. */
  seed?: number;
  /** Steps between validations, each with a checkpoint. */
  validateEvery?: number;
  /** Stop after this many validations without a better loss. */
  patience?: number;
  /** Stop after this many minutes. */
  minutes?: number;
  logEvery?: number;
  /** Once aborted, training ends after the update under way. */
  stop?: AbortSignal;
  listener?: Listener;
}

/** A run that is kept somewhere: where it stands, and who keeps it. */
export interface KeptRun {
  readonly state: TrainingState;
  readonly recorder: RunRecorder;
}

/** Opens the run that is to be kept; it may put a checkpoint's values into the learner. */
export type KeepRun = (learner: ModelLearner) => Promise<KeptRun>;

/** Figures of the weights of the moment. */
export interface Validates {
  validate(): Promise<Record<string, number>>;
  dispose(): Promise<void>;
}

export interface LearnOptions<Batch> extends TrainingOptions {
  model: Module;
  loss: LossProgram;
  batches: BatchSource<Batch>;
  reader: BatchReader<Batch>;
  /** Makes what validates, given where the weights of the moment lie; its figures hold a loss. */
  validator?: ((weights: () => Readonly<Record<string, HostTensor<"float32">>>) => Validates) | undefined;
  /** First values in place of random ones. */
  weights?: Weights | undefined;
  session?: SessionOptions;
  keep?: KeepRun;
}

/** Trains, and gives the last weights and how training ended. The same for a run in memory and one in a folder. */
export async function learn<Batch>({
  model,
  loss,
  batches,
  reader,
  validator: validatorOf,
  weights,
  session = {},
  keep,
  steps,
  accumulate = 1,
  optimizer = "adam",
  learningRate = 0.001,
  warmup = Math.min(4000, Math.floor(steps / 5)),
  schedule = "inverse-square-root",
  betas = [0.9, 0.98],
  epsilon = 1e-9,
  weightDecay = 0,
  clip,
  seed = 1,
  validateEvery = 1000,
  patience,
  minutes,
  logEvery = 100,
  stop,
  listener = silent,
}: LearnOptions<Batch>): Promise<{ weights: Weights; result: TrainingResult }> {
  const parameters = namedParameters(model);
  const learner = await ModelLearner.create({
    parameters,
    loss,
    optimizer: optimizer === "adamw" ? adamW({ betas, epsilon, weightDecay }) : adam({ betas, epsilon }),
    values: weights ?? initialize(parameters, seed),
    groups: [vectorsWithoutDecay],
    seed,
    accumulates: accumulate > 1,
    session,
  });
  const validator = validatorOf?.(() => learner.store.values);
  try {
    const kept = await keep?.(learner);
    const result = await train({
      learner,
      batches,
      reader,
      state: kept?.state ?? initialState(seed),
      steps,
      schedule: schedules[schedule]({ learningRate, warmup, steps }),
      accumulate,
      logEvery,
      saveEvery: validateEvery,
      ...(minutes !== undefined && { minutes }),
      ...(clip !== undefined && { clip }),
      ...(validator && {
        validation: {
          validate: () => validator.validate(),
          every: validateEvery,
          metric: "loss",
          better: "smaller",
          ...(patience !== undefined && { patience }),
        },
      }),
      ...(kept && { recorder: kept.recorder }),
      ...(stop && { stop }),
      listener,
    });
    return { weights: learner.store.copyOut(), result };
  } finally {
    await validator?.dispose();
    await learner.dispose();
  }
}
