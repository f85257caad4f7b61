// BLEU: precision of word n-grams, with a penalty for brevity.
import { ConfigError, silent, type Listener } from "../base/index.ts";
import { bleuTokenizers, type BleuTokenizer } from "./bleu-tokenizers.ts";
import { fixed } from "./fixed.ts";
import {
  checkWhole,
  measureSegments,
  scoreCorpus,
  type Metric,
  type References,
  type ScoreContext,
  type SegmentStatistics,
} from "./metric.ts";
import { NgramCounts, ngramTotal } from "./ngrams.ts";
import { Score } from "./score.ts";
import { Signature, yesNo } from "./signature.ts";
import { splitWords, trimEnd } from "./whitespace.ts";

/** Default smoothing value of each method; `undefined`: the method takes none. */
const smoothingDefaults = { none: undefined, floor: 0.1, "add-k": 1, exp: undefined } as const;

/** What to do where no n-gram of an order matches (Chen and Cherry 2014; `floor`, `add-k`, `exp` are their methods 1, 2, 3). */
export type BleuSmoothing = keyof typeof smoothingDefaults;

export const bleuSmoothings = Object.keys(smoothingDefaults) as readonly BleuSmoothing[];

export interface BleuOptions {
  lowercase?: boolean;
  tokenize?: BleuTokenizer;
  smoothMethod?: BleuSmoothing;
  /** Count that `floor` puts for 0 (0.1) or that `add-k` adds above unigrams (1); the other methods take no heed of it. */
  smoothValue?: number;
  maxNgramOrder?: number;
  /** Leave out orders for which the hypothesis is too short: wanted for sentences. */
  effectiveOrder?: boolean;
  /** Do not warn that the hypotheses look tokenized. */
  force?: boolean;
  /** Hears warnings. */
  listener?: Listener;
}

export interface BleuCounts {
  /** Matched n-grams by order, with what `add-k` added. */
  readonly counts: readonly number[];
  /** N-grams of the hypotheses by order, with what `add-k` added. */
  readonly totals: readonly number[];
  /** Per cent, by order, after smoothing. */
  readonly precisions: readonly number[];
  readonly brevityPenalty: number;
  readonly hypothesisLength: number;
  /** Sum of the lengths of the references closest in length. */
  readonly referenceLength: number;
}

/** Lines ending in a detached period from which on the hypotheses look as if somebody had tokenized them. */
const suspiciousLines = 100;

/**
 * BLEU = BP · exp(1/N Σₙ ln pₙ), in per cent; BP = exp(1 − r/c) where the hypotheses' length c is below the references' r.
 * Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation", section 2.3.
 *
 * @example
 * new Bleu().corpus(["The cat sat on the mat."], [["The cat is on the mat."]]).text;
 */
export class Bleu implements Metric<BleuCounts> {
  readonly name = "BLEU";
  readonly #options: Required<Omit<BleuOptions, "smoothValue">> & { smoothValue: number | undefined };

  constructor({
    lowercase = false,
    tokenize = "13a",
    smoothMethod = "exp",
    smoothValue,
    maxNgramOrder = 4,
    effectiveOrder = false,
    force = false,
    listener = silent,
  }: BleuOptions = {}) {
    checkName("bleu.tokenize", tokenize, bleuTokenizers);
    checkName("bleu.smoothMethod", smoothMethod, smoothingDefaults);
    checkWhole("bleu.maxNgramOrder", maxNgramOrder, 1);
    if (smoothValue !== undefined && !(smoothValue >= 0 && Number.isFinite(smoothValue))) {
      throw new ConfigError("bleu.smoothValue", `must be a number of at least 0 (got ${smoothValue})`);
    }
    this.#options = {
      lowercase,
      tokenize,
      smoothMethod,
      smoothValue: smoothValue ?? smoothingDefaults[smoothMethod],
      maxNgramOrder,
      effectiveOrder,
      force,
      listener,
    };
  }

  /** A row is hypothesis length, reference length, matches by order, totals by order. */
  statistics(hypotheses: readonly string[], references: References): SegmentStatistics {
    const { maxNgramOrder, force } = this.#options;
    if (!force && hypotheses.filter((line) => line.endsWith(" .")).length >= suspiciousLines) {
      this.#warn(
        `at least ${suspiciousLines} hypotheses end in a detached period; BLEU tokenizes by itself and wants plain text. ` +
          "Detokenize them, or set force if they are meant to be so.",
      );
    }
    return measureSegments(hypotheses, references, 2 + 2 * maxNgramOrder, (hypothesis, own) => {
      const words = this.#words(hypothesis);
      const referenceWords = own.map((reference) => this.#words(reference));
      const matches = new NgramCounts(referenceWords, maxNgramOrder).matches(words);
      const totals = matches.map((_, n) => ngramTotal(words.length, n + 1));
      return [words.length, closestLength(words.length, referenceWords), ...matches, ...totals];
    });
  }

  score(sums: ArrayLike<number>, { references, trials, confidence }: ScoreContext): Score<BleuCounts> {
    const { maxNgramOrder, smoothMethod, smoothValue, lowercase, effectiveOrder, tokenize } = this.#options;
    const all = Array.from(sums);
    const [hypothesisLength, referenceLength] = [all[0]!, all[1]!];
    const counts = all.slice(2, 2 + maxNgramOrder);
    const totals = all.slice(2 + maxNgramOrder);
    const precisions = counts.map(() => 0);
    const brevityPenalty = penalty(hypothesisLength, referenceLength);

    let score = 0;
    if (counts.some((count) => count > 0)) {
      const orders = this.#smooth(counts, totals, precisions);
      const logarithms = precisions.slice(0, effectiveOrder ? orders : maxNgramOrder).map(flooredLog);
      score = brevityPenalty * Math.exp(logarithms.reduce((sum, x) => sum + x, 0) / logarithms.length);
    }

    const ratio = referenceLength === 0 ? 0 : hypothesisLength / referenceLength;
    const smoothing =
      smoothingDefaults[smoothMethod] === undefined ? smoothMethod : `${smoothMethod}[${fixed(smoothValue!, 2)}]`;
    return new Score<BleuCounts>({
      name: this.name,
      score,
      signature: new Signature(
        references,
        [
          ["case", "c", lowercase ? "lc" : "mixed"],
          ["eff", "e", yesNo(effectiveOrder)],
          ["tok", "tok", tokenize],
          ["smooth", "s", smoothing],
        ],
        trials,
      ),
      counts: { counts, totals, precisions, brevityPenalty, hypothesisLength, referenceLength },
      details:
        `${precisions.map((precision) => fixed(precision, 1)).join("/")} (BP = ${fixed(brevityPenalty, 3)} ` +
        `ratio = ${fixed(ratio, 3)} hyp_len = ${hypothesisLength} ref_len = ${referenceLength})`,
      confidence,
    });
  }

  corpus(hypotheses: readonly string[], references: References): Score<BleuCounts> {
    return scoreCorpus(this, hypotheses, references);
  }

  sentence(hypothesis: string, references: readonly (string | null)[]): Score<BleuCounts> {
    if (!this.#options.effectiveOrder)
      this.#warn("sentence scores of short lines are 0 or all smoothing unless effectiveOrder is set.");
    return scoreCorpus(
      this,
      [hypothesis],
      references.map((reference) => [reference]),
    );
  }

  /** Fills the precisions, in place; `add-k` changes counts and totals too. Returns the orders that the hypotheses reach. */
  #smooth(counts: number[], totals: number[], precisions: number[]): number {
    const { smoothMethod, smoothValue = 0 } = this.#options;
    let halving = 1;
    let reached = counts.length;
    for (let n = 0; n < counts.length; n++) {
      if (smoothMethod === "add-k" && n > 0) {
        counts[n]! += smoothValue;
        totals[n]! += smoothValue;
      }
      const [count, total] = [counts[n]!, totals[n]!];
      if (total === 0) break;
      reached = n + 1;
      if (count !== 0) precisions[n] = (100 * count) / total;
      else if (smoothMethod === "exp") precisions[n] = 100 / ((halving *= 2) * total);
      else if (smoothMethod === "floor") precisions[n] = (100 * smoothValue) / total;
    }
    return reached;
  }

  #words(line: string): string[] {
    const { lowercase, tokenize } = this.#options;
    return splitWords(bleuTokenizers[tokenize](trimEnd(lowercase ? line.toLowerCase() : line)));
  }

  #warn(message: string): void {
    this.#options.listener({ type: "log", level: "warning", message: `BLEU: ${message}` });
  }
}

/** Length of the reference closest in length, the shorter of two that are equally close. */
function closestLength(length: number, references: readonly (readonly string[])[]): number {
  let best = references[0]!.length;
  for (const { length: candidate } of references) {
    const nearer = Math.abs(candidate - length) - Math.abs(best - length);
    if (nearer < 0 || (nearer === 0 && candidate < best)) best = candidate;
  }
  return best;
}

function penalty(hypothesisLength: number, referenceLength: number): number {
  if (hypothesisLength >= referenceLength) return 1;
  return hypothesisLength > 0 ? Math.exp(1 - referenceLength / hypothesisLength) : 0;
}

/** ln x, with a number low enough to make any product 0 in place of −∞. */
function flooredLog(x: number): number {
  return x === 0 ? -9999999999 : Math.log(x);
}

function checkName(place: string, name: string, known: object): void {
  if (!Object.hasOwn(known, name))
    throw new ConfigError(place, `must be one of ${Object.keys(known).join(", ")} (got ${name})`);
}
