// Beam sampling: a beam whose continuations are drawn, where beam search takes the best.
import { randomKey, randomWord, type RandomKey } from "../base/index.ts";
import { inOrder, type Ended } from "./admission.ts";
import { beamSteps, type BeamSearchOptions, type Offer } from "./beam.ts";
import { Extensions } from "./frontier.ts";
import { refuseScores, type Hypothesis } from "./search.ts";
import { streamsOf, type StreamOf } from "./seeds.ts";
import type { Stepper } from "./stepper.ts";

export interface BeamSampleOptions extends BeamSearchOptions {
  /** One seed for all, of which sentence i gets stream i; or each sentence's own, which then depends on no neighbour. */
  readonly seed: number | readonly number[];
}

/**
 * Beam search in which each step draws the 2 × beams extensions that it looks at, without replacement, with chances in proportion
 * to exp of their scores so far; from there it goes on as `beamSearch` does, best first. What `generate` of Hugging Face's library
 * does with `do_sample` and several beams. As there, processors change scores for good: after a temperature of 0.5, `score` and
 * `logProbability` are of doubled log-probabilities, and as it falls, outputs become those of beam search.
 *
 * Its outputs have no distribution that one could name; for draws that have, see `sample` and `stochasticBeamSearch`.
 *
 * @example
 * const [best] = await beamSample(stepper, { start: 1, end: 2, maxTokens: 50, beams: 4, seed: 7, processors: [topK(50)] });
 */
export async function beamSample(stepper: Stepper, options: BeamSampleOptions): Promise<Hypothesis[][]> {
  return inOrder(drawnSteps(stepper, options));
}

/** The same, each sentence's as soon as its search is over. */
export async function* beamSampleEach(stepper: Stepper, options: BeamSampleOptions): AsyncGenerator<Ended> {
  for await (const ended of drawnSteps(stepper, options)) yield* ended;
}

function drawnSteps(stepper: Stepper, { seed, ...options }: BeamSampleOptions): AsyncGenerator<readonly Ended[]> {
  const streamOf = streamsOf(seed, stepper.sentences, options);
  return beamSteps(stepper, options, (count) => offerDrawn(count, streamOf));
}

function offerDrawn(count: number, streamOf: StreamOf): Offer {
  const drawn = new Drawn(count);
  return async (source, frontier) => {
    const { step, steps, beams, sums } = frontier;
    const scores = await source.scores(step);
    const vocabularySize = scores.length / step.tokens.length;
    return (place) => {
      const sentence = frontier.sentenceAt(place);
      const stream = streamOf(sentence);
      drawn.clear();
      for (let beam = 0; beam < beams; beam++) {
        const row = place * beams + beam;
        const prefix = frontier.prefix(row);
        if (prefix === undefined) continue;
        const scoresOfRow = scores.subarray(row * vocabularySize, (row + 1) * vocabularySize);
        source.process(scoresOfRow, prefix, row, step, steps);
        const bad = drawn.offer(row, scoresOfRow, sums[row]!, randomKey(...stream, frontier.generatedAt(place), beam));
        if (bad !== undefined) refuseScores(step, steps, row, bad);
      }
      return drawn.bestFirst();
    };
  };
}

interface Draw {
  readonly row: number;
  readonly token: number;
  readonly sum: number;
  /** `sum` and Gumbel noise. */
  readonly perturbed: number;
}

/** −ln(−ln u) of the largest u that is drawn. */
const mostNoise = 18;

/**
 * So many extensions drawn without replacement, each time with chances in proportion to exp of the sums that are left: those whose
 * sums with Gumbel noise are the largest. Kool et al. 2019, "Stochastic Beams and Where to Find Them", section 2.3.
 */
class Drawn {
  readonly #count: number;
  /** The largest perturbed first. */
  #draws: Draw[] = [];
  readonly #extensions: Extensions;

  constructor(count: number) {
    this.#count = count;
    this.#extensions = new Extensions(count, 0);
  }

  clear(): void {
    this.#draws = [];
  }

  /** All tokens after a row of this sum; the number that makes its scores unusable, if there is one. */
  offer(row: number, scores: Float32Array, before: number, key: RandomKey): number | undefined {
    const draws = this.#draws;
    for (let token = 0; token < scores.length; token++) {
      const score = scores[token]!;
      if (score === -Infinity) continue;
      if (!(score < Infinity)) return score;
      const sum = before + score;
      const worst = draws.length < this.#count ? -Infinity : draws.at(-1)!.perturbed;
      if (sum + mostNoise <= worst) continue;
      // Never 0 and never 1.
      const uniform = (randomWord(key, token) >>> 8) * 2 ** -24 + 2 ** -25;
      const perturbed = sum - Math.log(-Math.log(uniform));
      if (perturbed <= worst) continue;
      if (draws.length === this.#count) draws.pop();
      let to = draws.length;
      while (to > 0 && draws[to - 1]!.perturbed < perturbed) to--;
      draws.splice(to, 0, { row, token, sum, perturbed });
    }
    return undefined;
  }

  /** What was drawn, the largest sum first; of equal ones the lower row, then the lower token. */
  bestFirst(): Extensions {
    const sorted = this.#draws.toSorted((a, b) => b.sum - a.sum || a.row - b.row || a.token - b.token);
    for (const [i, { row, token, sum }] of sorted.entries()) {
      this.#extensions.rows[i] = row;
      this.#extensions.tokens[i] = token;
      this.#extensions.sums[i] = sum;
    }
    this.#extensions.size = sorted.length;
    return this.#extensions;
  }
}
