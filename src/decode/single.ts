// The loop of every search that keeps one hypothesis a sentence: greedy search and sampling differ in the choice alone.
import { inOrder, type Ended, type Intake, type JoiningOptions } from "./admission.ts";
import { normalised, type LengthPenalty } from "./length-penalty.ts";
import { checkSignal, type Ending, type Hypothesis, type SearchOptions } from "./search.ts";
import type { Candidates, Step } from "./stepper.ts";
import { Trellis, type Prefix, type PrefixOf } from "./trellis.ts";

export interface SingleSearchOptions extends SearchOptions, JoiningOptions {
  /** What the reported score is divided by, see `LengthPenalty`; the choice does not depend on it. */
  readonly lengthPenalty?: LengthPenalty;
}

/** Chooses one token a row: candidates of which the first of each row is taken, −Infinity where there is none. */
export type Choose = (step: Step, stepIndex: number, prefixOf: PrefixOf) => Promise<Candidates>;

/** What a step chose, and whose search it ended. */
export interface Chosen {
  readonly step: Step;
  readonly choice: Candidates;
  readonly ended: readonly Ended[];
}

/** A sentence that is being written. */
interface OpenSentence {
  readonly sentence: number;
  /** The row of the last step that it continues. */
  parent: number;
  /** Its last token. */
  token: number;
  node: number;
  /** Σ log p so far. */
  sum: number;
  generated: number;
}

/** Advances step by step, for those who want every token as it comes. */
export async function* singleSteps(
  intake: Intake,
  { stop, signal, lengthPenalty = 1 }: SingleSearchOptions,
  ends: readonly number[],
  choose: Choose,
): AsyncGenerator<Chosen> {
  const trellis = new Trellis(intake.prompts);
  let open: OpenSentence[] = [];
  for (let stepIndex = 0; ; stepIndex++) {
    for (const sentence of await intake.next(open.length)) {
      const token = intake.prompts[sentence]!.at(-1)!;
      // Before the first step a stepper may have read the beginning of each sentence into the row of its number.
      open.push({ sentence, parent: stepIndex === 0 ? sentence : -1, token, node: -1, sum: 0, generated: 0 });
    }
    if (open.length === 0) return;
    checkSignal(signal, stepIndex);
    const rows = open;
    const step: Step = {
      sentences: Int32Array.from(rows, ({ sentence }) => sentence),
      beams: 1,
      tokens: Int32Array.from(rows, ({ token }) => token),
      parents: Int32Array.from(rows, ({ parent }) => parent),
    };
    const prefixOf = (row: number): Prefix => {
      const { sentence, node, generated } = rows[row]!;
      return trellis.prefix(sentence, node, generated);
    };
    const choice = await choose(step, stepIndex, prefixOf);
    const ended: Ended[] = [];
    open = [];
    for (const [row, one] of rows.entries()) {
      const { sentence } = one;
      const token = choice.tokens[row * choice.count]!;
      const logProbability = choice.logProbabilities[row * choice.count]!;
      // Nothing may follow: the hypothesis stays as it is, without END.
      const isStuck = logProbability === -Infinity;
      const isEnd = !isStuck && ends.includes(token);
      if (!isStuck) {
        one.generated++;
        one.sum += logProbability;
        if (!isEnd) one.node = trellis.add(token, one.node, one.sum);
      }
      const isStopped = !isStuck && !isEnd && stop !== undefined && stop(trellis.read(one.node), sentence);
      if (isStuck || isEnd || isStopped || one.generated === intake.most[sentence]) {
        const ending: Ending = isEnd ? "end" : isStopped ? "stop" : "cut";
        const score = normalised(one.sum, Math.max(one.generated, 1), lengthPenalty);
        ended.push({ sentence, outputs: [trellis.hypothesis(one.node, { score, logProbability: one.sum, ending })] });
        continue;
      }
      one.token = token;
      one.parent = row;
      open.push(one);
    }
    yield { step, choice, ended };
  }
}

/** What ended, as it ends. */
async function* endedOf(steps: AsyncIterable<Chosen>): AsyncGenerator<readonly Ended[]> {
  for await (const { ended } of steps) yield ended;
}

/** Runs to the end: the output of every sentence. */
export async function finish(steps: AsyncIterable<Chosen>): Promise<Hypothesis[]> {
  return (await inOrder(endedOf(steps))).map(([only]) => only!);
}
