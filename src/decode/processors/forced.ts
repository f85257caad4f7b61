// Processors that say what the next token is. A forced token costs nothing: its log-probability counts as 0.
import { checkCount } from "../search.ts";
import { restriction, type ScoreProcessor } from "./score-processor.ts";

/** Forces the first generated token, as many-to-many translators do with the target language. */
export function forcedFirst(token: number): ScoreProcessor {
  return forcedAt(new Map([[0, token]]));
}

/** Forces the token that fills `maxTokens`, commonly END, so that no output is cut open. */
export function forcedLast(token: number, maxTokens: number): ScoreProcessor {
  return forcedAt(new Map([[maxTokens - 1, token]]));
}

/** Forces tokens at places, counted from 0 at the first generated one. */
export function forcedAt(tokens: ReadonlyMap<number, number>): ScoreProcessor {
  for (const place of tokens.keys()) checkCount("forced token's place", place, 0);
  return restriction(({ generated }, rules) => {
    const token = tokens.get(generated);
    if (token !== undefined) rules.force(token);
  });
}

/**
 * Makes the output of sentence i begin with `prefixes[i]`.
 *
 * @example
 * forcedPrefix([[17, 4], []]); // sentence 0 begins with tokens 17 and 4, sentence 1 as it likes
 */
export function forcedPrefix(prefixes: readonly (readonly number[])[]): ScoreProcessor {
  return restriction(({ sentence, generated }, rules) => {
    const token = prefixes[sentence]?.[generated];
    if (token !== undefined) rules.force(token);
  });
}
