// What every metric returns: a number, how it was made, and the counts it came from.
import { fixed } from "./fixed.ts";
import type { Signature } from "./signature.ts";

/** Mean of bootstrap resamples and half the width of the interval that holds 95 % of them. */
export interface Confidence {
  readonly mean: number;
  readonly halfWidth: number;
}

export interface ScoreFormat {
  /** Decimals of the score and of its confidence. */
  width?: number;
  /** Leave out the name and what follows the number. */
  scoreOnly?: boolean;
  /** Signature to print after the name; none when empty. */
  signature?: string;
}

/**
 * A score of a corpus or a sentence. `Counts` are the metric's own: see `BleuCounts`, `ChrfCounts`, `TerCounts`.
 *
 * @example
 * new Ter().sentence("a b c", ["a b d"]).text; // "TER = 33.33"
 */
export class Score<Counts = unknown> {
  readonly name: string;
  readonly score: number;
  readonly signature: Signature;
  readonly counts: Counts;
  /** What is printed after the number; empty for most metrics. */
  readonly details: string;
  readonly confidence: Confidence | undefined;

  constructor(facts: {
    name: string;
    score: number;
    signature: Signature;
    counts: Counts;
    details?: string;
    confidence?: Confidence | undefined;
  }) {
    this.name = facts.name;
    this.score = facts.score;
    this.signature = facts.signature;
    this.counts = facts.counts;
    this.details = facts.details ?? "";
    this.confidence = facts.confidence;
  }

  /** The score as a line with two decimals and without signature. */
  get text(): string {
    return this.format();
  }

  /** `NAME|SIGNATURE = SCORE (μ = MEAN ± HALF WIDTH) DETAILS`, with the parts that exist and are wanted. */
  format({ width = 2, scoreOnly = false, signature = "" }: ScoreFormat = {}): string {
    const number = fixed(this.score, width) + (this.confidence ? this.#interval(this.confidence, width) : "");
    if (scoreOnly) return number;
    const name = signature === "" ? this.name : `${this.name}|${signature}`;
    return this.details === "" ? `${name} = ${number}` : `${name} = ${number} ${this.details}`;
  }

  /** A mean of 0 says that nothing ever matched, and is not printed. */
  #interval({ mean, halfWidth }: Confidence, width: number): string {
    return mean > 0 ? ` (μ = ${fixed(mean, width)} ± ${fixed(halfWidth, width)})` : "";
  }
}
