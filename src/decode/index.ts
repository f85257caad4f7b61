// decode: search over next-token scores: greedy, beam, diverse beam, sampling, and the parts that change scores on the way.
export { beamSearch, type BeamSearchOptions } from "./beam.ts";
export { diverseBeamSearch, type DiverseBeamSearchOptions } from "./diverse-beam.ts";
export { generate, type GenerateOptions, type GenerationConfig } from "./generate.ts";
export { greedySearch, type GreedySearchOptions } from "./greedy.ts";
export { type EarlyStopping } from "./n-best.ts";
export { allowedTokens, badWords, suppressed, suppressedAt, wordBias } from "./processors/banned.ts";
export { epsilonCutoff, etaCutoff, nucleus, renormalised, temperature, topK, typical } from "./processors/filters.ts";
export { forcedAt, forcedFirst, forcedLast, forcedPrefix } from "./processors/forced.ts";
export { lengthDecay, minimumTokens, type LengthDecayOptions } from "./processors/length.ts";
export { noRepeatNgram, noSourceNgram, repetitionPenalty, sourceRepetitionPenalty } from "./processors/repetition.ts";
export { restriction, type Rules, type ScoreProcessor } from "./processors/score-processor.ts";
export { sample, type SampleOptions } from "./sampling.ts";
export { SearchAborted, type Hypothesis, type Scale, type SearchOptions } from "./search.ts";
export { type SingleSearchOptions } from "./single.ts";
export { type Candidates, type Step, type Stepper } from "./stepper.ts";
export { type Prefix } from "./trellis.ts";
