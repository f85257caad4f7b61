// Teacher forcing as a program: whole targets go in, shifted right by one, and every position is asked for its next token.
import {
  add,
  constant,
  dim,
  equal,
  input,
  linearCrossEntropy,
  mul,
  reshape,
  scalar,
  sizeOf,
  slice,
  subDims,
  sum,
  where,
  type Tensor,
} from "../tensor/index.ts";
import type { Parameter } from "../nn/index.ts";
import type { SequenceToSequence } from "./sequence-to-sequence.ts";

export interface TeacherForcingOptions {
  /** ε of label smoothing. */
  labelSmoothing?: number;
}

/** The inputs and the figures of a loss; the training step adds parameters and gradients. */
export interface LossProgram {
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** What training minimises: a scalar. */
  readonly loss: Tensor;
  /** Further scalars worth reporting, by name. */
  readonly figures: Readonly<Record<string, Tensor>>;
  /** New values of parameters that follow the data and not a gradient, such as running means. */
  readonly statistics?: ReadonlyMap<Parameter, Tensor>;
}

/**
 * Cross-entropy of each target token given the source and the true tokens before it, END included, padding excluded.
 * Inputs: `sourceIds` [batch, sourceTime] and `targetIds` [batch, targetLength] (START, tokens, END, padding), both int32;
 * `tokenWeight`, a scalar that each token's loss is multiplied with: 1 / (tokens of the update) for a mean over tokens.
 * (Williams and Zipser 1989; Vaswani et al. 2017, section 3.1: "offset by one position".)
 */
export function teacherForcing(
  model: SequenceToSequence,
  { labelSmoothing = 0 }: TeacherForcingOptions = {},
): LossProgram {
  const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
  const targetIds = input("targetIds", "int32", [dim("batch"), dim("targetLength")]);
  const tokenWeight = input("tokenWeight", "float32", []);
  const length = targetIds.shape[1]!;
  const shifted = slice(targetIds, { axis: 1, end: subDims(length, 1) }); // START, y₁ … yₙ
  const following = slice(targetIds, { axis: 1, start: 1 }); // y₁ … yₙ, END
  const rows = sizeOf(following.shape);
  const labels = reshape(following, [rows]);

  const { hidden, reports } = model.teacherForced(sourceIds, shifted);
  const { table, bias } = model.outputLayer();
  const flat = reshape(hidden, [rows, hidden.shape.at(-1)!]); // [batch · targetTime, dModel]
  const { loss, negativeLogLikelihood } = linearCrossEntropy(flat, table, labels, { smoothing: labelSmoothing, bias });
  const isPad = equal(labels, constant({ dtype: "int32", dims: [], data: Int32Array.of(model.pad) }));
  const weights = where(isPad, scalar(0), tokenWeight); // [batch · targetTime]
  // What parts add is a mean over tokens already: it counts by this batch's share of the update's tokens.
  const own = sum(mul(loss, weights));
  const added = reports.losses.map((part) => mul(part, sum(weights)));
  return {
    inputs: { sourceIds, targetIds, tokenWeight },
    loss: added.reduce((a, b) => add(a, b), own),
    figures: {
      negativeLogLikelihood: sum(mul(negativeLogLikelihood, weights)),
      ...Object.fromEntries(reports.figures),
    },
    statistics: reports.statistics,
  };
}
