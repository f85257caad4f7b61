// Processors against saying the same thing again.
import { ConfigError } from "../../base/index.ts";
import { checkCount } from "../search.ts";
import { restriction, type Rules, type ScoreProcessor } from "./score-processor.ts";

/**
 * Makes every token that already stands, the start included, less likely: a score below 0 is multiplied by the penalty,
 * one above 0 divided. Keskar et al. 2019, "CTRL", section 4.1, with the sign of the score minded. As it multiplies, it
 * does not act alike on logits and on log-probabilities.
 */
export function repetitionPenalty(penalty: number): ScoreProcessor {
  if (!(penalty > 0)) throw new ConfigError("repetitionPenalty", `expected a number above 0, got ${penalty}.`);
  return {
    process({ tokens }, scores) {
      for (let i = 0; i < tokens.length; i++) {
        const token = tokens[i]!;
        if (i > 0 && tokens.indexOf(token) < i) continue; // once a token, however often it stands
        const score = scores[token]!;
        scores[token] = score < 0 ? score * penalty : score / penalty;
      }
    },
  };
}

/** Makes a source token likelier in the output, or with a penalty below 1 less likely; scores move as above, inversely. */
export function sourceRepetitionPenalty(penalty: number, sources: readonly (readonly number[])[]): ScoreProcessor {
  if (!(penalty > 0)) throw new ConfigError("sourceRepetitionPenalty", `expected a number above 0, got ${penalty}.`);
  const distinct = sources.map((source) => [...new Set(source)]);
  return {
    process({ sentence }, scores) {
      for (const token of distinct[sentence] ?? []) {
        const score = scores[token]!;
        scores[token] = score < 0 ? score / penalty : score * penalty;
      }
    },
  };
}

/**
 * Forbids any sequence of `n` tokens to stand twice, the start included. Paulus et al. 2017, "A Deep Reinforced Model for
 * Abstractive Summarization", section 2.5.
 *
 * @example
 * noRepeatNgram(3); // after "a b c … a b", c is banned
 */
export function noRepeatNgram(n: number): ScoreProcessor {
  checkCount("noRepeatNgram", n, 1);
  return restriction(({ tokens }, rules) => banContinuations(tokens, tokens, n, rules));
}

/** Forbids any sequence of `n` tokens that stands in the sentence's source. */
export function noSourceNgram(n: number, sources: readonly (readonly number[])[]): ScoreProcessor {
  checkCount("noSourceNgram", n, 1);
  return restriction(({ sentence, tokens }, rules) => banContinuations(sources[sentence] ?? [], tokens, n, rules));
}

/** Bans what followed in `text` each time that it read like the last n − 1 of `tokens`. */
function banContinuations(text: ArrayLike<number>, tokens: Int32Array, n: number, rules: Rules): void {
  const from = tokens.length - (n - 1);
  if (from < 0) return;
  for (let start = 0; start + n <= text.length; start++) {
    let i = 0;
    while (i < n - 1 && text[start + i] === tokens[from + i]) i++;
    if (i === n - 1) rules.ban(text[start + n - 1]!);
  }
}
