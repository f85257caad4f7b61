// Rows of plain text as the training loop takes them, and what every training on text is told.
import type { HostTensor } from "../base/index.ts";
import type { TextCorpus, TokenStream } from "../data/index.ts";
import type { SessionOptions } from "../engine/index.ts";
import type { Tokenizer } from "../text/index.ts";
import type { BatchReader } from "../train/index.ts";
import type { KeepRun, TrainingOptions, Weights } from "./learning.ts";

/** How text is cut into rows, and training of any kind. */
export interface TextLearningOptions extends TrainingOptions {
  /** Tokens of a row: as far as the model sees while it learns. */
  contextTokens?: number;
  /** Tokens of one batch. */
  batchTokens?: number;
}

export interface LearnTextOptions extends TextLearningOptions {
  tokenizer: Tokenizer;
  texts: TextCorpus;
  validation?: TextCorpus | undefined;
  /** First values in place of random ones. */
  weights?: Weights | undefined;
  session?: SessionOptions;
  keep?: KeepRun;
}

/** Rows of one batch. */
export interface TextBatch {
  readonly ids: HostTensor<"int32">;
  /** What is asked for, where that is not the next token. */
  readonly labels?: HostTensor<"int32">;
  /** Tokens that are asked for. */
  readonly asked: number;
  /** Where each row begins in the stream. */
  readonly starts: readonly number[];
}

/** A program's inputs from a batch. */
export function feedsOf(
  { ids, labels }: TextBatch,
  { tokenWeight, segments = false }: { tokenWeight: number; segments?: boolean },
): Record<string, HostTensor> {
  return {
    ids,
    ...(labels && { labels }),
    ...(segments && { segmentIds: { dtype: "int32", dims: ids.dims, data: new Int32Array(ids.data.length) } }),
    tokenWeight: { dtype: "float32", dims: [], data: Float32Array.of(tokenWeight) },
  };
}

/** How the loop reads rows of a stream. */
export function textReader(stream: TokenStream, options: { segments?: boolean }): BatchReader<TextBatch> {
  return {
    tokens: ({ asked }) => asked,
    feeds: (batch, tokenWeight) => feedsOf(batch, { ...options, tokenWeight }),
    describe: ({ starts }) => {
      const places = starts.slice(0, 8).map((start) => {
        const { file, line } = stream.placeOf(start);
        return `${file}, line ${line}`;
      });
      return `${[...new Set(places)].join("; ")}${starts.length > 8 ? ` and ${starts.length - 8} more` : ""}`;
    },
  };
}
