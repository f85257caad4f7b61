// What every search takes and gives: its options, a hypothesis, and the checks between them.
import { ConfigError, HeddleError } from "../base/index.ts";
import type { ScoreProcessor } from "./processors/score-processor.ts";
import type { Step, Stepper } from "./stepper.ts";

export interface SearchOptions {
  /**
   * What every hypothesis begins with: one token for all, or each sentence's own tokens. The last of them is fed in the
   * first step; a stepper has taken in those before it when it was started. They are in no result.
   */
  readonly start: number | readonly (readonly number[])[];
  /** The token, or tokens, that end a hypothesis. Without one every hypothesis runs to `maxTokens`. */
  readonly end?: number | readonly number[];
  /** The most tokens to generate, END counted, start not: one number for all, or each sentence's own. */
  readonly maxTokens: number | readonly number[];
  /** END is refused before this many tokens: one number for all, or each sentence's own. */
  readonly minTokens?: number | readonly number[];
  /** Changes to the scores before the choice, applied in this order. */
  readonly processors?: readonly ScoreProcessor[];
  /** Says of a hypothesis that it ends here, without END: a stop string. Its last token stays. */
  readonly stop?: StopRule;
  /** Looked at between steps. */
  readonly signal?: AbortSignal;
}

/** Whether what was generated so far is a whole output. */
export type StopRule = (generated: readonly number[], sentence: number) => boolean;

/** How a hypothesis came to its end: by END, by a stop rule, or not: cut at the greatest length, or nothing could follow. */
export type Ending = "end" | "stop" | "cut";

/** One output of a search. */
export interface Hypothesis {
  /** What was generated, without the start and without END. */
  readonly tokens: number[];
  /** logProbability divided as the length penalty says, by n^lengthPenalty for a number; n = tokens generated, END counted. */
  readonly score: number;
  /** Sum over all tokens, END too, of the log-probability after the processors had their say. */
  readonly logProbability: number;
  /** The same token by token; where END ended it, END's comes last, so there is one more than there are tokens. */
  readonly tokenLogProbabilities: number[];
  /** Whether it ended with END or by the stop rule; otherwise `maxTokens` cut it. */
  readonly finished: boolean;
}

/**
 * Which numbers the processors of a greedy search or of sampling see. Nearly all give the same choice on either, as the
 * softmax shifts a row by one number; a repetition penalty does not, because it multiplies. "logProbabilities" keeps greedy
 * search equal to a beam of one; "logits" is what Hugging Face's `generate` does without beams, and needs `Stepper.logits`.
 */
export type Scale = "logProbabilities" | "logits";

/** Thrown between two steps after the caller's signal was raised. */
export class SearchAborted extends HeddleError {
  override name = "AbortError";
}

/** Every sentence's start tokens. */
export function promptsOf(
  { sentences, vocabularySize }: Pick<Stepper, "sentences" | "vocabularySize">,
  start: SearchOptions["start"],
): readonly (readonly number[])[] {
  const prompts = typeof start === "number" ? new Array<readonly number[]>(sentences).fill([start]) : start;
  if (prompts.length !== sentences) {
    throw new ConfigError(
      "start",
      `${prompts.length} lists of tokens for ${sentences} sentences. Give one list a sentence.`,
    );
  }
  for (const [sentence, prompt] of prompts.entries()) {
    if (prompt.length === 0) {
      throw new ConfigError("start", `sentence ${sentence} has no token to start from. Give at least one.`);
    }
    for (const token of prompt) checkToken("start", token, vocabularySize);
  }
  return prompts;
}

/** The ends as a list, checked. */
export function endsOf(stepper: Stepper, end: SearchOptions["end"]): readonly number[] {
  const ends = end === undefined ? [] : typeof end === "number" ? [end] : end;
  for (const token of ends) checkToken("end", token, stepper.vocabularySize);
  return ends;
}

export function checkToken(place: string, token: number, vocabularySize: number): void {
  if (!Number.isInteger(token) || token < 0 || token >= vocabularySize) {
    throw new ConfigError(place, `token ${token} is not in the vocabulary (0 to ${vocabularySize - 1}).`);
  }
}

export function checkCount(place: string, count: number, least: number): void {
  if (!Number.isInteger(count) || count < least) {
    throw new ConfigError(place, `expected a whole number of at least ${least}, got ${count}.`);
  }
}

/** The greatest length of each sentence, and the least. */
export function lengthsOf(
  { sentences }: Pick<Stepper, "sentences">,
  maxTokens: SearchOptions["maxTokens"],
  minTokens: SearchOptions["minTokens"] = 0,
): { readonly most: readonly number[]; readonly least: readonly number[] } {
  const each = (place: string, given: number | readonly number[], smallest: number): readonly number[] => {
    const all = typeof given === "number" ? new Array<number>(sentences).fill(given) : given;
    if (all.length !== sentences)
      throw new ConfigError(
        place,
        `${all.length} lengths for ${sentences} sentences. Give one a sentence, or a number.`,
      );
    for (const count of new Set(all)) checkCount(place, count, smallest);
    return all;
  };
  const most = each("maxTokens", maxTokens, 1);
  const least = each("minTokens", minTokens, 0);
  const crossed = most.findIndex((count, sentence) => least[sentence]! > count);
  if (crossed >= 0) {
    throw new ConfigError(
      "minTokens",
      `${least[crossed]} tokens at least cannot be had with maxTokens ${most[crossed]}. Raise maxTokens.`,
    );
  }
  return { most, least };
}

export function checkSignal(signal: AbortSignal | undefined, stepIndex: number): void {
  if (signal?.aborted) throw new SearchAborted(`search aborted before step ${stepIndex}`);
}

/** A model that has gone wrong must stop the search, not choose a token. */
export function refuseScores(step: Step, stepIndex: number, row: number, value: number): never {
  const sentence = step.sentences[Math.floor(row / step.beams)];
  throw new HeddleError(
    `search: the model's scores for sentence ${sentence}, step ${stepIndex}, hypothesis ${row % step.beams} hold ${value} ` +
      `where log-probabilities were expected. Check the weights (not finite?) and the sentence's input (empty or fully masked?).`,
  );
}
