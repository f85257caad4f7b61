// data: corpora of sentence pairs and of plain text, their token ids, and batches from a position that can be saved.
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
export { inWindows } from "./windows.ts";
export { maskTokens, type MaskedTokens, type MaskTokensOptions } from "./masking.ts";
export { pairBatch, type PairBatch } from "./pair-batch.ts";
export type { BpeDropout, Respelling } from "./respelling.ts";
export { RowBatches, type RowBatchesOptions } from "./row-batches.ts";
export {
  Shortlist,
  vocabularyFingerprint,
  type LearnShortlistOptions,
  type ListedVocabulary,
  type ShortlistContents,
} from "./shortlist.ts";
export { TextCorpus, textsOf, type TextRecord } from "./text-corpus.ts";
export { pairInput, type PairInput, type PairInputOptions } from "./text-pairs.ts";
export { TokenRows, type Encoder } from "./token-rows.ts";
export { learnTranslations, WordTranslations, type LearnTranslationsOptions } from "./word-translations.ts";
export {
  encodeTexts,
  TokenStream,
  windowRows,
  windowsOf,
  type TextEncoding,
  type TokenStreamContents,
  type Window,
} from "./token-stream.ts";
