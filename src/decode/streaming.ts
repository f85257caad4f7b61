// Tokens as they are chosen, for those who want to show a text while it is being written.
import { greedySteps, type GreedySearchOptions } from "./greedy.ts";
import { sampleSteps, type SampleOptions } from "./sampling.ts";
import { endsOf, type Hypothesis } from "./search.ts";
import type { Chosen } from "./single.ts";
import type { Stepper } from "./stepper.ts";

/** One token of one sentence. */
export interface StreamedToken {
  readonly sentence: number;
  readonly token: number;
  readonly logProbability: number;
}

/**
 * The tokens of a greedy search, each as soon as it is chosen, without END; the return value holds the whole outputs. Leaving the loop
 * ends the search; a raised signal throws `SearchAborted` before the next step.
 *
 * @example
 * for await (const { token } of streamGreedy(stepper, { start: 1, end: 2, maxTokens: 50 })) console.log(token);
 */
export function streamGreedy(
  stepper: Stepper,
  options: GreedySearchOptions,
): AsyncGenerator<StreamedToken, Hypothesis[]> {
  return tokensOf(greedySteps(stepper, options), endsOf(stepper, options.end));
}

/** The same for sampling. */
export function streamSample(stepper: Stepper, options: SampleOptions): AsyncGenerator<StreamedToken, Hypothesis[]> {
  return tokensOf(sampleSteps(stepper, options), endsOf(stepper, options.end));
}

async function* tokensOf(
  steps: AsyncGenerator<Chosen>,
  ends: readonly number[],
): AsyncGenerator<StreamedToken, Hypothesis[]> {
  const outputs: Hypothesis[] = [];
  for await (const { step, choice, ended } of steps) {
    for (const [row, sentence] of step.sentences.entries()) {
      const token = choice.tokens[row * choice.count]!;
      const logProbability = choice.logProbabilities[row * choice.count]!;
      if (logProbability > -Infinity && !ends.includes(token)) yield { sentence, token, logProbability };
    }
    for (const {
      sentence,
      outputs: [only],
    } of ended)
      outputs[sentence] = only!;
  }
  return outputs;
}
