// metrics: how good is a translation: strings in; a score, its signature and its counts out.
export { Bleu, bleuSmoothings, type BleuCounts, type BleuOptions, type BleuSmoothing } from "./bleu.ts";
export { bleuTokenizers, type BleuTokenizer } from "./bleu-tokenizers.ts";
export { Chrf, type ChrfCounts, type ChrfOptions } from "./chrf.ts";
export { fixed } from "./fixed.ts";
export { type Metric, type References, type ScoreContext, type SegmentStatistics } from "./metric.ts";
export { Score, type Confidence, type ScoreFormat } from "./score.ts";
export { Signature, type ReferenceCount, type SignatureEntry, type Trials } from "./signature.ts";
export {
  bootstrapCorpus,
  confidenceOf,
  pairedBootstrap,
  pairedRandomization,
  resampledScores,
  type PairedTest,
  type ResamplingOptions,
  type TestedSystem,
} from "./significance.ts";
export { Ter, type TerCounts, type TerOptions } from "./ter.ts";
export { splitWords, trimEnd } from "./whitespace.ts";
