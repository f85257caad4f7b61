// What trainer, search and tasks know of a model that turns one sequence of ids into another.
import type { Module, PassReports } from "../nn/index.ts";
import type { Tensor } from "../tensor/index.ts";
import type { StepTrace } from "./step-trace.ts";

/** The last layer: logits = hidden · tableᵀ + bias. */
export interface OutputLayer {
  /** [vocabulary, width] */
  readonly table: Tensor;
  /** [vocabulary] */
  readonly bias?: Tensor | undefined;
}

/** A model that writes: it can be asked for one token after the other. */
export interface Writer extends Module {
  /** Id of padding. */
  readonly pad: number;
  /** The most tokens it can take in or write. */
  readonly maxPositions: number;
  outputLayer(): OutputLayer;
  /**
   * Hidden values [rows, width] of this step's tokens. What the source left is asked for with `trace.given`, what earlier
   * steps left with `trace.remember` and `trace.state`.
   */
  step(trace: StepTrace): Tensor;
}

export interface SequenceToSequence extends Writer {
  /** What it was made with. */
  readonly options: object;
  /** Position t of the target sees the whole source and the target up to t: → hidden [batch, targetTime, width]. */
  teacherForced(sourceIds: Tensor, targetIds: Tensor): { readonly hidden: Tensor; readonly reports: PassReports };
  /**
   * What decoding reads of a source [batch, sourceTime] once, by name: [batch, ..] each; `state.` names begin states of the steps.
   * Axes as long as the source are called sourceTime where steps ask for them. `bias` must hide padding from whatever looks at them, for
   * they grow by zeros, and `bias` by −1e9, where a longer source joins.
   */
  readSource(sourceIds: Tensor): Readonly<Record<string, Tensor>>;
  /** Where each target position looked in the source, [batch, heads, targetTime, sourceTime] a layer; absent where nothing looks. */
  crossAttention?(sourceIds: Tensor, targetIds: Tensor): readonly Tensor[];
}
