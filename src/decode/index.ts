// decode: search over next-token scores: greedy, beams of several kinds, sampling, and the parts that change scores on the way.
export { inPlaces, placesToFill, type Admission, type Ended, type JoiningOptions } from "./admission.ts";
export { following, overCharacters, trie, type Automaton, type TrieNode } from "./automaton.ts";
export { beamSample, beamSampleEach, type BeamSampleOptions } from "./beam-sample.ts";
export { beamSearch, beamSearchEach, type BeamSearchOptions } from "./beam.ts";
export { constrainedBeamSearch, type ConstrainedBeamSearchOptions } from "./constrained-beam.ts";
export { diverseBeamSearch, type DiverseBeamSearchOptions } from "./diverse-beam.ts";
export { ensemble, type EnsembleOptions } from "./ensemble.ts";
export { generate, type GenerateOptions, type GenerationConfig } from "./generate.ts";
export { greedySearch, greedySearchEach, type GreedySearchOptions } from "./greedy.ts";
export { gnmtPenalty, normalised, type LengthPenalty } from "./length-penalty.ts";
export { type EarlyStopping } from "./n-best.ts";
export {
  collapsed,
  leastSure,
  likelyLengths,
  maskPredict,
  upToEnd,
  withoutRepeats,
  writeBlocks,
  type CandidateLength,
  type Canvases,
  type CanvasFiller,
  type CanvasSymbols,
  type Filled,
  type LikelyLengthsOptions,
  type MaskPredictOptions,
  type WriteBlocksOptions,
} from "./non-autoregressive.ts";
export { allowedTokens, badWords, suppressed, suppressedAt, wordBias } from "./processors/banned.ts";
export { frequencyPenalty, presencePenalty } from "./processors/counts.ts";
export {
  epsilonCutoff,
  etaCutoff,
  minP,
  nucleus,
  renormalised,
  temperature,
  topK,
  typical,
} from "./processors/filters.ts";
export { forcedAt, forcedFirst, forcedLast, forcedPrefix } from "./processors/forced.ts";
export { lengthDecay, minimumTokens, type LengthDecayOptions } from "./processors/length.ts";
export { noRepeatNgram, noSourceNgram, repetitionPenalty, sourceRepetitionPenalty } from "./processors/repetition.ts";
export { restriction, type Rules, type ScoreProcessor } from "./processors/score-processor.ts";
export { sample, sampleEach, type SampleOptions } from "./sampling.ts";
export { SearchAborted, type Hypothesis, type Scale, type SearchOptions, type StopRule } from "./search.ts";
export { type SingleSearchOptions } from "./single.ts";
export { type Candidates, type SourceAttention, type Step, type Stepper } from "./stepper.ts";
export { stochasticBeamSearch, type StochasticBeamSearchOptions } from "./stochastic-beam.ts";
export { beforeStop, stopStrings } from "./stop-strings.ts";
export { streamGreedy, streamSample, type StreamedToken } from "./streaming.ts";
export { type Prefix } from "./trellis.ts";
