// One update's forward and backward pass: the loss program differentiated, compiled, and fed from flat memory.
import { ConfigError, randomKey, type HostTensor } from "../base/index.ts";
import { compile, RandomBytes, type Executable, type Feeds, type SessionOptions } from "../engine/index.ts";
import type { LossProgram } from "../models/index.ts";
import type { Parameter } from "../nn/index.ts";
import {
  evaluateDim,
  gradients,
  randomInputs,
  SymbolicDim,
  type Program,
  type Shape,
  type Tensor,
} from "../tensor/index.ts";

/** Where a step reads weights and leaves gradients. */
export interface StepMemory {
  /** Every parameter by name. */
  readonly values: Readonly<Record<string, HostTensor<"float32">>>;
  /** Room for the gradient of every trainable parameter. */
  readonly gradients: Readonly<Record<string, HostTensor<"float32">>>;
}

export interface TrainingStepOptions {
  parameters: ReadonlyMap<string, Parameter>;
  loss: LossProgram;
  memory: StepMemory;
  /** Decides every dropout mask of the run, with the step and the place in the model. */
  seed: number;
  session?: SessionOptions;
}

export interface StepResult {
  readonly loss: number;
  /** The loss program's further figures, for example `negativeLogLikelihood`. */
  readonly figures: Readonly<Record<string, number>>;
  /** What the loss program hands on to the next step. */
  readonly carried: Readonly<Record<string, HostTensor>>;
}

const randomPrefix = "random.";
const statisticPrefix = "statistic.";
const carriedPrefix = "carried.";

/**
 * The program of a training step: loss, figures, `gradient.<name>` for every trainable parameter, `statistic.<name>` for
 * every parameter that follows the data, and `carried.<name>` for what the next step is to be fed.
 */
export function trainingProgram(
  parameters: ReadonlyMap<string, Parameter>,
  { inputs, loss, figures, statistics = new Map(), carried = {} }: LossProgram,
): Program {
  const trainable = [...parameters].filter(([, parameter]) => parameter.trainable);
  const flowing = gradients(
    loss,
    trainable.map(([, { value }]) => value),
  );
  const outputs: Record<string, Tensor> = { loss, ...figures };
  trainable.forEach(([name], i) => (outputs[`gradient.${name}`] = flowing[i]!));
  for (const [parameter, next] of statistics)
    outputs[`${statisticPrefix}${nameOfStatistic(parameters, parameter)}`] = next;
  for (const [name, value] of Object.entries(carried)) outputs[`${carriedPrefix}${name}`] = value;
  const given: Record<string, Tensor> = { ...inputs };
  for (const [name, { value }] of parameters) given[name] = value;
  for (const [site, bytes] of randomInputs({ name: "sites", inputs: {}, outputs }).entries())
    given[`${randomPrefix}${site}`] = bytes;
  return { name: "training-step", inputs: given, outputs };
}

function nameOfStatistic(parameters: ReadonlyMap<string, Parameter>, statistic: Parameter): string {
  const [name] = [...parameters].find(([, parameter]) => parameter === statistic) ?? [];
  if (name === undefined)
    throw new ConfigError("statistics", "one belongs to no parameter of the model that is trained.");
  if (statistic.trainable)
    throw new ConfigError(name, "it follows the data, so no gradient may move it: make it with trainable: false.");
  return name;
}

export class TrainingStep {
  readonly program: Program;
  readonly #executable: Executable;
  readonly #memory: StepMemory;
  readonly #seed: number;
  readonly #figures: readonly string[];
  /** Parameters whose next values the program gives. */
  readonly #statistics: readonly string[];
  readonly #into: Feeds;
  readonly #sites: readonly { name: string; shape: Shape }[];
  readonly #random = new RandomBytes();

  /** Differentiates and compiles; takes about a second for a model of a few layers. */
  static async create({ parameters, loss, memory, seed, session = {} }: TrainingStepOptions): Promise<TrainingStep> {
    const program = trainingProgram(parameters, loss);
    return new TrainingStep(program, await compile(program, session), memory, seed, Object.keys(loss.figures));
  }

  private constructor(
    program: Program,
    executable: Executable,
    memory: StepMemory,
    seed: number,
    figures: readonly string[],
  ) {
    this.program = program;
    this.#executable = executable;
    this.#memory = memory;
    this.#seed = seed;
    this.#figures = figures;
    this.#statistics = Object.keys(program.outputs).flatMap((name) =>
      name.startsWith(statisticPrefix) ? [name.slice(statisticPrefix.length)] : [],
    );
    this.#into = Object.fromEntries(
      Object.entries(memory.gradients).map(([name, gradient]) => [`gradient.${name}`, gradient]),
    );
    this.#sites = Object.entries(program.inputs)
      .filter(([name]) => name.startsWith(randomPrefix))
      .map(([name, { shape }]) => ({ name, shape }));
  }

  /**
   * Runs forward and backward over one batch and leaves its gradients in memory, in place of what was there; statistics become
   * what the batch makes of them, also between the micro-batches of one update. The masks are a function of
   * (seed, step, microBatch) alone.
   */
  async run(feeds: Feeds, { step, microBatch = 0 }: { step: number; microBatch?: number }): Promise<StepResult> {
    const results = await this.#executable.run(
      { ...feeds, ...this.#memory.values, ...this.#masks(feeds, step, microBatch) },
      { into: this.#into },
    );
    // Copied when the run is over: the program reads the old values, and must not find new ones in their place half way.
    for (const name of this.#statistics)
      this.#memory.values[name]!.data.set(results[`${statisticPrefix}${name}`]!.data as Float32Array);
    const figures = Object.fromEntries(this.#figures.map((name) => [name, Number(results[name]!.data[0])]));
    const carried = Object.entries(results).flatMap(([name, value]) =>
      name.startsWith(carriedPrefix) ? [[name.slice(carriedPrefix.length), value] as const] : [],
    );
    return { loss: Number(results.loss!.data[0]), figures, carried: Object.fromEntries(carried) };
  }

  #masks(feeds: Feeds, step: number, microBatch: number): Feeds {
    const sizes = new Map<string, number>();
    for (const [name, { dims }] of Object.entries(feeds)) {
      this.program.inputs[name]?.shape.forEach((size, axis) => {
        if (size instanceof SymbolicDim) sizes.set(size.key, dims[axis]!);
      });
    }
    return this.#random.fill(
      this.#sites.map(({ name, shape }, site) => ({
        name,
        dims: shape.map((size) => evaluateDim(size, sizes)),
        key: randomKey(this.#seed, step, microBatch, site),
      })),
    );
  }

  async dispose(): Promise<void> {
    await this.#executable.dispose();
  }
}
