// The best few of whole rows of scores, in arrays that are used again.
import type { Candidates } from "./stepper.ts";

export class CandidateList {
  #tokens = new Int32Array(0);
  #logProbabilities = new Float32Array(0);
  #count = 0;

  /** Room for `rows` × `count` candidates, to be filled row by row. */
  room(rows: number, count: number): Candidates {
    if (this.#tokens.length < rows * count) {
      this.#tokens = new Int32Array(rows * count);
      this.#logProbabilities = new Float32Array(rows * count);
    }
    this.#count = count;
    return { count, tokens: this.#tokens, logProbabilities: this.#logProbabilities };
  }

  /**
   * Puts the best of these scores into a row, best first, lower token first among equals, by insertion into a short sorted
   * list; −Infinity where they are too few. Returns the number that makes the row unusable, if there is one. A row without any
   * possible token is usable: its hypothesis ends there.
   */
  fill(row: number, scores: Float32Array): number | undefined {
    const [count, tokens, logProbabilities] = [this.#count, this.#tokens, this.#logProbabilities];
    const at = row * count;
    let filled = 0;
    let worst = -Infinity;
    for (let token = 0; token < scores.length; token++) {
      const score = scores[token]!;
      // Written so that NaN gets in here too.
      if (score <= worst) continue;
      if (!(score < Infinity)) return score;
      let to = at + (filled < count ? filled++ : count - 1);
      for (; to > at && logProbabilities[to - 1]! < score; to--) {
        logProbabilities[to] = logProbabilities[to - 1]!;
        tokens[to] = tokens[to - 1]!;
      }
      logProbabilities[to] = score;
      tokens[to] = token;
      if (filled === count) worst = logProbabilities[at + count - 1]!;
    }
    logProbabilities.fill(-Infinity, at + filled, at + count);
    return undefined;
  }
}
