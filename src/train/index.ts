// train: the loop, the step as a program, optimizers and schedules; it knows batches and programs, nothing of language.
export { DivergenceError, type Divergence } from "./divergence.ts";
export { type Criterion } from "./early-stopping.ts";
export { type Learner, type MicroBatch, type MicroBatchResult, type Update } from "./learner.ts";
export {
  train,
  type BatchReader,
  type BatchSource,
  type MetricsLine,
  type RunRecorder,
  type SaveOptions,
  type TrainingResult,
  type TrainOptions,
  type Validation,
} from "./loop.ts";
export { type MetricsWindow } from "./metrics-window.ts";
export { initialState, type Best, type TrainingState } from "./training-state.ts";
export { ModelLearner, type ModelLearnerOptions } from "./model-learner.ts";
export { adam, type AdamOptions } from "./optimizers/adam.ts";
export { adamW, type AdamWOptions } from "./optimizers/adamw.ts";
export { type Optimizer, type UpdateOptions } from "./optimizers/optimizer.ts";
export { sgd, type SgdOptions } from "./optimizers/sgd.ts";
export {
  ParameterStore,
  vectorsWithoutDecay,
  type ParameterGroup,
  type ParameterStoreOptions,
} from "./parameter-store.ts";
export {
  constant,
  cosine,
  inverseSquareRoot,
  linear,
  noam,
  schedules,
  type Schedule,
  type ScheduleName,
} from "./schedules.ts";
export {
  TrainingStep,
  trainingProgram,
  type StepMemory,
  type StepResult,
  type TrainingStepOptions,
} from "./training-step.ts";
