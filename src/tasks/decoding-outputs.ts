// What goes into a translation and what comes out: lines with their wishes, outputs with their scores.
import { beforeStop, type Hypothesis } from "../decode/index.ts";
import type { Tokenizer } from "../text/index.ts";
import { minimumBayesRisk, utilities } from "./decoding-mbr.ts";
import type { DecodingChoices } from "./decoding-options.ts";

/** A line to translate; with what every translation of it must hold, and what it begins with. */
export type TranslationLine =
  | string
  | { readonly text: string; readonly phrases?: readonly string[]; readonly prefix?: string };

/** One translation of a line. */
export interface Translated {
  readonly text: string;
  /** Log-probability divided as the length penalty says; of a stochastic beam search the perturbed log-probability. */
  readonly score: number;
  readonly logProbability: number;
  /** The tokens written, END too where it came. */
  readonly tokens: readonly string[];
  /** The log-probability of each of them. */
  readonly tokenLogProbabilities: readonly number[];
  /** Whether it came to its end, or to a stop string; otherwise the greatest length cut it, or nothing could follow. */
  readonly finished: boolean;
  /** How well it agrees with the other candidates, where minimum Bayes risk chose. */
  readonly expectedUtility?: number;
}

export const nothingTranslated: Translated = {
  text: "",
  score: 0,
  logProbability: 0,
  tokens: [],
  tokenLogProbabilities: [],
  finished: true,
};

/** The text of a line. */
export function textOf(line: TranslationLine): string {
  return typeof line === "string" ? line : line.text;
}

/** Ids as tokens to look at. */
export function namesOf(tokenizer: Tokenizer, ids: readonly number[]): string[] {
  return ids.map((id) => tokenizer.tokenOf(id) ?? `${id}`);
}

/** The text of tokens, read together with what they continue, if anything: a token alone may lack its space. */
export function continuationText(
  tokenizer: Tokenizer,
  beginning: readonly number[],
  tokens: readonly number[],
): string {
  if (beginning.length === 0) return tokenizer.decode(tokens);
  const before = tokenizer.decode(beginning);
  const whole = tokenizer.decode([...beginning, ...tokens]);
  return whole.startsWith(before) ? whole.slice(before.length) : tokenizer.decode(tokens);
}

/** A hypothesis as text, cut before a stop string; `beginning` as in `continuationText`. */
export function translatedOf(
  hypothesis: Hypothesis,
  target: Tokenizer,
  stop: readonly string[],
  beginning: readonly number[] = [],
): Translated {
  const { tokens, tokenLogProbabilities, score, logProbability, finished } = hypothesis;
  const isEnded = tokenLogProbabilities.length > tokens.length;
  return {
    text: beforeStop(continuationText(target, beginning, tokens), stop),
    score,
    logProbability,
    tokens: namesOf(target, isEnded ? [...tokens, target.special.end] : tokens),
    tokenLogProbabilities,
    finished,
  };
}

/** The outputs that agree best with all, best first; drawn ones count alike, those of a beam by their probability. */
export function chosenByRisk(candidates: readonly Translated[], { search, mbr, nbest }: DecodingChoices): Translated[] {
  const [first] = candidates;
  if (mbr === "none" || first === undefined) return [...candidates];
  const most = Math.max(...candidates.map(({ logProbability }) => logProbability));
  const weights = candidates.map(({ logProbability }) => (search === "sample" ? 1 : Math.exp(logProbability - most)));
  const ranked = minimumBayesRisk(
    candidates.map(({ text }) => text),
    { utility: utilities[mbr], weights },
  );
  return ranked.slice(0, nbest).map(({ index, expectedUtility }) => ({ ...candidates[index]!, expectedUtility }));
}
