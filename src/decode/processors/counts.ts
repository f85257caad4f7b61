// Processors that take a fixed amount off what was said before, once or each time.
import { ConfigError } from "../../base/index.ts";
import type { ScoreProcessor } from "./score-processor.ts";

/**
 * Takes `penalty` off the score of every token that was generated already, however often: new words, new topics. With
 * `frequencyPenalty` as OpenAI's API defines it, "Frequency and presence penalties". A negative one favours repetition.
 * What was given (the start, a prompt) does not count.
 *
 * @example
 * const processors = [presencePenalty(0.6)];
 */
export function presencePenalty(penalty: number): ScoreProcessor {
  return subtracting("presencePenalty", penalty, (first) => (first ? penalty : 0));
}

/** Takes `penalty` off once for every time that the token was generated. */
export function frequencyPenalty(penalty: number): ScoreProcessor {
  return subtracting("frequencyPenalty", penalty, () => penalty);
}

function subtracting(place: string, penalty: number, amount: (isFirst: boolean) => number): ScoreProcessor {
  if (!Number.isFinite(penalty)) throw new ConfigError(place, `expected a number, got ${penalty}.`);
  return {
    process({ tokens, length, generated }, scores) {
      const from = length - generated;
      for (let i = from; i < length; i++) {
        const token = tokens[i]!;
        scores[token]! -= amount(tokens.indexOf(token, from) === i);
      }
    },
  };
}
