// Training a language model: rows of a stream of tokens, each asked for the next one.
import { silent } from "../base/index.ts";
import { encodeTexts, RowBatches, windowRows, windowsOf } from "../data/index.ts";
import { nextToken, type LanguageModel } from "../models/index.ts";
import type { TrainingResult } from "../train/index.ts";
import { learn, type Validates, type Weights } from "./learning.ts";
import { textReader, type LearnTextOptions, type TextBatch, type TextLearningOptions } from "./text-batches.ts";
import { TextScorer, type ScoringOptions } from "./text-scoring.ts";

export interface LanguageModelLearningOptions extends TextLearningOptions {
  /** Share of the target's probability spread over the vocabulary. */
  labelSmoothing?: number;
  /** How validation reads its text. */
  scoring?: ScoringOptions;
}

/**
 * Trains a language model: the stream is cut into rows of contextTokens, each beginning with the last token of the one before, so
 * that every token is asked for once an epoch and nothing is padded but the end of the last row.
 */
export async function learnLanguageModel({
  model,
  tokenizer,
  texts,
  validation,
  contextTokens = 256,
  batchTokens = 4096,
  labelSmoothing = 0,
  scoring = {},
  ...options
}: LearnTextOptions & LanguageModelLearningOptions & { model: LanguageModel }): Promise<{
  weights: Weights;
  result: TrainingResult;
}> {
  const { seed = 1, session = {}, listener = silent } = options;
  const stream = await encodeTexts(texts, tokenizer, { listener });
  const held = validation && (await encodeTexts(validation, tokenizer, { listener }));
  const windows = windowsOf(stream.tokens.length, { contextTokens });
  const batches = new RowBatches<TextBatch>({
    count: windows.length,
    rowsPerBatch: Math.max(1, Math.floor(batchTokens / contextTokens)),
    seed,
    fingerprint: `${stream.fingerprint}-${contextTokens}`,
    gather: (rows) => {
      const chosen = Array.from(rows, (row) => windows[row]!);
      const { time, ids } = windowRows(stream.tokens, chosen, model.pad);
      return {
        ids: { dtype: "int32", dims: [rows.length, time], data: ids },
        asked: chosen.reduce((sum, { asked }) => sum + asked, 0),
        starts: chosen.map(({ start }) => start),
      };
    },
  });
  return learn({
    ...options,
    model,
    loss: nextToken(model, { labelSmoothing }),
    batches,
    reader: textReader(stream, {}),
    validator:
      held &&
      ((weights): Validates => {
        const scorer = new TextScorer({ model, weights, session });
        return {
          validate: async () => {
            const { loss, perplexity, bitsPerByte } = await scorer.score(held, { contextTokens, ...scoring });
            return { loss, perplexity, bitsPerByte };
          },
          dispose: () => scorer.dispose(),
        };
      }),
  });
}
