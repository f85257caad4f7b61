// Training an encoder to tell hidden tokens.
import { silent } from "../base/index.ts";
import { encodeTexts, RowBatches } from "../data/index.ts";
import { maskedTokens, type MaskedLanguageModel } from "../models/index.ts";
import type { TrainingResult } from "../train/index.ts";
import { learn, type Weights } from "./learning.ts";
import { maskedRows, MaskedScorer, segmentsOf } from "./masked-rows.ts";
import { textReader, type LearnTextOptions, type TextBatch, type TextLearningOptions } from "./text-batches.ts";

export interface MaskedLearningOptions extends TextLearningOptions {
  /** Share of tokens that the model is asked for. */
  maskRate?: number;
}

/**
 * Trains an encoder to tell hidden tokens. Rows are START and contextTokens − 1 tokens of the stream; which are hidden is drawn
 * anew in every epoch, from (seed, epoch, row).
 */
export async function learnMaskedLanguageModel({
  model,
  tokenizer,
  texts,
  validation,
  contextTokens = 256,
  batchTokens = 4096,
  maskRate = 0.15,
  ...options
}: LearnTextOptions & MaskedLearningOptions & { model: MaskedLanguageModel }): Promise<{
  weights: Weights;
  result: TrainingResult;
}> {
  const { seed = 1, session = {}, listener = silent } = options;
  const masking = { tokenizer, contextTokens, maskRate, model };
  const rows = maskedRows(await encodeTexts(texts, tokenizer, { listener }), masking);
  const held = validation && maskedRows(await encodeTexts(validation, tokenizer, { listener }), masking);
  const rowsPerBatch = Math.max(1, Math.floor(batchTokens / contextTokens));
  return learn({
    ...options,
    model,
    loss: maskedTokens(model),
    batches: new RowBatches<TextBatch>({
      count: rows.count,
      rowsPerBatch,
      seed,
      fingerprint: `${rows.stream.fingerprint}-${contextTokens}-${maskRate}`,
      gather: (chosen, epoch) => rows.batch(chosen, [seed, epoch]),
    }),
    reader: textReader(rows.stream, segmentsOf(model)),
    validator: held && ((weights) => new MaskedScorer({ model, rows: held, weights, session })),
  });
}
