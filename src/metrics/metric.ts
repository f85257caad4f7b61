// What a corpus metric is: statistics that are counted once a segment, and a score that is a function of their sums.
// Corpus scores, sentence scores and every resampling test are built on these two.
import { ConfigError, DataError } from "../base/index.ts";
import type { Confidence, Score } from "./score.ts";
import type { ReferenceCount, Trials } from "./signature.ts";

/** Streams of references, each with a line for every hypothesis; `null`: this line has none in that stream. */
export type References = readonly (readonly (string | null)[])[];

/** Counts of every segment: `rows` is [segments, width], row-major. */
export interface SegmentStatistics {
  readonly rows: Float64Array;
  readonly width: number;
  readonly segments: number;
  readonly references: ReferenceCount;
}

/** What a score says about its making beside the metric's own options. */
export interface ScoreContext {
  readonly references: ReferenceCount;
  readonly trials?: Trials;
  readonly confidence?: Confidence;
}

export interface Metric<Counts = unknown> {
  readonly name: string;
  /** Counts of every segment, from which any selection of segments can be scored without reading the text again. */
  statistics(hypotheses: readonly string[], references: References): SegmentStatistics;
  /** The score of summed counts. */
  score(sums: ArrayLike<number>, context: ScoreContext): Score<Counts>;
  /** The score of a corpus; `references` holds one or more streams. */
  corpus(hypotheses: readonly string[], references: References): Score<Counts>;
  /** The score of one hypothesis against its references. */
  sentence(hypothesis: string, references: readonly (string | null)[]): Score<Counts>;
}

/** Measures every segment and checks that the streams fit. `measure` gives the `width` counts of one segment. */
export function measureSegments(
  hypotheses: readonly string[],
  references: References,
  width: number,
  measure: (hypothesis: string, references: readonly string[]) => ArrayLike<number>,
): SegmentStatistics {
  if (references.length === 0)
    throw new ConfigError("references", "at least one stream of references is needed (got 0)");
  if (hypotheses.length === 0) throw new ConfigError("hypotheses", "at least one line is needed (got 0)");
  for (const [stream, lines] of references.entries()) {
    if (lines.length !== hypotheses.length) {
      const problem = `stream ${stream + 1} has ${lines.length} lines where there are ${hypotheses.length} hypotheses`;
      throw new ConfigError("references", problem);
    }
  }
  const rows = new Float64Array(hypotheses.length * width);
  const referenceCounts = new Set<number>();
  for (const [line, hypothesis] of hypotheses.entries()) {
    const own = references.map((stream) => stream[line]).filter((reference) => typeof reference === "string");
    if (own.length === 0) throw new DataError("references", line + 1, "no stream has a reference for this line");
    referenceCounts.add(own.length);
    rows.set(measure(hypothesis, own), line * width);
  }
  const [count] = referenceCounts;
  return { rows, width, segments: hypotheses.length, references: referenceCounts.size === 1 ? count! : "var" };
}

/** Sums over all segments, [width]. */
export function sumSegments({ rows, width }: SegmentStatistics): Float64Array {
  const sums = new Float64Array(width);
  for (let row = 0; row < rows.length; row += width) {
    for (let column = 0; column < width; column++) sums[column]! += rows[row + column]!;
  }
  return sums;
}

/** Score of a whole corpus: the score of its summed statistics. */
export function scoreCorpus<Counts>(
  metric: Metric<Counts>,
  hypotheses: readonly string[],
  references: References,
): Score<Counts> {
  const statistics = metric.statistics(hypotheses, references);
  return metric.score(sumSegments(statistics), { references: statistics.references });
}

/** Refuses an option that is not a whole number of at least `least`. */
export function checkWhole(place: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least) {
    throw new ConfigError(place, `must be a whole number of at least ${least} (got ${value})`);
  }
}
