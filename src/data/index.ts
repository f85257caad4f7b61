// data: corpora of sentence pairs, their token ids, and batches by token budget from a position that can be saved.
export { Batches, FixedBatches, type BatchesOptions, type Cursor } from "./batches.ts";
export { type BatchLimits } from "./batch-plan.ts";
export { Corpus, corpusOf, type PairRecord, type Side } from "./corpus.ts";
export {
  EncodedPairs,
  encodePairs,
  type Dropped,
  type EncodedPairsContents,
  type EncodePairsOptions,
  type EncodingReport,
} from "./encoded-pairs.ts";
export { readLines, type ReadLinesOptions } from "./lines.ts";
export { maskTokens, type MaskedTokens, type MaskTokensOptions } from "./masking.ts";
export { pairBatch, type PairBatch } from "./pair-batch.ts";
export type { BpeDropout, Respelling } from "./respelling.ts";
export { pairInput, type PairInput, type PairInputOptions } from "./text-pairs.ts";
export { TokenRows, type Encoder } from "./token-rows.ts";
