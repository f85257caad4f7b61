// The ended hypotheses of one sentence, and the question whether better ones can still come.
import { normalised, type Hypothesis } from "./search.ts";
import type { Trellis } from "./trellis.ts";

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
  readonly lengthPenalty: number;
  readonly earlyStopping: EarlyStopping;
  readonly maxTokens: number;
}

interface Entry {
  score: number;
  logProbability: number;
  node: number;
  finished: boolean;
}

/** Keeps the `size` best ended hypotheses of one sentence (or of one group of its beams). */
export class NBest {
  readonly #options: NBestOptions;
  readonly #entries: Entry[] = [];

  constructor(options: NBestOptions) {
    this.#options = options;
  }

  /** Offers a hypothesis of `generated` tokens, END counted, whose last token before END is `node`. */
  add(node: number, logProbability: number, generated: number, finished: boolean): void {
    const score = normalised(logProbability, generated, this.#options.lengthPenalty);
    const entries = this.#entries;
    if (entries.length === this.#options.size) {
      const worst = this.#worst();
      if (!(score > entries[worst]!.score)) return;
      entries.splice(worst, 1);
    }
    entries.push({ score, logProbability, node, finished });
  }

  /** Whether the search can stop, when the best candidate of this step sums to `best` at `generated` tokens. */
  isDone(best: number, generated: number): boolean {
    const { size, lengthPenalty, earlyStopping, maxTokens } = this.#options;
    if (this.#entries.length < size) return false;
    if (earlyStopping === true) return true;
    const length = earlyStopping === "never" && lengthPenalty > 0 ? maxTokens : generated;
    return this.#entries[this.#worst()]!.score >= normalised(best, length, lengthPenalty);
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
      .map(({ node, score, logProbability, finished }) => ({
        tokens: trellis.read(node),
        score,
        logProbability,
        finished,
      }));
  }
}
