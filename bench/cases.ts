// What is measured: the named cases, each a model's sizes and a batch.

export interface ModelSizes {
  /** Layers in the encoder, and as many in the decoder. */
  readonly layers: number;
  readonly dModel: number;
  readonly heads: number;
  readonly dFeedForward: number;
  /** One table for source, target and output. */
  readonly vocabulary: number;
}

export interface TrainingBenchmark {
  readonly kind: "training";
  readonly name: string;
  readonly model: ModelSizes;
  /** Sentences in the batch. */
  readonly batch: number;
  /** Tokens of each source and of each target; there is no padding. */
  readonly time: number;
  /** After the embeddings, on attention weights, inside the feed-forward layers and on every residual branch. */
  readonly dropout: number;
  readonly labelSmoothing: number;
}

export interface DecodingBenchmark {
  readonly kind: "decoding";
  readonly name: string;
  readonly model: ModelSizes;
  readonly batch: number;
  /** Tokens of each source. */
  readonly time: number;
  /** Tokens written for each sentence, never fewer: END is not honoured. */
  readonly outputTime: number;
  /** Hypotheses kept a sentence; 1 is greedy search. */
  readonly beams: number;
}

export type Benchmark = TrainingBenchmark | DecodingBenchmark;

const tiny: ModelSizes = { layers: 4, dModel: 128, heads: 4, dFeedForward: 256, vocabulary: 10_000 };
const base: ModelSizes = { layers: 6, dModel: 512, heads: 8, dFeedForward: 2048, vocabulary: 10_000 };

const training = (name: string, model: ModelSizes, batch: number): TrainingBenchmark => ({
  kind: "training",
  name,
  model,
  batch,
  time: 32,
  dropout: 0.3,
  labelSmoothing: 0.1,
});

const decoding = (name: string, model: ModelSizes, batch: number, beams: number): DecodingBenchmark => ({
  kind: "decoding",
  name,
  model,
  batch,
  time: 32,
  outputTime: 32,
  beams,
});

export const benchmarks: readonly Benchmark[] = [
  training("tiny-128x32", tiny, 128),
  training("base-32x32", base, 32),
  training("tiny-8x32", tiny, 8),
  decoding("greedy-1", tiny, 1, 1),
  decoding("greedy-32", tiny, 32, 1),
  decoding("beam5-32", tiny, 32, 5),
  decoding("base-greedy-1", base, 1, 1),
  decoding("base-greedy-32", base, 32, 1),
  decoding("base-beam5-32", base, 32, 5),
];

/** Target tokens that one step learns from, or that one call writes; the hypotheses of a beam count once. */
export function tokensPerCall(benchmark: Benchmark): number {
  return benchmark.batch * (benchmark.kind === "training" ? benchmark.time : benchmark.outputTime);
}
