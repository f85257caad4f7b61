// Processors that steer how long an output gets.
import { ConfigError } from "../../base/index.ts";
import { checkCount } from "../search.ts";
import { restriction, type ScoreProcessor } from "./score-processor.ts";

/**
 * Refuses END until `tokens` tokens have been generated, the start not counted; a list holds each sentence's own number.
 *
 * @example
 * minimumTokens(5, [2]); // at least five tokens before token 2 may end the output
 */
export function minimumTokens(tokens: number | readonly number[], ends: readonly number[]): ScoreProcessor {
  const each = typeof tokens === "number" ? [tokens] : tokens;
  for (const count of each) checkCount("minimumTokens", count, 0);
  return restriction(({ sentence, generated }, rules) => {
    const least = typeof tokens === "number" ? tokens : (tokens[sentence] ?? 0);
    if (generated < least) for (const end of ends) rules.ban(end);
  });
}

/** The processors, with the least lengths before them where there are any. */
export function withMinimum(
  processors: readonly ScoreProcessor[],
  least: readonly number[],
  ends: readonly number[],
): readonly ScoreProcessor[] {
  return least.some((count) => count > 0) ? [minimumTokens(least, ends), ...processors] : processors;
}

export interface LengthDecayOptions {
  /** Tokens generated before the pull begins. */
  readonly after: number;
  /** Growth a token; above 1 END becomes ever likelier. */
  readonly factor: number;
  readonly ends: readonly number[];
}

/** Raises END by |score| × (factor^(generated − after) − 1) once more than `after` tokens stand. */
export function lengthDecay({ after, factor, ends }: LengthDecayOptions): ScoreProcessor {
  if (!(factor > 0)) throw new ConfigError("lengthDecay.factor", `expected a number above 0, got ${factor}.`);
  return {
    process({ generated }, scores) {
      if (generated <= after) return;
      for (const end of ends) {
        const score = scores[end]!;
        if (score > -Infinity) scores[end] = score + Math.abs(score) * (factor ** (generated - after) - 1);
      }
    },
  };
}
