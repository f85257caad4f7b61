// Stochastic beam search: different outputs drawn without replacement, as likely as the model says, in one beam.
import { randomKey, RandomStream, type RandomKey } from "../base/index.ts";
import { CandidateSource } from "./candidates.ts";
import { CandidateList } from "./candidate-list.ts";
import { logSumExp } from "./log-sum-exp.ts";
import { withMinimum } from "./processors/length.ts";
import {
  checkCount,
  checkSignal,
  endsOf,
  lengthsOf,
  promptsOf,
  refuseScores,
  type Ending,
  type Hypothesis,
  type SearchOptions,
} from "./search.ts";
import { RaggedBeam } from "./ragged-beam.ts";
import { streamsOf } from "./seeds.ts";
import type { Stepper } from "./stepper.ts";
import { Trellis } from "./trellis.ts";

export interface StochasticBeamSearchOptions extends SearchOptions {
  /** Outputs drawn a sentence; fewer come where there are not so many. */
  readonly beams: number;
  /** One seed for all, of which sentence i gets stream i; or each sentence's own, which then depends on no neighbour. */
  readonly seed: number | readonly number[];
}

interface Drawn {
  readonly node: number;
  /** Row of the present step that it continues. */
  readonly row: number;
  /** Σ log p. */
  readonly sum: number;
  /** Σ log p and Gumbel noise. */
  readonly perturbed: number;
  readonly ending: Ending | "open";
}

/**
 * `beams` outputs of every sentence, all different, drawn one after the other from the model's distribution over whole
 * outputs, each time without those drawn before: the first is a sample, and all together cover more than as many samples.
 * Kool, van Hoof and Welling 2019, "Stochastic Beams and Where to Find Them", algorithm 1: every hypothesis carries its
 * log-probability plus Gumbel noise, drawn from the top down so that the largest among a node's continuations equals its own,
 * and a beam keeps the largest. `score` is that perturbed log-probability, by which they are ordered; `logProbability` is the
 * model's, of the distribution that the processors leave.
 *
 * @example
 * const [outputs] = await stochasticBeamSearch(stepper, { start: 1, end: 2, maxTokens: 50, beams: 8, seed: 7 });
 */
export async function stochasticBeamSearch(
  stepper: Stepper,
  { start, end, maxTokens, minTokens, processors = [], stop, signal, beams, seed }: StochasticBeamSearchOptions,
): Promise<Hypothesis[][]> {
  checkCount("beams", beams, 1);
  const { most, least } = lengthsOf(stepper, maxTokens, minTokens);
  const streamOf = streamsOf(seed, stepper.sentences);
  const prompts = promptsOf(stepper, start);
  const ends = endsOf(stepper, end);
  const trellis = new Trellis(prompts);
  const source = new CandidateSource(stepper, withMinimum(processors, least, ends));
  const { vocabularySize } = stepper;
  const kept = Math.min(beams, vocabularySize);
  const list = new CandidateList();
  const noisy = new Float32Array(vocabularySize);

  const beamOf: Drawn[][] = prompts.map((_, sentence) => [
    { node: -1, row: sentence, sum: 0, perturbed: 0, ending: "open" },
  ]);
  const rows = new RaggedBeam(trellis, prompts, beams);
  for (let generated = 0; rows.step.sentences.length > 0; generated++) {
    const { step } = rows;
    checkSignal(signal, generated);
    const scores = await source.scores(step);
    for (const [place, sentence] of step.sentences.entries()) {
      const stream = streamOf(sentence);
      const pool = beamOf[sentence]!.filter(({ ending }) => ending !== "open");
      const parents = beamOf[sentence]!.filter(({ ending }) => ending === "open");
      for (const [rank, parent] of parents.entries()) {
        const row = place * step.beams + rank;
        const scoresOfRow = scores.subarray(row * vocabularySize, (row + 1) * vocabularySize);
        source.process(scoresOfRow, trellis.prefix(sentence, parent.node, generated), row, step, generated);
        const total = logSumExp(scoresOfRow);
        if (!(total < Infinity)) refuseScores(step, generated, row, total);
        perturb(scoresOfRow, total, randomKey(...stream, generated, rank), noisy);
        const best = list.room(1, kept);
        list.fill(0, noisy);
        const largest = best.logProbabilities[0]!;
        if (largest === -Infinity) pool.push({ ...parent, row, ending: "cut" }); // nothing may follow
        for (let i = 0; i < kept && best.logProbabilities[i]! > -Infinity; i++) {
          const token = best.tokens[i]!;
          const sum = parent.sum + scoresOfRow[token]! - total;
          const isEnd = ends.includes(token);
          const node = isEnd ? parent.node : trellis.add(token, parent.node, sum);
          const isStopped = !isEnd && stop !== undefined && stop(trellis.read(node), sentence);
          const ending = isEnd ? "end" : isStopped ? "stop" : generated + 1 === most[sentence] ? "cut" : "open";
          const own = parent.sum + best.logProbabilities[i]!;
          pool.push({ node, row, sum, perturbed: under(parent.perturbed, own, parent.sum + largest), ending });
        }
      }
      const beam = pool.sort((a, b) => b.perturbed - a.perturbed).slice(0, beams);
      beamOf[sentence] = beam;
      const open = beam.filter(({ ending }) => ending === "open");
      if (open.length > 0) rows.goOn(sentence, open);
    }
    rows.advance();
  }
  return beamOf.map((beam) =>
    beam.map(({ node, sum, perturbed, ending }) =>
      trellis.hypothesis(node, { score: perturbed, logProbability: sum, ending: ending === "open" ? "cut" : ending }),
    ),
  );
}

/** log p plus Gumbel noise of every token. */
function perturb(scores: Float32Array, total: number, key: RandomKey, into: Float32Array): void {
  const random = new RandomStream(key);
  for (let token = 0; token < scores.length; token++) {
    // Never 0 and never 1.
    const uniform = random.uniform() + 2 ** -25;
    into[token] = scores[token] === -Infinity ? -Infinity : scores[token]! - total - Math.log(-Math.log(uniform));
  }
}

/**
 * The noisy value `own` of one of a node's continuations, shifted so that the largest of them comes out as `most`:
 * −log(exp(−most) − exp(−largest) + exp(−own)), in the stable form of the paper's appendix B.3.
 */
function under(most: number, own: number, largest: number): number {
  const gap = most - own + Math.log1p(-Math.exp(own - largest));
  return most - Math.max(0, gap) - Math.log1p(Math.exp(-Math.abs(gap)));
}
