// Beam search: keep the few best beginnings, extend each by every token, keep the few best again.
import { ConfigError } from "../base/index.ts";
import { inOrder, Intake, type Ended, type JoiningOptions } from "./admission.ts";
import { CandidateSource } from "./candidates.ts";
import { CoveragePenalty } from "./coverage.ts";
import { Extensions, Frontier } from "./frontier.ts";
import type { LengthPenalty } from "./length-penalty.ts";
import { NBest, type EarlyStopping } from "./n-best.ts";
import { checkCount, checkSignal, endsOf, type Hypothesis, type SearchOptions } from "./search.ts";
import type { Stepper } from "./stepper.ts";
import { Trellis } from "./trellis.ts";

export interface BeamSearchOptions extends SearchOptions, JoiningOptions {
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
 * What a sentence gets depends on nothing else in its batch; a sentence that is done leaves the batch, and with `admit` another
 * may take its place.
 *
 * @example
 * const [best] = await beamSearch(stepper, { start: 1, end: 2, maxTokens: 50, beams: 5, lengthPenalty: 0.6 });
 * console.log(best[0].tokens, best[0].score);
 */
export function beamSearch(stepper: Stepper, options: BeamSearchOptions): Promise<Hypothesis[][]> {
  return inOrder(beamSteps(stepper, options));
}

/** The same, each sentence's as soon as its search is over. */
export async function* beamSearchEach(stepper: Stepper, options: BeamSearchOptions): AsyncGenerator<Ended> {
  for await (const ended of beamSteps(stepper, options)) yield* ended;
}

/** Scores a step and gives, place by place, the extensions that it looks at, best first. */
export type Offer = (source: CandidateSource, frontier: Frontier) => Promise<(place: number) => Extensions>;

/** The best `count` of each sentence. */
function offerBest(count: number, beams: number): Offer {
  const best = new Extensions(count, beams);
  return async (source, frontier) => {
    const candidates = await source.next(frontier.step, frontier.steps, frontier.prefix, count);
    return (place) => {
      best.merge(candidates, place * frontier.beams, (place + 1) * frontier.beams, frontier.sums);
      return best;
    };
  };
}

/** The search, with `offerOf` for its steps' extensions, so many at a time of so many beams. */
export async function* beamSteps(
  stepper: Stepper,
  options: BeamSearchOptions,
  offerOf: (count: number, beams: number) => Offer = offerBest,
): AsyncGenerator<readonly Ended[]> {
  const { end, processors, stop, signal, beams = 5, lengthPenalty = 1 } = options;
  const { coveragePenalty = 0, earlyStopping = false, nbest = 1 } = options;
  const intake = new Intake(stepper, options);
  checkBeams(beams, nbest);
  const ends = endsOf(stepper, end);
  const trellis = new Trellis(intake.prompts);
  const coverage = coveragePenalty === 0 ? undefined : new CoveragePenalty(stepper, coveragePenalty);
  const frontier = new Frontier({ trellis, width: beams, ends, stop, bonus: coverage?.of });
  const lists: NBest[] = [];
  const source = new CandidateSource(stepper, intake.withMinimum(processors, ends));
  // So many that `beams` rows open even if every beam offers every END.
  const offer = offerOf(Math.max(2, 1 + ends.length) * beams, beams);

  for (;;) {
    const joining = await intake.next(frontier.alive);
    for (const sentence of joining)
      lists[sentence] = new NBest({ size: beams, lengthPenalty, earlyStopping, maxTokens: intake.most[sentence]! });
    frontier.join(joining, intake.prompts);
    if (frontier.alive === 0) return;
    checkSignal(signal, frontier.steps);
    const offered = await offer(source, frontier);
    coverage?.look(frontier.step, frontier.steps);
    const ended: Ended[] = [];
    let alive = 0;
    for (let place = 0; place < frontier.alive; place++) {
      const sentence = frontier.sentenceAt(place);
      const length = frontier.generatedAt(place) + 1;
      const isLast = length === intake.most[sentence];
      const list = lists[sentence]!;
      const best = offered(place);
      const first = alive * beams;
      const opened = frontier.extend(best, list, first, beams);
      const isOver = opened === 0 || list.isDone(best.sums[0]!, length);
      if (isOver || isLast) {
        if (!isOver) frontier.close(list, first, opened);
        ended.push({ sentence, outputs: NBest.best([list], nbest, trellis) });
        continue;
      }
      frontier.leaveEmpty(first, opened, beams, place);
      frontier.goOn(place, alive++);
    }
    frontier.advance(alive);
    yield ended;
  }
}

export function checkBeams(beams: number, nbest: number): void {
  checkCount("beams", beams, 1);
  checkCount("nbest", nbest, 1);
  if (nbest > beams) {
    throw new ConfigError("nbest", `${nbest} hypotheses cannot come from ${beams} beams. Raise beams to ${nbest}.`);
  }
}
