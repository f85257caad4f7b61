// Beam search for outputs that must hold certain phrases, wherever in the output they fit best.
import { ConfigError } from "../base/index.ts";
import { checkBeams, type BeamSearchOptions } from "./beam.ts";
import { CandidateSource } from "./candidates.ts";
import { CandidateList } from "./candidate-list.ts";
import { CoveragePenalty } from "./coverage.ts";
import { NBest } from "./n-best.ts";
import { Phrases, type PhraseProgress } from "./phrases.ts";
import { withMinimum } from "./processors/length.ts";
import { checkSignal, endsOf, lengthsOf, promptsOf, refuseScores, type Hypothesis } from "./search.ts";
import { RaggedBeam, type OpenRow } from "./ragged-beam.ts";
import type { Stepper } from "./stepper.ts";
import { Trellis } from "./trellis.ts";

export interface ConstrainedBeamSearchOptions extends BeamSearchOptions {
  /** What the output of each sentence must hold: lists of tokens; an empty list asks for nothing. */
  readonly phrases: readonly (readonly (readonly number[])[])[];
}

interface Open extends OpenRow {
  readonly sum: number;
  readonly progress: PhraseProgress;
}

interface Extension {
  readonly parent: Open;
  readonly row: number;
  readonly token: number;
  readonly sum: number;
  readonly isEnd: boolean;
  readonly progress: PhraseProgress;
}

/**
 * Beam search whose outputs hold every phrase. Post and Vilar 2018, "Fast Lexically Constrained Decoding with Dynamic Beam
 * Allocation for Neural Machine Translation", section 3: besides the best extensions, each step also offers for every hypothesis
 * the tokens that bring a missing phrase on; hypotheses compete in banks by how many tokens of the phrases they hold; the
 * beam is shared out evenly among the banks, room that one cannot use goes to those further on; END and stops count only
 * where every phrase stands. Where `maxTokens` is too few for that, what came furthest is given, unfinished.
 *
 * @example
 * await constrainedBeamSearch(stepper, { start: 1, end: 2, maxTokens: 50, beams: 10, phrases: [[[17, 4], [9]]] });
 */
export async function constrainedBeamSearch(
  stepper: Stepper,
  {
    start,
    end,
    maxTokens,
    minTokens,
    processors = [],
    stop,
    signal,
    beams = 10,
    lengthPenalty = 1,
    coveragePenalty = 0,
    earlyStopping = false,
    nbest = 1,
    phrases,
  }: ConstrainedBeamSearchOptions,
): Promise<Hypothesis[][]> {
  const { most, least } = lengthsOf(stepper, maxTokens, minTokens);
  checkBeams(beams, nbest);
  const prompts = promptsOf(stepper, start);
  const ends = endsOf(stepper, end);
  const { vocabularySize } = stepper;
  if (phrases.length !== prompts.length)
    throw new ConfigError("phrases", `${phrases.length} lists for ${prompts.length} sentences. Give one a sentence.`);
  const wanted = phrases.map((own) => new Phrases(own, vocabularySize, ends));
  for (const [sentence, { tokens }] of wanted.entries()) {
    if (tokens > most[sentence]!) {
      throw new ConfigError(
        "phrases",
        `sentence ${sentence} must hold ${tokens} tokens and may have ${most[sentence]}. Raise maxTokens.`,
      );
    }
  }
  const trellis = new Trellis(prompts);
  const coverage = coveragePenalty === 0 ? undefined : new CoveragePenalty(stepper, coveragePenalty);
  const lists = most.map((longest) => new NBest({ size: beams, lengthPenalty, earlyStopping, maxTokens: longest }));
  const source = new CandidateSource(stepper, withMinimum(processors, least, ends));
  const kept = Math.min(Math.max(2, 1 + ends.length) * beams, vocabularySize);
  const best = new CandidateList();

  const openOf: Open[][] = wanted.map((own, sentence) => [{ node: -1, row: sentence, sum: 0, progress: own.start }]);
  const beam = new RaggedBeam(trellis, prompts, beams);
  for (let generated = 0; beam.step.sentences.length > 0; generated++) {
    const { step } = beam;
    checkSignal(signal, generated);
    const scores = await source.scores(step);
    coverage?.look(step, generated);
    for (const [place, sentence] of step.sentences.entries()) {
      const own = wanted[sentence]!;
      const list = lists[sentence]!;
      const pool: Extension[] = [];
      for (const [rank, parent] of openOf[sentence]!.entries()) {
        const row = place * step.beams + rank;
        const scoresOfRow = scores.subarray(row * vocabularySize, (row + 1) * vocabularySize);
        source.process(scoresOfRow, trellis.prefix(sentence, parent.node, generated), row, step, generated);
        const { tokens: likely, logProbabilities } = best.room(1, kept);
        const bad = best.fill(0, scoresOfRow);
        if (bad !== undefined) refuseScores(step, generated, row, bad);
        const offered = new Set(own.wanted(parent.progress));
        for (let i = 0; i < kept && logProbabilities[i]! > -Infinity; i++) offered.add(likely[i]!);
        for (const token of offered) {
          const sum = parent.sum + scoresOfRow[token]!;
          const isEnd = ends.includes(token);
          if (sum === -Infinity || (isEnd && !own.areMet(parent.progress))) continue;
          const progress = isEnd ? parent.progress : own.extend(parent.progress, token);
          pool.push({ parent, row, token, sum, isEnd, progress });
        }
      }
      pool.sort((a, b) => b.sum - a.sum || a.row - b.row || a.token - b.token);
      const chosen = shareOut(pool, beams, own.tokens);
      const open: Open[] = [];
      for (const { parent, row, token, sum, isEnd, progress } of chosen) {
        const bonus = coverage?.of(row) ?? 0;
        if (isEnd) {
          list.add(parent.node, sum, generated + 1, "end", bonus);
          continue;
        }
        const node = trellis.add(token, parent.node, sum);
        if (stop === undefined || !stop(trellis.read(node), sentence)) open.push({ node, row, sum, progress });
        // One that stops with a phrase missing is dropped: what would come after the stop is cut off.
        else if (own.areMet(progress)) list.add(node, sum, generated + 1, "stop", bonus);
      }
      openOf[sentence] = open;
      if (open.length === 0 || list.isDone(pool[0]!.sum, generated + 1)) continue;
      if (generated + 1 === most[sentence]) {
        for (const { node, row, sum, progress } of open)
          if (own.areMet(progress) || list.count === 0)
            list.add(node, sum, generated + 1, "cut", coverage?.of(row) ?? 0);
        continue;
      }
      beam.goOn(sentence, open);
    }
    beam.advance();
  }
  return lists.map((list) => NBest.best([list], nbest, trellis));
}

/**
 * The extensions that go on or end, those furthest with the phrases first. Every bank (0 to `phraseTokens` tokens held) has an
 * equal share of the beam, the last one what is over; room for which a bank has no candidates goes to the others, the
 * furthest first. As in plain beam search an END takes no room, and counts only among the best.
 */
function shareOut(pool: readonly Extension[], beams: number, phraseTokens: number): Extension[] {
  const banks: Extension[][] = Array.from({ length: phraseTokens + 1 }, () => []);
  for (const extension of pool) banks[extension.progress.tokens]!.push(extension);
  const share = Math.floor(beams / banks.length);
  const sizes = banks.map((bank) => Math.min(share, bank.length));
  let left = beams - sizes.reduce((a, b) => a + b, 0);
  for (let bank = banks.length - 1; bank >= 0 && left > 0; bank--) {
    const more = Math.min(left, banks[bank]!.length - sizes[bank]!);
    sizes[bank]! += more;
    left -= more;
  }
  const chosen = banks.map((bank, i) => {
    const size = sizes[i]!;
    let opened = 0;
    return bank.filter(({ isEnd }, rank) => (isEnd ? rank < size : opened++ < size));
  });
  return chosen.reverse().flat();
}
