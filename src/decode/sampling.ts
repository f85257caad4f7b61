// Sampling: the next token is drawn, not chosen.
import { randomKey, RandomStream } from "../base/index.ts";
import { Intake, type Ended } from "./admission.ts";
import { CandidateSource } from "./candidates.ts";
import { logSumExp } from "./log-sum-exp.ts";
import { endsOf, refuseScores, type Hypothesis, type Scale } from "./search.ts";
import { streamsOf } from "./seeds.ts";
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

/** The same, each sentence's as soon as it has been drawn to its end. */
export async function* sampleEach(stepper: Stepper, options: SampleOptions): AsyncGenerator<Ended> {
  for await (const { ended } of sampleSteps(stepper, options)) yield* ended;
}

export function sampleSteps(stepper: Stepper, options: SampleOptions): AsyncGenerator<Chosen> {
  const { end, processors, seed, scale = "logProbabilities" } = options;
  const streamOf = streamsOf(seed, stepper.sentences, options);
  const ends = endsOf(stepper, end);
  const intake = new Intake(stepper, options);
  const source = new CandidateSource(stepper, intake.withMinimum(processors, ends), scale);
  return singleSteps(intake, options, ends, async (step, stepIndex, prefixOf) => {
    const scores = await source.scores(step);
    const { vocabularySize } = stepper;
    const drawn: Candidates = {
      count: 1,
      tokens: new Int32Array(step.sentences.length),
      logProbabilities: new Float32Array(step.sentences.length),
    };
    for (const [row, sentence] of step.sentences.entries()) {
      const scoresOfRow = scores.subarray(row * vocabularySize, (row + 1) * vocabularySize);
      const prefix = prefixOf(row)!;
      // By the sentence's own count, so that its draw does not depend on when it joined.
      const key = randomKey(...streamOf(sentence), prefix.generated);
      source.process(scoresOfRow, prefix, row, step, stepIndex);
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
