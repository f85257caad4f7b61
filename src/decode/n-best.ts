// The ended hypotheses of one sentence, and the question whether better ones can still come.
import { divisorOf, normalised, type LengthPenalty } from "./length-penalty.ts";
import type { Ending, Hypothesis } from "./search.ts";
import type { EndedHypothesis, Trellis } from "./trellis.ts";

/**
 * When a sentence's search ends, once as many hypotheses have ended as there are beams:
 * - `true`: at once;
 * - `false`: when the best open one, were it to end now, could not enter the list. With a length penalty above 0 this
 *   may miss a longer, better one;
 * - `"never"`: when not even the most favourable length could bring it in, so that nothing is missed.
 */
export type EarlyStopping = boolean | "never";

export interface NBestOptions {
  readonly size: number;
  readonly lengthPenalty: LengthPenalty;
  readonly earlyStopping: EarlyStopping;
  readonly maxTokens: number;
}

interface Entry extends EndedHypothesis {
  readonly node: number;
}

/** Keeps the `size` best ended hypotheses of one sentence (or of one group of its beams). */
export class NBest {
  readonly #options: NBestOptions;
  readonly #entries: Entry[] = [];

  constructor(options: NBestOptions) {
    this.#options = options;
  }

  /**
   * Offers a hypothesis of `generated` tokens, END counted, whose last token before END is `node`. `bonus` is added to its
   * score and never above 0, as the question whether better ones can come counts on.
   */
  add(node: number, logProbability: number, generated: number, ending: Ending, bonus = 0): void {
    const score = normalised(logProbability, generated, this.#options.lengthPenalty) + bonus;
    const entries = this.#entries;
    if (entries.length === this.#options.size) {
      const worst = this.#worst();
      if (!(score > entries[worst]!.score)) return;
      entries.splice(worst, 1);
    }
    entries.push({ score, logProbability, node, ending });
  }

  get count(): number {
    return this.#entries.length;
  }

  /** Whether the search can stop, when the best candidate of this step sums to `best` at `generated` tokens. */
  isDone(best: number, generated: number): boolean {
    const { size, lengthPenalty, earlyStopping, maxTokens } = this.#options;
    if (this.#entries.length < size) return false;
    if (earlyStopping === true) return true;
    // Log-probabilities are below 0, so the largest divisor flatters most; it grows or falls evenly, so it lies at an end.
    const now = divisorOf(lengthPenalty, generated);
    const divisor = earlyStopping === "never" ? Math.max(now, divisorOf(lengthPenalty, maxTokens)) : now;
    return this.#entries[this.#worst()]!.score >= best / divisor;
  }

  /** The first of the lowest. */
  #worst(): number {
    let worst = 0;
    for (let i = 1; i < this.#entries.length; i++) {
      if (this.#entries[i]!.score < this.#entries[worst]!.score) worst = i;
    }
    return worst;
  }

  /** The best `count` of several lists together, best first; of equal ones the one that ended later. */
  static best(lists: readonly NBest[], count: number, trellis: Trellis): Hypothesis[] {
    return lists
      .flatMap((list) => list.#entries)
      .reverse()
      .sort((a, b) => b.score - a.score)
      .slice(0, count)
      .map((entry) => trellis.hypothesis(entry.node, entry));
  }
}
