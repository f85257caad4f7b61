// Several models as one: at every step the mean of what they think comes next.
import { ConfigError } from "../base/index.ts";
import { CandidateList } from "./candidate-list.ts";
import { logSumExp } from "./log-sum-exp.ts";
import type { Candidates, SourceAttention, Step, Stepper } from "./stepper.ts";

export interface EnsembleOptions {
  /** Mean of the probabilities, or of their logarithms, which lets each model veto a token. */
  readonly average?: "probabilities" | "logProbabilities";
  /** How much each model counts; they are divided by their sum. All alike where not given. */
  readonly weights?: readonly number[];
}

/**
 * A stepper whose next-token distribution is the mean of those of several: log Σₘ wₘ pₘ, or Σₘ wₘ log pₘ made a distribution
 * again. They must have been started on the same sentences, with one vocabulary. Sutskever et al. 2014, "Sequence to Sequence
 * Learning with Neural Networks", section 3.6.
 *
 * @example
 * const stepper = ensemble([await first.start(sources), await second.start(sources)]);
 * const outputs = await beamSearch(stepper, { start: 1, end: 2, maxTokens: 50 });
 */
export function ensemble(
  members: readonly Stepper[],
  { average = "probabilities", weights = members.map(() => 1) }: EnsembleOptions = {},
): Stepper {
  const [first, ...others] = members;
  if (first === undefined) throw new ConfigError("ensemble", "has no member. Give at least one stepper.");
  for (const [i, other] of others.entries()) {
    for (const size of ["sentences", "vocabularySize"] as const) {
      if (other[size] !== first[size])
        throw new ConfigError("ensemble", `${size} of member ${i + 1} is ${other[size]}, of member 0 ${first[size]}.`);
    }
  }
  if (weights.length !== members.length || weights.some((weight) => !(weight > 0)))
    throw new ConfigError("weights", `expected ${members.length} numbers above 0, got [${weights.join(", ")}].`);
  if (others.length === 0) return first;
  const total = weights.reduce((a, b) => a + b, 0);
  return new Ensemble(
    members,
    weights.map((weight) => weight / total),
    average,
  );
}

class Ensemble implements Stepper {
  readonly sentences: number;
  readonly vocabularySize: number;
  readonly #members: readonly Stepper[];
  readonly #shares: readonly number[];
  readonly #average: "probabilities" | "logProbabilities";
  readonly #list = new CandidateList();
  /** The mean of where the members look, if all of them show it. */
  readonly attention?: () => SourceAttention;

  constructor(members: readonly Stepper[], shares: readonly number[], average: "probabilities" | "logProbabilities") {
    this.#members = members;
    this.#shares = shares;
    this.#average = average;
    this.sentences = members[0]!.sentences;
    this.vocabularySize = members[0]!.vocabularySize;
    if (members.every((member) => member.attention !== undefined)) this.attention = () => this.#meanAttention();
  }

  #meanAttention(): SourceAttention {
    const [first, ...others] = this.#members.map((member) => member.attention!());
    const weights = first!.weights.map((weight) => weight * this.#shares[0]!);
    for (const [i, other] of others.entries())
      for (let at = 0; at < weights.length; at++) weights[at]! += this.#shares[i + 1]! * other.weights[at]!;
    return { ...first!, weights };
  }

  async logProbabilities(step: Step): Promise<Float32Array> {
    const rows = step.tokens.length;
    const mean = new Float32Array(rows * this.vocabularySize);
    // One after the other: each may use all the processor's cores.
    for (const [m, member] of this.#members.entries()) {
      const own = await member.logProbabilities(step);
      const share = this.#shares[m]!;
      if (this.#average === "probabilities")
        for (let i = 0; i < mean.length; i++) mean[i]! += share * Math.exp(own[i]!);
      else for (let i = 0; i < mean.length; i++) mean[i]! += share * own[i]!;
    }
    if (this.#average === "probabilities") for (let i = 0; i < mean.length; i++) mean[i] = Math.log(mean[i]!);
    else {
      for (let row = 0; row < rows; row++) {
        const scores = mean.subarray(row * this.vocabularySize, (row + 1) * this.vocabularySize);
        const total = logSumExp(scores);
        for (let token = 0; token < scores.length; token++) scores[token]! -= total;
      }
    }
    return mean;
  }

  async topCandidates(step: Step, count: number): Promise<Candidates> {
    const scores = await this.logProbabilities(step);
    const rows = step.tokens.length;
    const best = this.#list.room(rows, count);
    for (let row = 0; row < rows; row++) {
      const own = scores.subarray(row * this.vocabularySize, (row + 1) * this.vocabularySize);
      // Where one is not a number it takes the row's first place: the search looks there and says whose it was.
      const bad = this.#list.fill(row, own);
      if (bad !== undefined) best.logProbabilities[row * count] = NaN;
    }
    return best;
  }
}
