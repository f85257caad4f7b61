// Sampling: the next token is drawn, not chosen.
import { ConfigError, randomKey, RandomStream } from "../base/index.ts";
import { CandidateSource } from "./candidates.ts";
import { logSumExp } from "./log-sum-exp.ts";
import { withMinimum } from "./processors/length.ts";
import { endsOf, lengthsOf, refuseScores, type Hypothesis, type Scale } from "./search.ts";
import { finish, singleSteps, type Chosen, type SingleSearchOptions } from "./single.ts";
import type { Candidates, Stepper } from "./stepper.ts";

export interface SampleOptions extends SingleSearchOptions {
  /** One seed for all, of which sentence i gets stream i; or each sentence's own, which then depends on no neighbour. */
  readonly seed: number | readonly number[];
  /** What the processors see, see `Scale`. */
  readonly scale?: Scale;
}

/**
 * One drawn hypothesis for every sentence. Temperature, top-k, nucleus and the like are processors. The token at step t of
 * a sentence depends on its seed, t and its scores alone, so the same seed gives the same text. The log-probability
 * reported is that of the distribution drawn from.
 *
 * @example
 * await sample(stepper, { start: 1, end: 2, maxTokens: 50, seed: 7, processors: [temperature(0.8), nucleus(0.95)] });
 */
export function sample(stepper: Stepper, options: SampleOptions): Promise<Hypothesis[]> {
  return finish(sampleSteps(stepper, options));
}

export function sampleSteps(stepper: Stepper, options: SampleOptions): AsyncGenerator<Chosen, Hypothesis[]> {
  const { end, maxTokens, minTokens, processors = [], seed, scale = "logProbabilities" } = options;
  if (typeof seed !== "number" && seed.length !== stepper.sentences) {
    throw new ConfigError(
      "seed",
      `${seed.length} seeds for ${stepper.sentences} sentences. Give one a sentence, or a single one.`,
    );
  }
  const ends = endsOf(stepper, end);
  const { least } = lengthsOf(stepper, maxTokens, minTokens);
  const source = new CandidateSource(stepper, withMinimum(processors, least, ends), scale);
  return singleSteps(stepper, options, ends, async (step, stepIndex, prefixOf) => {
    const scores = await source.scores(step);
    const { vocabularySize } = stepper;
    const drawn: Candidates = {
      count: 1,
      tokens: new Int32Array(step.sentences.length),
      logProbabilities: new Float32Array(step.sentences.length),
    };
    for (const [row, sentence] of step.sentences.entries()) {
      const scoresOfRow = scores.subarray(row * vocabularySize, (row + 1) * vocabularySize);
      source.process(scoresOfRow, prefixOf(row)!, row, step, stepIndex);
      const key =
        typeof seed === "number" ? randomKey(seed, sentence, stepIndex) : randomKey(seed[sentence]!, stepIndex);
      const total = logSumExp(scoresOfRow);
      if (!(total < Infinity)) refuseScores(step, stepIndex, row, total);
      const token = draw(scoresOfRow, total, new RandomStream(key).uniform());
      drawn.tokens[row] = token;
      drawn.logProbabilities[row] = token < 0 ? -Infinity : scoresOfRow[token]! - total;
    }
    return drawn;
  });
}

/** The token at which the running sum of probabilities passes `uniform` [0, 1); −1 where no token is possible. */
function draw(scores: Float32Array, total: number, uniform: number): number {
  let sum = 0;
  let last = -1;
  for (let token = 0; token < scores.length; token++) {
    if (scores[token] === -Infinity) continue;
    last = token; // rounding may leave the sum a little below 1
    sum += Math.exp(scores[token]! - total);
    if (uniform < sum) return token;
  }
  return last;
}
