// A model taught on batches that are made as they are needed, and asked how well it does: what most labs are about.
import type { HostTensor, Listener } from "#base";
import { compile, type SessionOptions } from "heddle/engine";
import type { LossProgram } from "heddle/models";
import { initialize, namedParameters, parameterInputs, type Module } from "heddle/nn";
import { withoutDropout } from "heddle/tensor";
import {
  adam,
  DivergenceError,
  initialState,
  inverseSquareRoot,
  ModelLearner,
  train,
  type Optimizer,
  type Schedule,
} from "heddle/train";

/** What a loss program is fed with. */
export type Batch = Readonly<Record<string, HostTensor>>;
export type Weights = ReadonlyMap<string, HostTensor<"float32">>;

export interface TeachOptions {
  model: Module;
  loss: LossProgram;
  /** The batch of an update, counted from 1: a pure function, so that every variant of a lab sees the same data. */
  batch: (step: number) => Batch;
  /** Labels of a batch that count; the loss is a mean over them. */
  labels: (batch: Batch) => number;
  steps: number;
  /** A rate that rises over `warmup` updates and falls with their root, or a schedule of its own. */
  learningRate?: number | Schedule;
  warmup?: number;
  optimizer?: Optimizer;
  clip?: number;
  seed: number;
  /** First values in place of random ones. */
  from?: Weights;
  /** Updates that one point of the curve is a mean of. */
  every?: number;
  /** Name for the progress line. */
  name: string;
  listener: Listener;
  signal: AbortSignal;
  session?: SessionOptions;
}

export interface Taught {
  /** Mean loss of `every` updates, in nats a label; not finite in the last point of a run that diverged. */
  readonly curve: readonly (readonly [step: number, loss: number])[];
  readonly weights: Weights;
  /** The update before which loss or gradient were no longer finite. */
  readonly divergedAt: number | undefined;
  /** The program's own figures, means over the last updates. */
  readonly figures: Readonly<Record<string, number>>;
  /** A step with everything that belongs to it, mean. */
  readonly secondsPerStep: number;
}

/** Trains as `heddle train` does, without the folder: a run that diverges is a result here, not an error. */
export async function teach({
  model,
  loss,
  batch,
  labels,
  steps,
  learningRate = 1e-3,
  warmup = Math.ceil(steps / 10),
  optimizer = adam({ betas: [0.9, 0.98], epsilon: 1e-9 }),
  clip,
  seed,
  from,
  every = Math.max(1, Math.floor(steps / 50)),
  name,
  listener,
  signal,
  session = {},
}: TeachOptions): Promise<Taught> {
  signal.throwIfAborted();
  const parameters = namedParameters(model);
  const learner = await ModelLearner.create({
    parameters,
    loss,
    optimizer,
    values: from ?? initialize(parameters, seed),
    seed,
    session,
  });
  const curve: [number, number][] = [];
  let [taken, divergedAt]: [number, number | undefined] = [0, undefined];
  let last: Readonly<Record<string, number>> = {};
  const startMs = performance.now();
  try {
    await train<Batch>({
      learner,
      batches: {
        take: () => batch(++taken),
        get cursor() {
          return { epoch: 0, position: taken };
        },
        seek: () => {},
      },
      reader: {
        tokens: labels,
        feeds: (made, tokenWeight) => ({ ...made, tokenWeight: scalarOf(tokenWeight) }),
        describe: () => `${name}, update ${taken}`,
      },
      state: initialState(seed),
      steps,
      schedule: typeof learningRate === "number" ? inverseSquareRoot({ learningRate, warmup }) : learningRate,
      ...(clip !== undefined && { clip }),
      logEvery: every,
      recorder: {
        record: ({ step, figures }) => {
          curve.push([step, figures.loss!]);
          last = figures;
        },
        save: async () => {},
      },
      stop: signal,
      listener: (event) => {
        if (event.type === "progress") listener({ ...event, task: name });
      },
    });
  } catch (error) {
    if (!(error instanceof DivergenceError)) throw error;
    divergedAt = error.step;
    curve.push([error.step, Number.NaN]);
  } finally {
    await learner.dispose();
  }
  signal.throwIfAborted();
  const secondsPerStep = (performance.now() - startMs) / 1000 / Math.max(1, taken);
  return { curve, weights: learner.store.copyOut(), divergedAt, figures: last, secondsPerStep };
}

/** The sums that a loss program gives for each batch, added up: its figures with `tokenWeight` 1, without dropout. */
export async function examine(
  { model, loss, weights, session = {} }: Pick<TeachOptions, "model" | "loss" | "session"> & { weights: Weights },
  batches: Iterable<Batch>,
): Promise<Record<string, number>> {
  const program = {
    name: "examination",
    inputs: { ...parameterInputs(namedParameters(model)), ...loss.inputs },
    outputs: { ...loss.figures },
  };
  await using executable = await compile(withoutDropout(program), session);
  const sums: Record<string, number> = {};
  for (const batch of batches) {
    const figures = await executable.run({ ...Object.fromEntries(weights), ...batch, tokenWeight: scalarOf(1) });
    for (const [name, { data }] of Object.entries(figures)) sums[name] = (sums[name] ?? 0) + Number(data[0]);
  }
  return sums;
}

/** Mean of a loss over everything that the batches ask, in nats. */
export async function meanLoss(
  options: Pick<TeachOptions, "model" | "loss" | "session" | "labels"> & { weights: Weights },
  batches: Iterable<Batch>,
): Promise<number> {
  const all = [...batches];
  const { negativeLogLikelihood } = await examine(options, all);
  return negativeLogLikelihood! / all.reduce((sum, batch) => sum + options.labels(batch), 0);
}

function scalarOf(value: number): HostTensor<"float32"> {
  return { dtype: "float32", dims: [], data: Float32Array.of(value) };
}

export function parameterCount(model: Module): number {
  const sizes = [...namedParameters(model).values()].map(({ shape }) => shape.reduce((a, b) => a * b, 1));
  return sizes.reduce((a, b) => a + b, 0);
}

/** The last finite loss of a curve, for tables. */
export function lastLoss({ curve }: Pick<Taught, "curve">): number {
  return curve.findLast(([, loss]) => Number.isFinite(loss))?.[1] ?? Number.NaN;
}

/** The first update after which the mean loss is at most `loss`. */
export function stepsTo(loss: number, { curve }: Pick<Taught, "curve">): number | undefined {
  return curve.find(([, value]) => value <= loss)?.[0];
}
