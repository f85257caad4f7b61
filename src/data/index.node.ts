// data, with what reads files: parallel text, TSV, JSON Lines, checksums.
export {
  Batches,
  Corpus,
  corpusOf,
  EncodedPairs,
  encodePairs,
  encodeTexts,
  FixedBatches,
  maskTokens,
  pairBatch,
  pairInput,
  readLines,
  RowBatches,
  TextCorpus,
  textsOf,
  TokenRows,
  TokenStream,
  windowRows,
  windowsOf,
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
  type RowBatchesOptions,
  type Side,
  type TextEncoding,
  type TextRecord,
  type TokenStreamContents,
  type Window,
} from "./index.ts";
export { verifyChecksum, verifyChecksums } from "./checksum.node.ts";
export { fileLines, type FileOptions } from "./file-lines.node.ts";
export { jsonLines, type JsonLinesOptions } from "./json-lines.node.ts";
export { parallelText, type ParallelTextOptions } from "./parallel-text.node.ts";
export { textFiles, type TextFilesOptions } from "./text-files.node.ts";
export { tsv, type TsvColumn, type TsvOptions } from "./tsv.node.ts";
