// chrF and chrF++: F-score of character n-grams, and of word n-grams beside them.
import { ConfigError } from "../base/index.ts";
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
import { splitWords } from "./whitespace.ts";

export interface ChrfOptions {
  charOrder?: number;
  /** Word n-grams up to this order count too; 2 is chrF++. */
  wordOrder?: number;
  /** Recall weighs beta times as much as precision. */
  beta?: number;
  lowercase?: boolean;
  /** Keep white space among the characters. */
  whitespace?: boolean;
  /** Average the F-scores of all orders, a tiny number where nothing is to be counted, as chrF++.py and NLTK do. */
  epsSmoothing?: boolean;
}

/** By order, characters first, then words. An order that the chosen references lack counts no hypothesis n-grams either. */
export interface ChrfCounts {
  readonly hypothesis: readonly number[];
  readonly reference: readonly number[];
  readonly matches: readonly number[];
}

const epsilon = 1e-16;
const punctuation = new Set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~");

/**
 * chrF_β = (1 + β²) · P · R / (β² · P + R), in per cent, of n-gram precision and recall averaged over the orders.
 * Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation", section 2; Popović 2017, "chrF++". Of several
 * references each segment takes the one that it scores best with.
 *
 * @example
 * new Chrf({ wordOrder: 2 }).corpus(["The cat sat."], [["The cat sits."]]).name; // "chrF2++"
 */
export class Chrf implements Metric<ChrfCounts> {
  readonly name: string;
  readonly #options: Required<ChrfOptions>;

  constructor({
    charOrder = 6,
    wordOrder = 0,
    beta = 2,
    lowercase = false,
    whitespace = false,
    epsSmoothing = false,
  }: ChrfOptions = {}) {
    checkWhole("chrf.charOrder", charOrder, 0);
    checkWhole("chrf.wordOrder", wordOrder, 0);
    if (charOrder + wordOrder === 0)
      throw new ConfigError("chrf.charOrder", "charOrder and wordOrder cannot both be 0");
    if (!Number.isFinite(beta)) throw new ConfigError("chrf.beta", `must be a number (got ${beta})`);
    this.#options = { charOrder, wordOrder, beta, lowercase, whitespace, epsSmoothing };
    this.name = `chrF${beta}${"+".repeat(wordOrder)}`;
  }

  /** A row is hypothesis n-grams, reference n-grams and matches of one order after the other. */
  statistics(hypotheses: readonly string[], references: References): SegmentStatistics {
    const { charOrder, wordOrder } = this.#options;
    return measureSegments(hypotheses, references, 3 * (charOrder + wordOrder), (hypothesis, own) => {
      const characters = this.#characters(hypothesis);
      const words = this.#words(hypothesis);
      let best: number[] = [];
      let bestScore = -1;
      for (const reference of own) {
        const row = [
          ...compare(characters, this.#characters(reference), charOrder),
          ...compare(words, this.#words(reference), wordOrder),
        ];
        const score = this.#fScore(row);
        if (score > bestScore) [best, bestScore] = [row, score];
      }
      return best;
    });
  }

  score(sums: ArrayLike<number>, { references, trials, confidence }: ScoreContext): Score<ChrfCounts> {
    const { charOrder, wordOrder, lowercase, whitespace, epsSmoothing } = this.#options;
    const all = Array.from(sums);
    return new Score<ChrfCounts>({
      name: this.name,
      score: this.#fScore(all),
      signature: new Signature(
        references,
        [
          ["case", "c", lowercase ? "lc" : "mixed"],
          ["eff", "e", yesNo(!epsSmoothing)],
          ["nc", "nc", charOrder],
          ["nw", "nw", wordOrder],
          ["space", "s", yesNo(whitespace)],
        ],
        trials,
      ),
      counts: {
        hypothesis: all.filter((_, i) => i % 3 === 0),
        reference: all.filter((_, i) => i % 3 === 1),
        matches: all.filter((_, i) => i % 3 === 2),
      },
      confidence,
    });
  }

  corpus(hypotheses: readonly string[], references: References): Score<ChrfCounts> {
    return scoreCorpus(this, hypotheses, references);
  }

  sentence(hypothesis: string, references: readonly (string | null)[]): Score<ChrfCounts> {
    return scoreCorpus(
      this,
      [hypothesis],
      references.map((reference) => [reference]),
    );
  }

  #fScore(row: ArrayLike<number>): number {
    const factor = this.#options.beta ** 2;
    const orders = row.length / 3;
    let averaged = 0;
    let [precisions, recalls, effectiveOrders] = [0, 0, 0];
    for (let i = 0; i < row.length; i += 3) {
      const [hypothesis, reference, matches] = [row[i]!, row[i + 1]!, row[i + 2]!];
      const precision = hypothesis > 0 ? matches / hypothesis : epsilon;
      const recall = reference > 0 ? matches / reference : epsilon;
      const weight = factor * precision + recall;
      averaged += weight > 0 ? ((1 + factor) * precision * recall) / weight : epsilon;
      if (hypothesis > 0 && reference > 0) {
        precisions += precision;
        recalls += recall;
        effectiveOrders++;
      }
    }
    if (this.#options.epsSmoothing) return (100 * averaged) / orders;
    if (precisions + recalls === 0) return 0;
    const [precision, recall] = [precisions / effectiveOrders, recalls / effectiveOrders];
    return 100 * (((1 + factor) * precision * recall) / (factor * precision + recall));
  }

  #characters(line: string): string[] {
    const text = this.#options.lowercase ? line.toLowerCase() : line;
    return Array.from(this.#options.whitespace ? text : splitWords(text).join(""));
  }

  #words(line: string): string[] {
    if (this.#options.wordOrder === 0) return [];
    return splitWords(this.#options.lowercase ? line.toLowerCase() : line).flatMap(detachPunctuation);
  }
}

/** Counts of one order after the other: hypothesis n-grams (0 where the reference has none), reference n-grams, matches. */
function compare(hypothesis: readonly string[], reference: readonly string[], orders: number): number[] {
  const matches = new NgramCounts([reference], orders).matches(hypothesis);
  return matches.flatMap((matched, n) => {
    const total = ngramTotal(reference.length, n + 1);
    return [total > 0 ? ngramTotal(hypothesis.length, n + 1) : 0, total, matched];
  });
}

/** Takes one ASCII punctuation mark off the end of a word, else off its start: "(hi)" is "(hi" and ")", as published. */
function detachPunctuation(word: string): string[] {
  if (word.length === 1) return [word];
  if (punctuation.has(word.at(-1)!)) return [word.slice(0, -1), word.at(-1)!];
  return punctuation.has(word[0]!) ? [word[0]!, word.slice(1)] : [word];
}
