// data, with what reads files: parallel text, TSV, JSON Lines, checksums.
export {
  Batches,
  Corpus,
  corpusOf,
  EncodedPairs,
  encodePairs,
  FixedBatches,
  maskTokens,
  pairBatch,
  pairInput,
  readLines,
  TokenRows,
  type BatchesOptions,
  type BatchLimits,
  type Cursor,
  type Dropped,
  type EncodedPairsContents,
  type EncodePairsOptions,
  type Encoder,
  type EncodingReport,
  type MaskedTokens,
  type MaskTokensOptions,
  type PairBatch,
  type PairInput,
  type PairInputOptions,
  type PairRecord,
  type ReadLinesOptions,
  type Side,
} from "./index.ts";
export { verifyChecksum, verifyChecksums } from "./checksum.node.ts";
export { fileLines, type FileOptions } from "./file-lines.node.ts";
export { jsonLines, type JsonLinesOptions } from "./json-lines.node.ts";
export { parallelText, type ParallelTextOptions } from "./parallel-text.node.ts";
export { tsv, type TsvColumn, type TsvOptions } from "./tsv.node.ts";
