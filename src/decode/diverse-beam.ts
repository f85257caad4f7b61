// Diverse beam search: beams in groups, each group pushed away from what the groups before it chose at the same step.
import { ConfigError } from "../base/index.ts";
import { checkBeams, type BeamSearchOptions } from "./beam.ts";
import { CandidateSource } from "./candidates.ts";
import { CoveragePenalty } from "./coverage.ts";
import { Extensions, Frontier } from "./frontier.ts";
import { NBest } from "./n-best.ts";
import { withMinimum } from "./processors/length.ts";
import { checkCount, checkSignal, checkToken, endsOf, lengthsOf, promptsOf, type Hypothesis } from "./search.ts";
import type { Stepper } from "./stepper.ts";
import { Trellis } from "./trellis.ts";

export interface DiverseBeamSearchOptions extends BeamSearchOptions {
  /** Groups that the beams are split into; it must divide `beams`. */
  readonly groups: number;
  /** Taken off a token's log-probability once for every beam of an earlier group that chose it at this step. */
  readonly diversityPenalty: number;
  /**
   * The token that a group which is done counts as choosing, against the groups after it. The reference implementation
   * pads done groups and so penalises its padding token; left out, a done group chooses nothing.
   */
  readonly padding?: number;
}

/**
 * Vijayakumar et al. 2016, "Diverse Beam Search", section 4, with the Hamming diversity of its equation 7: each group runs
 * its own beam search of beams ÷ groups, the penalty stays in the scores, and the n-best list is drawn from all groups.
 *
 * @example
 * await diverseBeamSearch(stepper, { start: 1, end: 2, maxTokens: 50, beams: 6, groups: 3, diversityPenalty: 0.5, nbest: 3 });
 */
export async function diverseBeamSearch(
  stepper: Stepper,
  {
    start,
    end,
    maxTokens,
    minTokens,
    processors = [],
    stop,
    signal,
    beams = 4,
    groups,
    diversityPenalty,
    padding,
    lengthPenalty = 1,
    coveragePenalty = 0,
    earlyStopping = false,
    nbest = 1,
  }: DiverseBeamSearchOptions,
): Promise<Hypothesis[][]> {
  const { most, least } = lengthsOf(stepper, maxTokens, minTokens);
  checkBeams(beams, nbest);
  checkCount("groups", groups, 1);
  if (beams % groups !== 0) throw new ConfigError("groups", `must divide beams (got ${groups} and ${beams}).`);
  const { vocabularySize } = stepper;
  if (padding !== undefined) checkToken("padding", padding, vocabularySize);
  const prompts = promptsOf(stepper, start);
  const ends = endsOf(stepper, end);
  const size = beams / groups;
  const trellis = new Trellis(prompts);
  const coverage = coveragePenalty === 0 ? undefined : new CoveragePenalty(stepper, coveragePenalty);
  const frontier = new Frontier({ trellis, width: beams, ends, stop, bonus: coverage?.of });
  frontier.join([...prompts.keys()], prompts);
  // List of group g of sentence s at s × groups + g; so for `isDone`.
  const lists = Array.from(
    { length: prompts.length * groups },
    (_, id) => new NBest({ size, lengthPenalty, earlyStopping, maxTokens: most[Math.floor(id / groups)]! }),
  );
  const isDone = new Uint8Array(lists.length);
  const source = new CandidateSource(stepper, withMinimum(processors, least, ends));
  const candidatesKept = Math.min(Math.max(2, 1 + ends.length) * size, vocabularySize);
  const best = new Extensions(Math.max(2, 1 + ends.length) * size, size);
  const scratch = new Float32Array(vocabularySize);
  const chosen = new Int32Array(beams);

  while (frontier.alive > 0) {
    checkSignal(signal, frontier.steps);
    const { step } = frontier;
    const scores = await source.scores(step);
    const shortlist = source.shortlist(frontier.alive * frontier.beams, candidatesKept);
    coverage?.look(step, frontier.steps);
    let alive = 0;
    for (let place = 0; place < frontier.alive; place++) {
      const sentence = frontier.sentenceAt(place);
      const isLast = frontier.steps + 1 === most[sentence];
      let chosenCount = 0;
      let open = 0;
      for (let group = 0; group < groups; group++) {
        const id = sentence * groups + group;
        const first = alive * beams + group * size;
        let opened = 0;
        if (isDone[id] === 0) {
          // Before the first token all groups share the sentence's one row.
          const from = frontier.beams === 1 ? place : place * beams + group * size;
          const until = frontier.beams === 1 ? from + 1 : from + size;
          for (let row = from; row < until; row++) {
            const prefix = frontier.prefix(row);
            if (prefix === undefined) continue;
            scratch.set(scores.subarray(row * vocabularySize, (row + 1) * vocabularySize));
            for (let i = 0; i < chosenCount; i++) scratch[chosen[i]!]! -= diversityPenalty;
            source.pick(scratch, prefix, shortlist, row, step, frontier.steps);
          }
          best.merge(shortlist, from, until, frontier.sums);
          opened = frontier.extend(best, lists[id]!, first, size);
          for (let row = first; row < first + opened; row++) chosen[chosenCount++] = frontier.nextToken(row);
          if (opened === 0 || lists[id]!.isDone(best.sums[0]!, frontier.steps + 1)) {
            isDone[id] = 1;
            opened = 0;
          } else if (isLast) {
            frontier.close(lists[id]!, first, opened);
          }
        } else if (padding !== undefined) {
          for (let i = 0; i < size; i++) chosen[chosenCount++] = padding;
        }
        frontier.leaveEmpty(first, opened, size, place);
        open += opened;
      }
      if (open > 0 && !isLast) frontier.goOn(place, alive++);
    }
    frontier.advance(alive);
  }
  return prompts.map((_, sentence) =>
    NBest.best(lists.slice(sentence * groups, (sentence + 1) * groups), nbest, trellis),
  );
}
