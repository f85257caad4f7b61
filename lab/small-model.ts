// The causal stack that most labs teach, small and without dropout, and the loss of the places that are asked something.
import { LanguageModel, tokenLoss, type LanguageModelOptions, type LossProgram, type OutputLayer } from "heddle/models";
import type { Module, PassReports } from "heddle/nn";
import {
  affine,
  argmax,
  cast,
  constant,
  dim,
  equal,
  greaterOrEqual,
  input,
  scalar,
  sum,
  where,
  type Tensor,
} from "heddle/tensor";
import { noLabel } from "./tasks.ts";

export type SmallModelOptions = Partial<LanguageModelOptions> & { vocabularySize: number };

/** Pre-norm with the paper's feed-forward layer and positions, except for what is asked otherwise. */
export function smallModel(options: SmallModelOptions): LanguageModel {
  return new LanguageModel({
    dModel: 64,
    heads: 4,
    layers: 2,
    dropout: 0,
    feedForward: "relu",
    positions: "sinusoidal",
    scaleEmbeddings: true,
    maxPositions: 2048,
    // Rows are of one length, and every id is a token.
    pad: -1,
    ...options,
  });
}

/** Whatever turns ids [batch, time] into a vector for each place. A LanguageModel is one. */
export interface Reader extends Module {
  forward(ids: Tensor): { readonly output: Tensor; readonly reports: PassReports };
  outputLayer(): OutputLayer;
}

/**
 * Cross-entropy at every place that has a label. Inputs: `ids` and `labels` [batch, time], both int32; `tokenWeight`, which each
 * label's loss is multiplied with. Figures are sums: `negativeLogLikelihood` in nats and, where wanted, `correct`: labels that
 * are the model's first choice.
 */
export function labelLoss(model: Reader, { isCounted = false }: { isCounted?: boolean } = {}): LossProgram {
  const ids = input("ids", "int32", [dim("batch"), dim("time")]);
  const labels = input("labels", "int32", ids.shape);
  const tokenWeight = input("tokenWeight", "float32", []);
  const { output: hidden, reports } = model.forward(ids);
  const output = model.outputLayer();
  const { table, bias } = output;
  const program = tokenLoss({ hidden, labels, ignored: noLabel, output, tokenWeight, reports });
  const correct = (): Tensor => {
    const choice = cast(argmax(affine(hidden, table, bias, { transposeB: true })), "int32"); // [batch, time]
    const nothing = constant({ dtype: "int32", dims: [], data: Int32Array.of(0) });
    const hits = where(greaterOrEqual(labels, nothing), cast(equal(choice, labels), "float32"), scalar(0));
    return sum(hits);
  };
  return {
    ...program,
    inputs: { ids, labels, tokenWeight },
    figures: { ...program.figures, ...(isCounted && { correct: correct() }) },
  };
}
