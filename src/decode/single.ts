// The loop of every search that keeps one hypothesis a sentence: greedy search and sampling differ in the choice alone.
import { normalised, type LengthPenalty } from "./length-penalty.ts";
import { checkSignal, lengthsOf, promptsOf, type Ending, type Hypothesis, type SearchOptions } from "./search.ts";
import type { Candidates, Step, Stepper } from "./stepper.ts";
import { Trellis, type Prefix, type PrefixOf } from "./trellis.ts";

export interface SingleSearchOptions extends SearchOptions {
  /** What the reported score is divided by, see `LengthPenalty`; the choice does not depend on it. */
  readonly lengthPenalty?: LengthPenalty;
}

/** Chooses one token a row: candidates of which the first of each row is taken, −Infinity where there is none. */
export type Choose = (step: Step, stepIndex: number, prefixOf: PrefixOf) => Promise<Candidates>;

/** What a step chose, before sentences leave. */
export interface Chosen {
  readonly step: Step;
  readonly choice: Candidates;
}

/** Advances step by step, for those who want every token as it comes; returns the whole outputs. */
export async function* singleSteps(
  stepper: Stepper,
  { start, maxTokens, minTokens, stop, signal, lengthPenalty = 1 }: SingleSearchOptions,
  ends: readonly number[],
  choose: Choose,
): AsyncGenerator<Chosen, Hypothesis[]> {
  const { most } = lengthsOf(stepper, maxTokens, minTokens);
  const prompts = promptsOf(stepper, start);
  const trellis = new Trellis(prompts);
  const results = new Array<Hypothesis>(prompts.length);
  const sentences = Int32Array.from(prompts, (_, sentence) => sentence);
  const tokens = Int32Array.from(prompts, (prompt) => prompt[prompt.length - 1]!);
  const parents = Int32Array.from(sentences);
  // By sentence, as there is one row each.
  const nodes = new Int32Array(prompts.length).fill(-1);
  const sums = new Float64Array(prompts.length);

  let alive = prompts.length;
  for (let generated = 0; alive > 0; generated++) {
    checkSignal(signal, generated);
    const step: Step = {
      sentences: sentences.subarray(0, alive),
      beams: 1,
      tokens: tokens.subarray(0, alive),
      parents: parents.subarray(0, alive),
    };
    const prefixOf = (row: number): Prefix => trellis.prefix(sentences[row]!, nodes[sentences[row]!]!, generated);
    const choice = await choose(step, generated, prefixOf);
    yield { step, choice };
    let kept = 0;
    for (let row = 0; row < alive; row++) {
      const sentence = sentences[row]!;
      const token = choice.tokens[row * choice.count]!;
      const logProbability = choice.logProbabilities[row * choice.count]!;
      // Nothing may follow: the hypothesis stays as it is, without END.
      const isStuck = logProbability === -Infinity;
      const isEnd = !isStuck && ends.includes(token);
      if (!isStuck) sums[sentence]! += logProbability;
      if (!isStuck && !isEnd) nodes[sentence] = trellis.add(token, nodes[sentence]!, sums[sentence]!);
      const isStopped = !isStuck && !isEnd && stop !== undefined && stop(trellis.read(nodes[sentence]!), sentence);
      if (isStuck || isEnd || isStopped || generated + 1 === most[sentence]) {
        const length = isStuck ? Math.max(generated, 1) : generated + 1;
        const ending: Ending = isEnd ? "end" : isStopped ? "stop" : "cut";
        results[sentence] = trellis.hypothesis(nodes[sentence]!, {
          score: normalised(sums[sentence]!, length, lengthPenalty),
          logProbability: sums[sentence]!,
          ending,
        });
        continue;
      }
      sentences[kept] = sentence;
      tokens[kept] = token;
      parents[kept++] = row;
    }
    alive = kept;
  }
  return results;
}

/** Runs to the end. */
export async function finish(steps: AsyncGenerator<Chosen, Hypothesis[]>): Promise<Hypothesis[]> {
  for (;;) {
    const { done, value } = await steps.next();
    if (done === true) return value;
  }
}
