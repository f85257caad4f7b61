// Minimum Bayes risk: of several outputs the one that agrees best with all of them, not the one the model scores best.
import { ShapeError } from "../base/index.ts";
import { Bleu, Chrf } from "../metrics/index.ts";

/** How well a hypothesis does where a reference is right: higher is better. */
export type Utility = (hypothesis: string, reference: string) => number;

/** Sentence BLEU (exponential smoothing, orders that the hypothesis has) and chrF2, both from 0 to 100. */
export const utilities: { readonly bleu: Utility; readonly chrf: Utility } = {
  bleu: (hypothesis, reference) => bleu.sentence(hypothesis, [reference]).score,
  chrf: (hypothesis, reference) => chrf.sentence(hypothesis, [reference]).score,
};
const bleu = new Bleu({ effectiveOrder: true, force: true });
const chrf = new Chrf();

export interface MinimumBayesRiskOptions {
  readonly utility: Utility;
  /** How probable each candidate is as a reference, up to a common factor; all alike where not given, as for samples. */
  readonly weights?: readonly number[];
}

export interface RankedCandidate {
  /** Its place among the candidates. */
  readonly index: number;
  /** Σⱼ wⱼ · utility(candidate, candidateⱼ), weights summing to 1. */
  readonly expectedUtility: number;
}

/**
 * Candidates by their expected utility, best first, the earlier one among equals; they stand for the references too. Kumar and
 * Byrne 2004, "Minimum Bayes-Risk Decoding for Statistical Machine Translation", over n-best lists; Eikema and Aziz 2020, "Is MAP
 * Decoding All You Need?", over samples.
 *
 * @example
 * const [best] = minimumBayesRisk(["a red cat", "the red cat", "a dog"], { utility: utilities.chrf });
 */
export function minimumBayesRisk(
  candidates: readonly string[],
  { utility, weights = candidates.map(() => 1) }: MinimumBayesRiskOptions,
): RankedCandidate[] {
  if (weights.length !== candidates.length)
    throw new ShapeError(`weights: ${weights.length} for ${candidates.length} candidates. Give one a candidate`);
  // The same text drawn often is one candidate with more weight: n² utilities of different texts alone.
  const weightOf = new Map<string, number>();
  let total = 0;
  for (const [i, candidate] of candidates.entries()) {
    weightOf.set(candidate, (weightOf.get(candidate) ?? 0) + weights[i]!);
    total += weights[i]!;
  }
  const expected = new Map<string, number>();
  for (const candidate of weightOf.keys()) {
    let sum = 0;
    for (const [reference, weight] of weightOf) sum += weight * utility(candidate, reference);
    expected.set(candidate, sum / total);
  }
  return candidates
    .map((candidate, index) => ({ index, expectedUtility: expected.get(candidate)! }))
    .sort((a, b) => b.expectedUtility - a.expectedUtility || a.index - b.index);
}
