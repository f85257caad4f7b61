// Teacher forcing as a program: whole targets go in, shifted right by one, and every position is asked for its next token.
import { dim, input, slice, subDims } from "../tensor/index.ts";
import type { SequenceToSequence } from "./sequence-to-sequence.ts";
import { tokenLoss, type LossProgram } from "./token-loss.ts";

export interface TeacherForcingOptions {
  /** ε of label smoothing. */
  labelSmoothing?: number;
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
  const shifted = slice(targetIds, { axis: 1, end: subDims(targetIds.shape[1]!, 1) }); // START, y₁ … yₙ
  const labels = slice(targetIds, { axis: 1, start: 1 }); // y₁ … yₙ, END
  const { hidden, reports } = model.teacherForced(sourceIds, shifted);
  return {
    inputs: { sourceIds, targetIds, tokenWeight },
    ...tokenLoss({
      hidden,
      labels,
      ignored: model.pad,
      output: model.outputLayer(),
      tokenWeight,
      labelSmoothing,
      reports,
    }),
  };
}
