// Teacher forcing as a program: whole targets go in, shifted right by one, and every position is asked for its next token.
import {
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
import type { Transformer } from "./transformer.ts";

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
}

/**
 * Cross-entropy of each target token given the source and the true tokens before it, END included, padding excluded.
 * Inputs: `sourceIds` [batch, sourceTime] and `targetIds` [batch, targetLength] (START, tokens, END, padding), both int32;
 * `tokenWeight`, a scalar that each token's loss is multiplied with: 1 / (tokens of the update) for a mean over tokens.
 * (Williams and Zipser 1989; Vaswani et al. 2017, section 3.1: "offset by one position".)
 */
export function teacherForcing(model: Transformer, { labelSmoothing = 0 }: TeacherForcingOptions = {}): LossProgram {
  const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
  const targetIds = input("targetIds", "int32", [dim("batch"), dim("targetLength")]);
  const tokenWeight = input("tokenWeight", "float32", []);
  const length = targetIds.shape[1]!;
  const shifted = slice(targetIds, { axis: 1, end: subDims(length, 1) }); // START, y₁ … yₙ
  const following = slice(targetIds, { axis: 1, start: 1 }); // y₁ … yₙ, END
  const rows = sizeOf(following.shape);
  const labels = reshape(following, [rows]);

  const { decoder } = model.forward(sourceIds, shifted);
  const hidden = reshape(decoder.output, [rows, model.options.dModel]); // [batch · targetTime, dModel]
  const { loss, negativeLogLikelihood } = linearCrossEntropy(hidden, model.output.table.value, labels, {
    smoothing: labelSmoothing,
    bias: model.outputBias?.value,
  });
  const isPad = equal(labels, constant({ dtype: "int32", dims: [], data: Int32Array.of(model.options.pad) }));
  const weights = where(isPad, scalar(0), tokenWeight); // [batch · targetTime]
  return {
    inputs: { sourceIds, targetIds, tokenWeight },
    loss: sum(mul(loss, weights)),
    figures: { negativeLogLikelihood: sum(mul(negativeLogLikelihood, weights)) },
  };
}
