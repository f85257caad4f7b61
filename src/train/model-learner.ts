// A model in training: its loss program, its flat memory and its optimizer, as the loop wants them.
import type { HostTensor } from "../base/index.ts";
import type { Feeds, SessionOptions } from "../engine/index.ts";
import type { LossProgram } from "../models/index.ts";
import type { Parameter } from "../nn/index.ts";
import { gradientNorm } from "./clipping.ts";
import type { Learner, MicroBatch, MicroBatchResult, Update } from "./learner.ts";
import type { Optimizer } from "./optimizers/optimizer.ts";
import { ParameterStore, type ParameterGroup } from "./parameter-store.ts";
import { TrainingStep } from "./training-step.ts";

export interface ModelLearnerOptions {
  parameters: ReadonlyMap<string, Parameter>;
  loss: LossProgram;
  optimizer: Optimizer;
  /** First values of the parameters. */
  values: ReadonlyMap<string, HostTensor>;
  groups?: readonly ParameterGroup[];
  seed: number;
  /** Whether updates sum the gradients of several batches, which takes one more array of the parameters' size. */
  accumulates?: boolean;
  session?: SessionOptions;
}

const sumSlot = "gradientSum";

export class ModelLearner implements Learner {
  readonly store: ParameterStore;
  readonly #step: TrainingStep;
  readonly #optimizer: Optimizer;

  /** Differentiates and compiles the loss; about a second for a model of a few layers. */
  static async create({
    parameters,
    loss,
    optimizer,
    values,
    groups = [],
    seed,
    accumulates = false,
    session = {},
  }: ModelLearnerOptions): Promise<ModelLearner> {
    const store = new ParameterStore(parameters, {
      slots: [...optimizer.slots, ...(accumulates ? [sumSlot] : [])],
      groups,
    });
    store.load(values);
    return new ModelLearner(
      store,
      await TrainingStep.create({ parameters, loss, memory: store, seed, session }),
      optimizer,
    );
  }

  private constructor(store: ParameterStore, step: TrainingStep, optimizer: Optimizer) {
    this.store = store;
    this.#step = step;
    this.#optimizer = optimizer;
  }

  /** What a checkpoint of this learner holds: weights, and the optimizer's moments as `slot.parameter`. */
  get checkpointMemory(): {
    model: Readonly<Record<string, HostTensor<"float32">>>;
    optimizer: Readonly<Record<string, HostTensor<"float32">>>;
  } {
    const moments = this.#optimizer.slots.flatMap((slot) =>
      Object.entries(this.store.tensors(slot)).map(([name, tensor]) => [`${slot}.${name}`, tensor] as const),
    );
    return { model: this.store.values, optimizer: Object.fromEntries(moments) };
  }

  get gradients(): Readonly<Record<string, HostTensor<"float32">>> {
    return this.store.gradients;
  }

  async accumulate(feeds: Feeds, { step, microBatch }: MicroBatch): Promise<MicroBatchResult> {
    // The program overwrites gradients, so those of earlier batches are put by and added again.
    if (microBatch > 0) this.store.flat(sumSlot).set(this.store.flat("gradient"));
    const result = await this.#step.run(feeds, { step, microBatch });
    if (microBatch > 0) this.store.memory.addScaled(this.store.flat("gradient"), 1, this.store.flat(sumSlot));
    return result;
  }

  gradientNorm(): number {
    return gradientNorm(this.store);
  }

  update({ step, learningRate, gradientScale }: Update): void {
    this.#optimizer.update(this.store, { step, learningRate, gradientScale });
  }

  async dispose(): Promise<void> {
    await this.#step.dispose();
  }
}
