// Greedy search: the likeliest token, and again.
import { CandidateSource } from "./candidates.ts";
import { withMinimum } from "./processors/length.ts";
import { endsOf, lengthsOf, type Hypothesis, type Scale } from "./search.ts";
import { finish, singleSteps, type Chosen, type SingleSearchOptions } from "./single.ts";
import type { Stepper } from "./stepper.ts";

export interface GreedySearchOptions extends SingleSearchOptions {
  /** What the processors see, see `Scale`; only a repetition penalty tells the difference. */
  readonly scale?: Scale;
}

/**
 * The one hypothesis of every sentence that takes the likeliest token at each step; of equal ones the lower. Equal to a
 * beam search with one beam.
 *
 * @example
 * const outputs = await greedySearch(stepper, { start: 1, end: 2, maxTokens: 50 });
 */
export function greedySearch(stepper: Stepper, options: GreedySearchOptions): Promise<Hypothesis[]> {
  return finish(greedySteps(stepper, options));
}

export function greedySteps(stepper: Stepper, options: GreedySearchOptions): AsyncGenerator<Chosen, Hypothesis[]> {
  const { end, maxTokens, minTokens, processors = [], scale = "logProbabilities" } = options;
  const ends = endsOf(stepper, end);
  const { least } = lengthsOf(stepper, maxTokens, minTokens);
  const source = new CandidateSource(stepper, withMinimum(processors, least, ends), scale);
  return singleSteps(stepper, options, ends, (step, stepIndex, prefixOf) => source.next(step, stepIndex, prefixOf, 1));
}
