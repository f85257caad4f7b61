// From a `generation_config.json`, as Hugging Face checkpoints carry it, to the search and the processors that it means,
// in the order in which that library applies them (version 4.37).
import { ConfigError } from "../base/index.ts";
import { beamSample } from "./beam-sample.ts";
import { beamSearch } from "./beam.ts";
import { diverseBeamSearch } from "./diverse-beam.ts";
import { greedySearch } from "./greedy.ts";
import type { EarlyStopping } from "./n-best.ts";
import { badWords, suppressed, suppressedAt, wordBias } from "./processors/banned.ts";
import {
  epsilonCutoff,
  etaCutoff,
  minP,
  nucleus,
  renormalised,
  temperature,
  topK,
  typical,
} from "./processors/filters.ts";
import { forcedAt, forcedFirst, forcedLast } from "./processors/forced.ts";
import { lengthDecay, minimumTokens } from "./processors/length.ts";
import { noRepeatNgram, noSourceNgram, repetitionPenalty, sourceRepetitionPenalty } from "./processors/repetition.ts";
import type { ScoreProcessor } from "./processors/score-processor.ts";
import { sample } from "./sampling.ts";
import type { Hypothesis } from "./search.ts";
import type { Stepper } from "./stepper.ts";

/** The keys of a generation configuration that change what comes out. `null` means absent. */
export interface GenerationConfig {
  max_length: number;
  max_new_tokens: number | null;
  min_length: number;
  min_new_tokens: number | null;
  num_beams: number;
  num_beam_groups: number;
  diversity_penalty: number;
  length_penalty: number;
  early_stopping: EarlyStopping;
  num_return_sequences: number;
  do_sample: boolean;
  temperature: number;
  top_k: number;
  top_p: number;
  min_p: number;
  typical_p: number;
  epsilon_cutoff: number;
  eta_cutoff: number;
  repetition_penalty: number;
  encoder_repetition_penalty: number;
  no_repeat_ngram_size: number;
  encoder_no_repeat_ngram_size: number;
  bad_words_ids: number[][] | null;
  sequence_bias: [number[], number][] | null;
  forced_bos_token_id: number | null;
  forced_eos_token_id: number | number[] | null;
  forced_decoder_ids: [number, number][] | null;
  suppress_tokens: number[] | null;
  begin_suppress_tokens: number[] | null;
  exponential_decay_length_penalty: [number, number] | null;
  renormalize_logits: boolean;
  decoder_start_token_id: number | null;
  bos_token_id: number | null;
  eos_token_id: number | number[] | null;
  pad_token_id: number | null;
}

const defaults: GenerationConfig = {
  max_length: 20,
  max_new_tokens: null,
  min_length: 0,
  min_new_tokens: null,
  num_beams: 1,
  num_beam_groups: 1,
  diversity_penalty: 0,
  length_penalty: 1,
  early_stopping: false,
  num_return_sequences: 1,
  do_sample: false,
  temperature: 1,
  top_k: 50,
  top_p: 1,
  min_p: 0,
  typical_p: 1,
  epsilon_cutoff: 0,
  eta_cutoff: 0,
  repetition_penalty: 1,
  encoder_repetition_penalty: 1,
  no_repeat_ngram_size: 0,
  encoder_no_repeat_ngram_size: 0,
  bad_words_ids: null,
  sequence_bias: null,
  forced_bos_token_id: null,
  forced_eos_token_id: null,
  forced_decoder_ids: null,
  suppress_tokens: null,
  begin_suppress_tokens: null,
  exponential_decay_length_penalty: null,
  renormalize_logits: false,
  decoder_start_token_id: null,
  bos_token_id: null,
  eos_token_id: null,
  pad_token_id: null,
};

/** Keys that do not change the tokens. */
const withoutEffect = new Set([
  "_from_model_config",
  "transformers_version",
  "use_cache",
  "output_attentions",
  "output_hidden_states",
  "output_scores",
  "return_dict_in_generate",
  "generation_kwargs",
]);

export interface GenerateOptions {
  /** Tokens of every sentence that the output continues, as the stepper was started with; else the decoder's start token. */
  readonly prompts?: readonly (readonly number[])[];
  /** What the encoder read, for the processors that look at it. */
  readonly sources?: readonly (readonly number[])[];
  /** For `do_sample`. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

/**
 * Searches as a generation configuration says: greedily, by (diverse) beam search or by sampling, also within a beam. Lengths in the
 * configuration count the prompt, as there; a key that cannot be honoured is an error.
 *
 * @example
 * const config = JSON.parse(await readFile("generation_config.json", "utf8"));
 * const [[best]] = await generate(stepper, { ...config, num_beams: 4 });
 */
export async function generate(
  stepper: Stepper,
  given: Readonly<Record<string, unknown>>,
  { prompts, sources, seed = 0, signal }: GenerateOptions = {},
): Promise<Hypothesis[][]> {
  const config = complete(given);
  const start = prompts ?? startToken(config);
  // Prompts of unlike lengths lie in one array there, padded to the longest.
  const promptLength = typeof start === "number" ? 1 : Math.max(...start.map((prompt) => prompt.length));
  const maxTokens = config.max_new_tokens ?? config.max_length - promptLength;
  const ends = listOf(config.eos_token_id);
  const processors = processorsOf(config, { promptLength, maxTokens, ends, sources });
  const common = {
    start,
    end: ends,
    maxTokens,
    processors,
    lengthPenalty: config.length_penalty,
    ...(signal === undefined ? {} : { signal }),
  };
  // Without beams that library lets processors act on raw scores; only the repetition penalties tell the difference.
  const scale =
    config.repetition_penalty !== 1 || config.encoder_repetition_penalty !== 1 ? "logits" : "logProbabilities";

  if (config.num_beams === 1) {
    if (config.num_return_sequences !== 1) {
      throw new ConfigError(
        "num_return_sequences",
        "more than one needs num_beams; to sample several, repeat the sentence.",
      );
    }
    const outputs = config.do_sample
      ? await sample(stepper, { ...common, scale, seed, processors: [...processors, ...filtersOf(config)] })
      : await greedySearch(stepper, { ...common, scale });
    return outputs.map((hypothesis) => [hypothesis]);
  }
  const beamOptions = {
    ...common,
    beams: config.num_beams,
    earlyStopping: config.early_stopping,
    nbest: config.num_return_sequences,
  };
  if (config.do_sample) {
    if (config.num_beam_groups > 1)
      throw new ConfigError("num_beam_groups", "groups of beams do not draw. Set do_sample to false, or one group.");
    // One token more than there are ENDs always stays, so that a beam can go on.
    const filters = filtersOf(config, Math.max(2, 1 + ends.length));
    return beamSample(stepper, { ...beamOptions, seed, processors: [...processors, ...filters] });
  }
  if (config.num_beam_groups === 1) return beamSearch(stepper, beamOptions);
  return diverseBeamSearch(stepper, {
    ...beamOptions,
    groups: config.num_beam_groups,
    diversityPenalty: config.diversity_penalty,
    ...(config.pad_token_id === null ? {} : { padding: config.pad_token_id }),
  });
}

function complete(given: Readonly<Record<string, unknown>>): GenerationConfig {
  const known: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(given)) {
    if (withoutEffect.has(key)) continue;
    if (!(key in defaults)) {
      if (value === null || value === undefined || value === false) continue;
      throw new ConfigError(key, `the search cannot honour ${JSON.stringify(value)}. Remove the key.`);
    }
    if (value === undefined || value === null) continue;
    const standard = defaults[key as keyof GenerationConfig];
    const isFlag =
      key === "early_stopping" ? value === "never" || typeof value === "boolean" : typeof value === typeof standard;
    if (standard !== null && !isFlag) {
      throw new ConfigError(key, `expected a ${typeof standard}, got ${JSON.stringify(value)}.`);
    }
    known[key] = value;
  }
  // Every value was checked against its default just above; lists are checked by the processors that take them.
  return known as unknown as GenerationConfig;
}

function startToken({ decoder_start_token_id, bos_token_id }: GenerationConfig): number {
  const token = decoder_start_token_id ?? bos_token_id;
  if (token === null) throw new ConfigError("decoder_start_token_id", "no token to start from. Give it, or prompts.");
  return token;
}

function listOf(value: number | readonly number[] | null): readonly number[] {
  return value === null ? [] : typeof value === "number" ? [value] : value;
}

interface Surroundings {
  readonly promptLength: number;
  readonly maxTokens: number;
  readonly ends: readonly number[];
  readonly sources: readonly (readonly number[])[] | undefined;
}

function processorsOf(
  config: GenerationConfig,
  { promptLength, maxTokens, ends, sources }: Surroundings,
): ScoreProcessor[] {
  const list: ScoreProcessor[] = [];
  const needed = (key: string): readonly (readonly number[])[] => {
    if (sources === undefined) throw new ConfigError(key, "needs the source sentences. Give `sources`.");
    return sources;
  };
  if (config.sequence_bias !== null) list.push(wordBias(config.sequence_bias));
  if (config.encoder_repetition_penalty !== 1) {
    list.push(sourceRepetitionPenalty(config.encoder_repetition_penalty, needed("encoder_repetition_penalty")));
  }
  if (config.repetition_penalty !== 1) list.push(repetitionPenalty(config.repetition_penalty));
  if (config.no_repeat_ngram_size > 0) list.push(noRepeatNgram(config.no_repeat_ngram_size));
  if (config.encoder_no_repeat_ngram_size > 0) {
    list.push(noSourceNgram(config.encoder_no_repeat_ngram_size, needed("encoder_no_repeat_ngram_size")));
  }
  if (config.bad_words_ids !== null) {
    // END is never taken for a bad word, there as here.
    list.push(badWords(config.bad_words_ids.filter((word) => !(word.length === 1 && ends.includes(word[0]!)))));
  }
  const minTokens = Math.max(config.min_length - promptLength, config.min_new_tokens ?? 0);
  if (minTokens > 0) list.push(minimumTokens(minTokens, ends));
  if (config.forced_bos_token_id !== null && promptLength === 1) list.push(forcedFirst(config.forced_bos_token_id));
  const [forcedEnd, ...others] = listOf(config.forced_eos_token_id);
  if (others.length > 0) throw new ConfigError("forced_eos_token_id", "several forced ends are not offered. Give one.");
  if (forcedEnd !== undefined) list.push(forcedLast(forcedEnd, maxTokens));
  if (config.exponential_decay_length_penalty !== null) {
    const [after, factor] = config.exponential_decay_length_penalty;
    list.push(lengthDecay({ after, factor, ends }));
  }
  if (config.suppress_tokens !== null) list.push(suppressed(config.suppress_tokens));
  if (config.begin_suppress_tokens !== null) {
    // "Begin" is after whatever is forced there.
    const afterFirst = config.forced_bos_token_id !== null && promptLength === 1 ? 1 : 0;
    const place = afterFirst + (config.forced_decoder_ids?.at(-1)?.[0] ?? 0);
    list.push(suppressedAt(place, config.begin_suppress_tokens));
  }
  if (config.forced_decoder_ids !== null) {
    const forced = config.forced_decoder_ids.map(([at, token]) => [at - promptLength, token] as const);
    list.push(forcedAt(new Map(forced.filter(([at]) => at >= 0))));
  }
  if (config.renormalize_logits) list.push(renormalised());
  return list;
}

/** What shapes a draw; all of it leaves at least `keep` tokens. */
function filtersOf(config: GenerationConfig, keep = 1): ScoreProcessor[] {
  const list: ScoreProcessor[] = [];
  if (config.temperature !== 1) list.push(temperature(config.temperature));
  if (config.top_k > 0) list.push(topK(Math.max(config.top_k, keep)));
  if (config.top_p < 1) list.push(nucleus(config.top_p, keep));
  if (config.min_p > 0) list.push(minP(config.min_p, keep));
  if (config.typical_p < 1) list.push(typical(config.typical_p, keep));
  if (config.epsilon_cutoff > 0) list.push(epsilonCutoff(config.epsilon_cutoff, keep));
  if (config.eta_cutoff > 0) list.push(etaCutoff(config.eta_cutoff, keep));
  return list;
}
