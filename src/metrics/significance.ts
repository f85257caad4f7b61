// Is a difference more than luck? Resampling of segments, from statistics that were counted once.
//
// Every test draws from a stream named by its seed alone, so two systems with as many lines are resampled alike, and a
// baseline's resamples serve all comparisons with it.
import { ConfigError, randomKey, RandomStream } from "../base/index.ts";
import { checkWhole, sumSegments, type Metric, type References, type SegmentStatistics } from "./metric.ts";
import type { Confidence, Score } from "./score.ts";
import type { Trials } from "./signature.ts";

export interface ResamplingOptions {
  trials?: number;
  seed?: number;
}

/** One system's score, and where it was compared with the baseline, the result of the test. */
export interface TestedSystem<Counts = unknown> {
  readonly score: Score<Counts>;
  /**
   * Chance of a difference from the baseline as large as the one seen if both were equally good; undefined for the baseline.
   */
  readonly pValue: number | undefined;
}

/** The first system is the baseline. */
export type PairedTest = <Counts>(
  metric: Metric<Counts>,
  systems: readonly (readonly string[])[],
  references: References,
  options?: ResamplingOptions,
) => TestedSystem<Counts>[];

const defaultSeed = 12345;

/** Scores of corpora of the same size, drawn from these segments with replacement. */
export function resampledScores(
  metric: Metric,
  statistics: SegmentStatistics,
  { trials = 1000, seed = defaultSeed }: ResamplingOptions = {},
): Float64Array {
  checkWhole("resampling.trials", trials, 2);
  const { rows, width, segments, references } = statistics;
  const stream = new RandomStream(randomKey(seed));
  const sums = new Float64Array(width);
  return Float64Array.from({ length: trials }, () => {
    sums.fill(0);
    for (let drawn = 0; drawn < segments; drawn++) {
      const row = stream.integer(segments) * width;
      for (let column = 0; column < width; column++) sums[column]! += rows[row + column]!;
    }
    return metric.score(sums, { references }).score;
  });
}

/** Mean, and half the distance between the 2.5 % and the 97.5 % points. */
export function confidenceOf(scores: Float64Array): Confidence {
  const sorted = scores.toSorted();
  const cut = Math.floor(sorted.length / 40);
  const halfWidth = (sorted[sorted.length - cut - 1]! - sorted[cut]!) / 2;
  return { mean: mean(sorted), halfWidth };
}

/**
 * The score of a corpus with its bootstrap mean and 95 % interval (Koehn 2004, "Statistical Significance Tests for Machine
 * Translation Evaluation", section 3).
 *
 * @example
 * bootstrapCorpus(new Bleu(), ["a b c d", "e f g h"], [["a b c d", "e f g x"]], { trials: 100 }).confidence;
 */
export function bootstrapCorpus<Counts>(
  metric: Metric<Counts>,
  hypotheses: readonly string[],
  references: References,
  { trials = 1000, seed = defaultSeed }: ResamplingOptions = {},
): Score<Counts> {
  const statistics = metric.statistics(hypotheses, references);
  const confidence = confidenceOf(resampledScores(metric, statistics, { trials, seed }));
  return scoreAll(metric, statistics, { kind: "bootstrap", trials, seed }, confidence);
}

/**
 * Paired bootstrap: how often the resampled difference from the baseline strays from its own mean by more than the
 * difference seen (Koehn 2004, section 4, in the two-sided form of Moses' bootstrap-hypothesis-difference-significance).
 *
 * @example
 * pairedBootstrap(new Chrf(), [["a b", "c d"], ["a x", "c d"]], [["a b", "c d"]], { trials: 100 })[1]?.pValue;
 */
export const pairedBootstrap: PairedTest = (
  metric,
  systems,
  references,
  { trials = 1000, seed = defaultSeed } = {},
) => {
  const measured = measureSystems(metric, systems, references);
  const resampled = measured.map((statistics) => resampledScores(metric, statistics, { trials, seed }));
  const scores = measured.map((statistics, i) =>
    scoreAll(metric, statistics, { kind: "bootstrap", trials, seed }, confidenceOf(resampled[i]!)),
  );
  return scores.map((score, i) => {
    if (i === 0) return { score, pValue: undefined };
    const differences = resampled[i]!.map((value, trial) => Math.abs(value - resampled[0]![trial]!));
    const expected = mean(differences);
    return {
      score,
      pValue: pValue(
        differences.map((difference) => difference - expected),
        scores[0]!.score,
        score.score,
      ),
    };
  });
};

/**
 * Approximate randomization: how often a difference as large as the one seen arises between two pseudo-systems that share
 * out the two systems' lines by coin tosses (Riezler and Maxwell 2005, "On Some Pitfalls in Automatic Evaluation and
 * Significance Testing for MT", section 4.2).
 *
 * @example
 * pairedRandomization(new Ter(), [["a b", "c d"], ["a x", "c d"]], [["a b", "c d"]], { trials: 100 })[1]?.pValue;
 */
export const pairedRandomization: PairedTest = (
  metric,
  systems,
  references,
  { trials = 10_000, seed = defaultSeed } = {},
) => {
  checkWhole("resampling.trials", trials, 2);
  const measured = measureSystems(metric, systems, references);
  const scores = measured.map((statistics) => scoreAll(metric, statistics, { kind: "randomization", trials, seed }));
  return scores.map((score, i) => {
    if (i === 0) return { score, pValue: undefined };
    const differences = shuffledDifferences(metric, measured[0]!, measured[i]!, trials, seed);
    return { score, pValue: pValue(differences, scores[0]!.score, score.score) };
  });
};

function shuffledDifferences(
  metric: Metric,
  a: SegmentStatistics,
  b: SegmentStatistics,
  trials: number,
  seed: number,
): Float64Array {
  const { width, segments, references } = a;
  const stream = new RandomStream(randomKey(seed));
  const [first, second] = [new Float64Array(width), new Float64Array(width)];
  return Float64Array.from({ length: trials }, () => {
    first.fill(0);
    second.fill(0);
    let coins = 0;
    for (let segment = 0; segment < segments; segment++) {
      coins = segment % 32 === 0 ? stream.word() : coins >>> 1;
      const [left, right] = (coins & 1) === 1 ? [first, second] : [second, first];
      const row = segment * width;
      for (let column = 0; column < width; column++) {
        left[column]! += a.rows[row + column]!;
        right[column]! += b.rows[row + column]!;
      }
    }
    return Math.abs(metric.score(first, { references }).score - metric.score(second, { references }).score);
  });
}

/** One more than the trials above the difference seen, over one more than the trials, so that it is never 0. */
function pValue(differences: Float64Array, baseline: number, system: number): number {
  const seen = Math.abs(baseline - system);
  const above = differences.reduce((count, difference) => (difference > seen ? count + 1 : count), 0);
  return (above + 1) / (differences.length + 1);
}

function measureSystems(
  metric: Metric,
  systems: readonly (readonly string[])[],
  references: References,
): SegmentStatistics[] {
  if (systems.length < 2)
    throw new ConfigError("systems", `a paired test compares at least two systems (got ${systems.length})`);
  return systems.map((hypotheses) => metric.statistics(hypotheses, references));
}

function scoreAll<Counts>(
  metric: Metric<Counts>,
  statistics: SegmentStatistics,
  trials: Trials,
  confidence?: Confidence,
): Score<Counts> {
  const context = { references: statistics.references, trials };
  return metric.score(sumSegments(statistics), confidence === undefined ? context : { ...context, confidence });
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
