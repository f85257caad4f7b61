// Beam search: keep the few best beginnings, extend each by every token, keep the few best again.
import { ConfigError } from "../base/index.ts";
import { CandidateSource } from "./candidates.ts";
import { CoveragePenalty } from "./coverage.ts";
import { Extensions, Frontier } from "./frontier.ts";
import type { LengthPenalty } from "./length-penalty.ts";
import { NBest, type EarlyStopping } from "./n-best.ts";
import { withMinimum } from "./processors/length.ts";
import {
  checkCount,
  checkSignal,
  endsOf,
  lengthsOf,
  promptsOf,
  type Hypothesis,
  type SearchOptions,
} from "./search.ts";
import type { Stepper } from "./stepper.ts";
import { Trellis } from "./trellis.ts";

export interface BeamSearchOptions extends SearchOptions {
  /** Hypotheses kept a sentence; 1 is greedy search. */
  readonly beams?: number;
  /** What scores are divided by, see `LengthPenalty`. */
  readonly lengthPenalty?: LengthPenalty;
  /** Weight of the coverage penalty, added to the score of a hypothesis when it ends; the stepper must show its attention. */
  readonly coveragePenalty?: number;
  /** When a sentence is done, see `EarlyStopping`. */
  readonly earlyStopping?: EarlyStopping;
  /** Hypotheses returned a sentence, at most `beams`. */
  readonly nbest?: number;
}

/**
 * The best hypotheses of every sentence, best first: `nbest` of them, or fewer where the processors leave no more.
 * Graves 2012, "Sequence Transduction with Recurrent Neural Networks", section 2.3, in the form of Hugging Face's
 * `generate` (version 4.37), which it equals token for token: each step looks at the best 2 × beams extensions; an END
 * counts only among the best `beams`; length counts END; hypotheses open at `maxTokens` join the list as they are.
 * What a sentence gets depends on nothing else in its batch, and a sentence that is done leaves the batch.
 *
 * @example
 * const [best] = await beamSearch(stepper, { start: 1, end: 2, maxTokens: 50, beams: 5, lengthPenalty: 0.6 });
 * console.log(best[0].tokens, best[0].score);
 */
export async function beamSearch(
  stepper: Stepper,
  {
    start,
    end,
    maxTokens,
    minTokens,
    processors = [],
    stop,
    signal,
    beams = 5,
    lengthPenalty = 1,
    coveragePenalty = 0,
    earlyStopping = false,
    nbest = 1,
  }: BeamSearchOptions,
): Promise<Hypothesis[][]> {
  const { most, least } = lengthsOf(stepper, maxTokens, minTokens);
  checkBeams(beams, nbest);
  const prompts = promptsOf(stepper, start);
  const ends = endsOf(stepper, end);
  const trellis = new Trellis(prompts);
  const coverage = coveragePenalty === 0 ? undefined : new CoveragePenalty(stepper, coveragePenalty);
  const frontier = new Frontier({ trellis, prompts, width: beams, ends, stop, bonus: coverage?.of });
  const lists = most.map((longest) => new NBest({ size: beams, lengthPenalty, earlyStopping, maxTokens: longest }));
  const source = new CandidateSource(stepper, withMinimum(processors, least, ends));
  // So many that `beams` rows open even if every beam offers every END.
  const candidatesKept = Math.max(2, 1 + ends.length) * beams;
  const best = new Extensions(candidatesKept, beams);

  while (frontier.alive > 0) {
    checkSignal(signal, frontier.generated);
    const candidates = await source.next(frontier.step, frontier.generated, frontier.prefix, candidatesKept);
    coverage?.look(frontier.step, frontier.generated);
    let alive = 0;
    for (let place = 0; place < frontier.alive; place++) {
      const sentence = frontier.sentences[place]!;
      const isLast = frontier.generated + 1 === most[sentence];
      const list = lists[sentence]!;
      best.merge(candidates, place * frontier.beams, (place + 1) * frontier.beams, frontier.sums);
      const first = alive * beams;
      const opened = frontier.extend(best, list, first, beams);
      if (opened === 0 || list.isDone(best.sums[0]!, frontier.generated + 1)) continue;
      if (isLast) {
        frontier.close(list, first, opened);
        continue;
      }
      frontier.leaveEmpty(first, opened, beams, place);
      frontier.sentences[alive++] = sentence;
    }
    frontier.advance(alive);
  }
  return lists.map((list) => NBest.best([list], nbest, trellis));
}

export function checkBeams(beams: number, nbest: number): void {
  checkCount("beams", beams, 1);
  checkCount("nbest", nbest, 1);
  if (nbest > beams) {
    throw new ConfigError("nbest", `${nbest} hypotheses cannot come from ${beams} beams. Raise beams to ${nbest}.`);
  }
}
