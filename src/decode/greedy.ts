// Greedy search: the likeliest token, and again.
import { Intake, type Ended } from "./admission.ts";
import { CandidateSource } from "./candidates.ts";
import { endsOf, type Hypothesis, type Scale } from "./search.ts";
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

/** The same, each sentence's as soon as its search is over. */
export async function* greedySearchEach(stepper: Stepper, options: GreedySearchOptions): AsyncGenerator<Ended> {
  for await (const { ended } of greedySteps(stepper, options)) yield* ended;
}

export function greedySteps(stepper: Stepper, options: GreedySearchOptions): AsyncGenerator<Chosen> {
  const { end, processors, scale = "logProbabilities" } = options;
  const ends = endsOf(stepper, end);
  const intake = new Intake(stepper, options);
  const source = new CandidateSource(stepper, intake.withMinimum(processors, ends), scale);
  return singleSteps(intake, options, ends, (step, stepIndex, prefixOf) => source.next(step, stepIndex, prefixOf, 1));
}
