// Cross-entropy of tokens against what a model makes of their places: what all losses over a vocabulary share.
import type { Parameter, PassReports } from "../nn/index.ts";
import {
  add,
  equal,
  linearCrossEntropy,
  mul,
  reshape,
  scalar,
  sizeOf,
  sum,
  where,
  constant,
  type Tensor,
} from "../tensor/index.ts";
import type { OutputLayer } from "./sequence-to-sequence.ts";

/** The inputs and the figures of a loss; the training step adds parameters and gradients. */
export interface LossProgram {
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** What training minimises: a scalar. */
  readonly loss: Tensor;
  /** Further scalars worth reporting, by name. */
  readonly figures: Readonly<Record<string, Tensor>>;
  /** New values of parameters that follow the data and not a gradient, such as running means. */
  readonly statistics?: ReadonlyMap<Parameter, Tensor>;
  /** Values that a step hands on to the next one, by name; whoever feeds the steps puts them in. */
  readonly carried?: Readonly<Record<string, Tensor>>;
}

export interface TokenLossOptions {
  /** hidden [batch, time, width], the output layer's input. */
  hidden: Tensor;
  /** What each place should say: int32 [batch, time]. */
  labels: Tensor;
  /** The label that counts for nothing. */
  ignored: number;
  output: OutputLayer;
  /** A scalar that each token's loss is multiplied with: 1 / (tokens of the update) for a mean over tokens. */
  tokenWeight: Tensor;
  /** ε of label smoothing. */
  labelSmoothing?: number;
  /** What the parts of the model left on the way. */
  reports: PassReports;
}

/** A loss over the labels that count, and what parts of the model add to it. */
export function tokenLoss({
  hidden,
  labels,
  ignored,
  output: { table, bias },
  tokenWeight,
  labelSmoothing = 0,
  reports,
}: TokenLossOptions): Omit<LossProgram, "inputs"> {
  const places = sizeOf(labels.shape);
  const flat = reshape(hidden, [places, hidden.shape.at(-1)!]); // [batch · time, width]
  const wanted = reshape(labels, [places]);
  const counts = equal(wanted, constant({ dtype: "int32", dims: [], data: Int32Array.of(ignored) }));
  const weights = where(counts, scalar(0), tokenWeight); // [batch · time]
  // A label outside the vocabulary may stand where none is asked for; the loss still has to look one up.
  const known =
    ignored < 0 ? where(counts, constant({ dtype: "int32", dims: [], data: Int32Array.of(0) }), wanted) : wanted;
  const { loss, negativeLogLikelihood } = linearCrossEntropy(flat, table, known, { smoothing: labelSmoothing, bias });
  return withReports(reports, {
    loss: sum(mul(loss, weights)),
    figures: { negativeLogLikelihood: sum(mul(negativeLogLikelihood, weights)) },
    share: sum(weights),
  });
}

/** A loss and its figures, and beside them what the parts of the model left: `share` is this batch's of the update's tokens. */
export function withReports(
  reports: PassReports,
  { loss, figures, share }: Pick<LossProgram, "loss" | "figures"> & { share: Tensor },
): Omit<LossProgram, "inputs"> {
  // What parts add and report is of the whole batch already, so it counts by the batch's share.
  const added = reports.losses.map((part) => mul(part, share));
  const reported = [...reports.figures].map(([name, figure]) => [name, mul(figure, share)] as const);
  return {
    loss: added.reduce((a, b) => add(a, b), loss),
    figures: { ...figures, ...Object.fromEntries(reported) },
    statistics: reports.statistics,
  };
}
