// The training loop: take batches, learn, log, validate, save, and know when to stop. It knows nothing of language.
import { ConfigError, silent, type Listener } from "../base/index.ts";
import type { Cursor } from "../data/index.ts";
import type { Feeds } from "../engine/index.ts";
import { clippingScale } from "./clipping.ts";
import { DivergenceError, largestGradient } from "./divergence.ts";
import { judge, type Criterion } from "./early-stopping.ts";
import type { Learner } from "./learner.ts";
import { emptyWindow, extendWindow, windowFigures } from "./metrics-window.ts";
import type { TrainingState } from "./training-state.ts";

/** Batches without end, from a position that can be saved. `Batches` of data/ is one. */
export interface BatchSource<Batch> {
  take(): Batch;
  /** Where the next batch comes from. */
  readonly cursor: Cursor;
  /** Throws where the data are no longer those of the cursor. */
  seek(cursor: Cursor): void;
}

/** What the loop has to know about a batch. */
export interface BatchReader<Batch> {
  /** Tokens that the loss is a mean over: labels without padding. */
  tokens(batch: Batch): number;
  /** The program's inputs; each token's loss is multiplied with `tokenWeight`. */
  feeds(batch: Batch, tokenWeight: number): Feeds;
  /** Where the batch is from, for the error of a run that diverged: "train.en, lines 17, 4, 233". */
  describe(batch: Batch): string;
}

export interface Validation extends Criterion {
  /** Gives the figures of the present weights, for example { loss, perplexity, bleu }. */
  validate(): Promise<Readonly<Record<string, number>>>;
  /** Steps between two validations; there is one after the last step too. */
  every: number;
  /** Stop after this many validations in a row without a better value. */
  patience?: number;
}

/** One line of the log: of the updates since the last one, or of a validation. */
export interface MetricsLine {
  readonly kind: "training" | "validation";
  readonly step: number;
  readonly figures: Readonly<Record<string, number>>;
}

export interface SaveOptions {
  /** Whether only a stop request brought it: without that there would be no checkpoint at this step. */
  isInterim: boolean;
}

/** Keeps what a run leaves behind. `RunDirectory` is one. */
export interface RunRecorder {
  record(line: MetricsLine): void;
  /** Keeps the present weights and moments together with this state. */
  save(state: TrainingState, options: SaveOptions): Promise<void>;
}

export interface TrainOptions<Batch> {
  learner: Learner;
  batches: BatchSource<Batch>;
  reader: BatchReader<Batch>;
  /** Where to start: `initialState(seed)`, or the state of a checkpoint whose weights and moments are in place. */
  state: TrainingState;
  /** Last update. */
  steps: number;
  /** Stop after this much time, over all sessions of the run, if that comes first. */
  minutes?: number;
  /** Learning rate of an update, counted from 1. */
  schedule: (step: number) => number;
  /** Batches whose gradients one update sums. */
  accumulate?: number;
  /** Largest global norm of a gradient; a longer one is scaled down to it. */
  clip?: number;
  /** Steps between two lines of metrics. */
  logEvery?: number;
  validation?: Validation;
  /** Steps between two checkpoints; a best validation and the end of the loop bring one too. */
  saveEvery?: number;
  recorder?: RunRecorder;
  /**
   * Once aborted, the loop saves after the update under way and returns "stopped". For one who cannot wait even for that,
   * killing the process is safe: what was saved stays readable.
   */
  stop?: AbortSignal;
  listener?: Listener;
  /** A clock in milliseconds. */
  now?: () => number;
}

export interface TrainingResult {
  readonly reason: "finished" | "stopped" | "no longer improving" | "out of time";
  readonly state: TrainingState;
}

/**
 * Trains from `state` on. What comes out depends on the learner's weights and moments, the state and the batches alone: a run
 * that was stopped or killed and goes on from its last checkpoint ends bit for bit where it would have ended.
 *
 * Throws DivergenceError for a loss or gradient that is not finite, before the update; ConfigError for options that are none
 * and for batches that are not those of the state.
 *
 * @example
 * const { reason, state } = await train({ learner, batches, reader, state: initialState(1), steps: 1000, schedule: () => 1e-3 });
 */
export async function train<Batch>({
  learner,
  batches,
  reader,
  state: initial,
  steps,
  minutes = Infinity,
  schedule,
  accumulate = 1,
  clip = Infinity,
  logEvery = 100,
  validation,
  saveEvery = validation?.every ?? 1000,
  recorder,
  stop,
  listener = silent,
  now = () => performance.now(),
}: TrainOptions<Batch>): Promise<TrainingResult> {
  checkCounts({
    steps,
    accumulate,
    logEvery,
    saveEvery,
    "validation.every": validation?.every,
    "validation.patience": validation?.patience,
  });
  if (!(clip > 0)) throw new ConfigError("clip", `must be above 0 (got ${clip}).`);
  if (!(minutes > 0)) throw new ConfigError("minutes", `must be above 0 (got ${minutes}).`);
  if (initial.cursor !== undefined) batches.seek(initial.cursor);

  const startMs = now() - 1000 * initial.seconds;
  let state = initial;
  const isOver = (): boolean => state.step >= steps || state.seconds >= 60 * minutes;
  const hasNoPatience = (): boolean =>
    validation?.patience !== undefined && state.validationsSinceBest >= validation.patience;
  const isStopped = (): boolean => stop?.aborted === true;

  while (!isOver() && !hasNoPatience() && !isStopped()) {
    const step = state.step + 1;
    const learningRate = schedule(step);
    const updateMs = now();
    const { tokens, gradientNorm, means } = await learn({
      learner,
      batches,
      reader,
      step,
      accumulate,
      clip,
      learningRate,
    });
    const window = extendWindow(state.window, { tokens, seconds: (now() - updateMs) / 1000, means });
    const seconds = (now() - startMs) / 1000;
    state = { ...state, step, tokens: state.tokens + tokens, seconds, window, cursor: batches.cursor };

    const { loss, perplexity, tokensPerSecond } = windowFigures(window);
    const shown = {
      loss: loss!,
      ...(perplexity === undefined ? {} : { perplexity }),
      learningRate,
      tokensPerSecond: tokensPerSecond!,
    };
    listener({ type: "progress", task: "training", done: step, total: steps, figures: shown });
    if (step % logEvery === 0 || isOver()) {
      const figures = { ...windowFigures(window), learningRate, gradientNorm, tokens: state.tokens, seconds };
      recorder?.record({ kind: "training", step, figures });
      state = { ...state, window: emptyWindow };
    }
    if (validation !== undefined && (step % validation.every === 0 || isOver())) {
      const figures = await validation.validate();
      state = {
        ...state,
        ...judge(state, { step, figures, criterion: validation }),
        seconds: (now() - startMs) / 1000,
      };
      recorder?.record({ kind: "validation", step, figures });
      listener({ type: "log", level: "info", message: validationText(state, figures) });
    }
    const isPlanned = step % saveEvery === 0 || state.best?.step === step || isOver() || hasNoPatience();
    if (isPlanned || isStopped()) await recorder?.save(state, { isInterim: !isPlanned });
  }
  return {
    reason:
      state.step >= steps ? "finished" : hasNoPatience() ? "no longer improving" : isOver() ? "out of time" : "stopped",
    state,
  };
}

interface LearnOptions<Batch> extends Required<
  Pick<TrainOptions<Batch>, "learner" | "batches" | "reader" | "accumulate" | "clip">
> {
  step: number;
  learningRate: number;
}

/** One update. Every token of its batches weighs the same, whichever batch it is in: gradient and figures are means over tokens. */
async function learn<Batch>({
  learner,
  batches,
  reader,
  step,
  accumulate,
  clip,
  learningRate,
}: LearnOptions<Batch>): Promise<{
  tokens: number;
  gradientNorm: number;
  means: Record<string, number>;
}> {
  const taken = Array.from({ length: accumulate }, () => batches.take());
  const tokens = taken.reduce((sum, batch) => sum + reader.tokens(batch), 0);
  const means: Record<string, number> = {};
  for (const [microBatch, batch] of taken.entries()) {
    const { loss, figures } = await learner.accumulate(reader.feeds(batch, 1 / tokens), { step, microBatch });
    for (const [name, value] of Object.entries({ loss, ...figures })) means[name] = (means[name] ?? 0) + value;
  }
  const loss = means.loss!;
  const gradientNorm = learner.gradientNorm();
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
    const lines = taken.map((batch) => reader.describe(batch)).join("; ");
    throw new DivergenceError({ step, loss, gradientNorm, lines, ...largestGradient(learner.gradients) });
  }
  learner.update({ step, learningRate, gradientScale: clippingScale(gradientNorm, clip) });
  return { tokens, gradientNorm, means };
}

function checkCounts(counts: Readonly<Record<string, number | undefined>>): void {
  for (const [name, count] of Object.entries(counts)) {
    if (count !== undefined && !(Number.isSafeInteger(count) && count > 0)) {
      throw new ConfigError(name, `must be a whole number above 0 (got ${count}).`);
    }
  }
}

function validationText({ step, best }: TrainingState, figures: Readonly<Record<string, number>>): string {
  const parts = Object.entries(figures).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`);
  return `step ${step}: validation ${parts.join(", ")}${best?.step === step ? " (best so far)" : ""}`;
}
