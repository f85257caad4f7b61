// What a run knows of itself besides weights and moments: plain data, saved as JSON, enough to go on as if never stopped.
import type { Cursor } from "../data/index.ts";
import { emptyWindow, type MetricsWindow } from "./metrics-window.ts";

/** The best validation so far. */
export interface Best {
  readonly step: number;
  readonly value: number;
}

export interface TrainingState {
  /** Updates done. */
  readonly step: number;
  /** Where the next batch comes from; undefined before the first. */
  readonly cursor: Cursor | undefined;
  /** Of parameters, order of batches and dropout. */
  readonly seed: number;
  /** The validation that `best.step` names; undefined before the first. */
  readonly best: Best | undefined;
  /** Validations since the best one, for early stopping. */
  readonly validationsSinceBest: number;
  /** Target tokens learnt from, repetitions counted. */
  readonly tokens: number;
  /** Time spent in all sessions of the run, validations and saving included. */
  readonly seconds: number;
  /** Figures of the updates since the last line of metrics, so that a resumed run writes the same line. */
  readonly window: MetricsWindow;
}

/**
 * The state of a run before its first update.
 *
 * @example
 * const state = initialState(1); // seed 1
 */
export function initialState(seed: number): TrainingState {
  return {
    step: 0,
    cursor: undefined,
    seed,
    best: undefined,
    validationsSinceBest: 0,
    tokens: 0,
    seconds: 0,
    window: emptyWindow,
  };
}
