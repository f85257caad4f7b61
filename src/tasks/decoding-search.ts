// From the choices of decoding to a search over a batch: which search, which processors, which lengths.
import {
  badWords,
  beamSample,
  beamSearch,
  constrainedBeamSearch,
  diverseBeamSearch,
  following,
  forcedPrefix,
  frequencyPenalty,
  gnmtPenalty,
  greedySearch,
  minP,
  noRepeatNgram,
  nucleus,
  presencePenalty,
  repetitionPenalty,
  sample,
  stochasticBeamSearch,
  stopStrings,
  temperature,
  topK,
  trie,
  typical,
  type Hypothesis,
  type LengthPenalty,
  type ScoreProcessor,
  type SearchOptions,
  type Stepper,
} from "../decode/index.ts";
import type { StepperOptions } from "../models/index.ts";
import type { Tokenizer } from "../text/index.ts";
import { outputsWanted, type DecodingChoices } from "./decoding-options.ts";

/** What a search knows of one sentence beside the model. */
export interface SentenceToDecode {
  /** Tokens of its source, END included; of what is gone on with, where nothing is translated. */
  readonly sourceTokens: number;
  /** What the model has read of the output's own text, but for the last token, which it reads first; START if not said. */
  readonly beginning?: readonly number[];
  /** What its output must hold, and what it begins with, as tokens. */
  readonly phrases: readonly (readonly number[])[];
  readonly prefix: readonly number[];
  /** The tokens that it may be written with, ascending, where there is a shortlist. */
  readonly list?: Int32Array | undefined;
  /** Of its own draw. */
  readonly seed: number;
}

export interface DecodeBatchOptions {
  readonly choices: DecodingChoices;
  readonly target: Tokenizer;
  readonly signal?: AbortSignal | undefined;
  /** Applied before those that the choices ask for. */
  readonly processors?: readonly ScoreProcessor[] | undefined;
}

/** How many rows a stepper needs for each sentence: outputs that are drawn one by one have one each. */
export function rowsASentence(choices: DecodingChoices): number {
  return choices.search === "sample" ? outputsWanted(choices) : 1;
}

/** What the stepper is told, whose rows these sentences are, `rowsASentence` of each. */
export function stepperOptionsOf(sentences: readonly SentenceToDecode[], choices: DecodingChoices): StepperOptions {
  const { coveragePenalty, coverageLayer, coverageHead, keepDropout, shortlist } = choices;
  return {
    ...(coveragePenalty > 0 && { attention: { layer: coverageLayer, head: coverageHead } }),
    ...(keepDropout && { dropoutSeeds: seedsOf(sentences, rowsASentence(choices)) }),
    ...(shortlist !== "none" && {
      lists: {
        of: (row: number) => sentences[Math.floor(row / rowsASentence(choices))]!.list!,
        areShared: shortlist === "batch",
      },
    }),
  };
}

/** Draw number i of a sentence has a seed of its own, whatever else is drawn. */
function seedsOf(sentences: readonly SentenceToDecode[], draws: number): number[] {
  return sentences.flatMap(({ seed }) => Array.from({ length: draws }, (_, i) => seed + i));
}

/** What scores are divided by. */
export function lengthPenaltyOf({ lengthPenalty, lengthNormalization }: DecodingChoices): LengthPenalty {
  return lengthNormalization === "gnmt" ? gnmtPenalty(lengthPenalty) : lengthPenalty;
}

/** What a search is told, whichever it is. `sentences` are the stepper's rows. */
export function searchOptionsOf(
  sentences: readonly SentenceToDecode[],
  { choices, target, signal, processors = [] }: DecodeBatchOptions,
): SearchOptions & { readonly lengthPenalty: LengthPenalty } {
  const { minLength, maxLength, minLengthRatio = 0, maxLengthRatio = Infinity } = choices;
  const { stop } = choices;
  const maxTokens = sentences.map(({ sourceTokens }) =>
    Math.max(1, Math.min(maxLength, Math.ceil(maxLengthRatio * sourceTokens))),
  );
  const minTokens = sentences.map(({ sourceTokens }, i) =>
    Math.min(maxTokens[i]!, Math.max(minLength, Math.ceil(minLengthRatio * sourceTokens))),
  );
  return {
    start: sentences.map(({ beginning }) => beginning ?? [target.special.start]),
    end: target.special.end,
    maxTokens,
    minTokens,
    processors: [
      ...processors,
      ...processorsOf(choices, target),
      ...(sentences.some(({ prefix }) => prefix.length > 0)
        ? [forcedPrefix(sentences.map(({ prefix }) => prefix))]
        : []),
    ],
    lengthPenalty: lengthPenaltyOf(choices),
    ...(stop.length > 0 && { stop: stopStrings(stop, (tokens) => target.decode(tokens)) }),
    ...(signal && { signal }),
  };
}

/** The outputs of every sentence, best first; `stepper` was started with `rowsASentence` rows of each, side by side. */
export async function decodeBatch(
  stepper: Stepper,
  sentences: readonly SentenceToDecode[],
  options: DecodeBatchOptions,
): Promise<Hypothesis[][]> {
  const { choices } = options;
  const { search, beams, groups, diversityPenalty, earlyStopping, coveragePenalty } = choices;
  const nbest = outputsWanted(choices);
  const rows = sentences.flatMap((sentence) => new Array<SentenceToDecode>(rowsASentence(choices)).fill(sentence));
  const told = searchOptionsOf(rows, options);
  if (search === "sample") {
    const drawn = await sample(stepper, { ...told, seed: seedsOf(sentences, nbest) });
    return sentences.map((_, sentence) =>
      drawn.slice(sentence * nbest, (sentence + 1) * nbest).toSorted((a, b) => b.score - a.score),
    );
  }
  if (search === "stochastic-beam") {
    const seeds = sentences.map(({ seed }) => seed);
    return (await stochasticBeamSearch(stepper, { ...told, beams, seed: seeds })).map((list) => list.slice(0, nbest));
  }
  const ofBeams = { ...told, beams, earlyStopping, coveragePenalty, nbest };
  if (search === "beam-sample") return beamSample(stepper, { ...ofBeams, seed: seedsOf(sentences, 1) });
  if (rows.some(({ phrases }) => phrases.length > 0)) {
    const phrases = rows.map((sentence) => sentence.phrases);
    return constrainedBeamSearch(stepper, { ...ofBeams, phrases });
  }
  if (groups > 1) return diverseBeamSearch(stepper, { ...ofBeams, groups, diversityPenalty });
  if (beams === 1) return (await greedySearch(stepper, told)).map((hypothesis) => [hypothesis]);
  return beamSearch(stepper, ofBeams);
}

/** Penalties and bans first, then what shapes a draw, in the order of Hugging Face's `generate`. */
function processorsOf(choices: DecodingChoices, target: Tokenizer): ScoreProcessor[] {
  const list: ScoreProcessor[] = [];
  if (choices.repetitionPenalty !== 1) list.push(repetitionPenalty(choices.repetitionPenalty));
  if (choices.presencePenalty !== 0) list.push(presencePenalty(choices.presencePenalty));
  if (choices.frequencyPenalty !== 0) list.push(frequencyPenalty(choices.frequencyPenalty));
  if (choices.blockNgram !== undefined) list.push(noRepeatNgram(choices.blockNgram));
  if (choices.avoid.length > 0) list.push(badWords(choices.avoid.map((text) => target.encode(text))));
  if (choices.oneOf.length > 0) {
    const outputs = choices.oneOf.map((text) => target.encode(text));
    list.push(following(trie(outputs, target.special.end)));
  }
  if (choices.temperature !== 1) list.push(temperature(choices.temperature));
  if (choices.topK !== undefined) list.push(topK(choices.topK));
  if (choices.topP !== undefined) list.push(nucleus(choices.topP));
  if (choices.minP !== undefined) list.push(minP(choices.minP));
  if (choices.typicalP !== undefined) list.push(typical(choices.typicalP));
  return list;
}
