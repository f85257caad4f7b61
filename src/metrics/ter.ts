// TER: how many edits, block moves among them, a hypothesis is away from its nearest reference.
import {
  measureSegments,
  scoreCorpus,
  type Metric,
  type References,
  type ScoreContext,
  type SegmentStatistics,
} from "./metric.ts";
import { Score } from "./score.ts";
import { editsWithShifts } from "./shifts.ts";
import { Signature, yesNo } from "./signature.ts";
import { tokenizeTercom, type TercomOptions } from "./tercom-tokenizer.ts";
import { splitWords, trimEnd } from "./whitespace.ts";

export type TerOptions = Partial<TercomOptions>;

export interface TerCounts {
  readonly edits: number;
  /** Sum over the segments of their references' mean length. */
  readonly referenceLength: number;
}

/**
 * TER = edits / mean reference length, in per cent; 0 is perfect and more than 100 is possible.
 * Snover et al. 2006, "A Study of Translation Edit Rate with Targeted Human Annotation", section 3.
 *
 * @example
 * new Ter().sentence("b c a", ["a b c"]).counts.edits; // 1: one move
 */
export class Ter implements Metric<TerCounts> {
  readonly name = "TER";
  readonly #options: TercomOptions;

  constructor({ normalized = false, noPunct = false, asianSupport = false, caseSensitive = false }: TerOptions = {}) {
    this.#options = { normalized, noPunct, asianSupport, caseSensitive };
  }

  /** A row is edits to the nearest reference, mean reference length. */
  statistics(hypotheses: readonly string[], references: References): SegmentStatistics {
    return measureSegments(hypotheses, references, 2, (hypothesis, own) => {
      const words = splitWords(this.#prepare(hypothesis));
      let [edits, lengths] = [Infinity, 0];
      for (const reference of own) {
        // References are prepared twice in the program whose scores these are, and the second pass can cut further.
        const referenceWords = splitWords(tokenizeTercom(this.#prepare(reference), this.#options));
        edits = Math.min(edits, editsWithShifts(words, referenceWords));
        lengths += referenceWords.length;
      }
      return [edits, lengths / own.length];
    });
  }

  score(sums: ArrayLike<number>, { references, trials, confidence }: ScoreContext): Score<TerCounts> {
    const { normalized, noPunct, asianSupport, caseSensitive } = this.#options;
    const [edits, referenceLength] = [sums[0]!, sums[1]!];
    return new Score<TerCounts>({
      name: this.name,
      score: 100 * rate(edits, referenceLength),
      signature: new Signature(
        references,
        [
          ["case", "c", caseSensitive ? "mixed" : "lc"],
          ["tok", "t", "tercom"],
          ["norm", "nr", yesNo(normalized)],
          ["punct", "pn", yesNo(!noPunct)],
          ["asian", "as", yesNo(asianSupport)],
        ],
        trials,
      ),
      counts: { edits, referenceLength },
      confidence,
    });
  }

  corpus(hypotheses: readonly string[], references: References): Score<TerCounts> {
    return scoreCorpus(this, hypotheses, references);
  }

  sentence(hypothesis: string, references: readonly (string | null)[]): Score<TerCounts> {
    return scoreCorpus(
      this,
      [hypothesis],
      references.map((reference) => [reference]),
    );
  }

  #prepare(line: string): string {
    return tokenizeTercom(trimEnd(line), this.#options);
  }
}

/** Anything against nothing is wholly wrong; nothing against nothing is right. */
function rate(edits: number, referenceLength: number): number {
  if (referenceLength > 0) return edits / referenceLength;
  return edits > 0 ? 1 : 0;
}
