// Losses of the heads that sort: texts by what they are about, tokens by what they stand for.
import type { PassReports } from "../nn/index.ts";
import {
  constant,
  dim,
  equal,
  input,
  logSoftmax,
  mul,
  neg,
  oneHot,
  sum,
  where,
  type Shape,
  type Tensor,
} from "../tensor/index.ts";
import { notAsked, type TextClassifier, type TextEncoder, type TokenClassifier } from "./text-encoder.ts";
import { withReports, type LossProgram } from "./token-loss.ts";

/**
 * Cross-entropy of each text's class. Inputs: `ids` int32 [batch, time], `labels` int32 [batch], `segmentIds` [batch, time] where
 * the encoder has segments; `tokenWeight`: 1 / (texts).
 * @example
 * const loss = labelledTexts(new TextClassifier({ encoder, classes: 3 }));
 */
export function labelledTexts(model: TextClassifier): LossProgram {
  const { inputs, ids, segmentIds } = textInputs(model.encoder);
  return classLoss(model.forward(ids, segmentIds), [ids.shape[0]!], inputs);
}

/**
 * Cross-entropy of each token's class. Inputs: `ids` int32 [batch, time], `labels` of the same shape, −100 where none is asked for
 * and on padding, `segmentIds` where the encoder has segments; `tokenWeight`: 1 / (tokens asked for).
 * @example
 * const loss = labelledTokens(new TokenClassifier({ encoder, classes: 9 }));
 */
export function labelledTokens(model: TokenClassifier): LossProgram {
  const { inputs, ids, segmentIds } = textInputs(model.encoder);
  return classLoss(model.forward(ids, segmentIds), ids.shape, inputs);
}

/** What an encoder reads, as inputs of a program. */
function textInputs({ options }: TextEncoder) {
  const ids = input("ids", "int32", [dim("batch"), dim("time")]);
  const segmentIds = options.segments > 0 ? input("segmentIds", "int32", ids.shape) : undefined;
  return { ids, segmentIds, inputs: { ids, ...(segmentIds && { segmentIds }) } };
}

/** logits [..shape, classes] */
function classLoss(
  { logits, reports }: { readonly logits: Tensor; readonly reports: PassReports },
  shape: Shape,
  inputs: Readonly<Record<string, Tensor>>,
): LossProgram {
  const labels = input("labels", "int32", shape);
  const tokenWeight = input("tokenWeight", "float32", []);
  const isNotAsked = equal(labels, whole(notAsked));
  const weights = where(isNotAsked, 0, tokenWeight);
  const chosen = oneHot(where(isNotAsked, whole(0), labels), logits.shape.at(-1) as number);
  const losses = neg(sum(mul(logSoftmax(logits), chosen), { axes: [-1] }));
  const loss = sum(mul(losses, weights));
  return {
    inputs: { ...inputs, labels, tokenWeight },
    ...withReports(reports, { loss, figures: { negativeLogLikelihood: loss }, share: sum(weights) }),
  };
}

const whole = (value: number): Tensor => constant({ dtype: "int32", dims: [], data: Int32Array.of(value) });
