// Sums of log-probabilities fall with every token; what they are divided by decides how long outputs get.

/**
 * What a hypothesis' log-probability is divided by: the length to this power (0: nothing, 1: the mean, above 1 favours long
 * outputs), or a function of the length, END counted, which must grow or fall evenly with it.
 */
export type LengthPenalty = number | ((generated: number) => number);

/**
 * ((5 + n) / 6)^alpha. Wu et al. 2016, "Google's Neural Machine Translation System", section 7, equation 14; there alpha is
 * 0.2 with a coverage penalty, and Vaswani et al. 2017, section 6.1, take 0.6 without one. Short outputs are told apart less
 * than by n^alpha.
 *
 * @example
 * await beamSearch(stepper, { start: 1, end: 2, maxTokens: 50, lengthPenalty: gnmtPenalty(0.6) });
 */
export function gnmtPenalty(alpha: number): LengthPenalty {
  return (generated) => ((5 + generated) / 6) ** alpha;
}

export function divisorOf(penalty: LengthPenalty, generated: number): number {
  return typeof penalty === "number" ? generated ** penalty : penalty(generated);
}

/** The log-probability of `generated` tokens, END counted, as hypotheses of unlike lengths are compared by. */
export function normalised(logProbability: number, generated: number, penalty: LengthPenalty): number {
  return logProbability / divisorOf(penalty, generated);
}
