// Stop strings: an output ends where a certain text appears in it, however tokens cut that text.
import { ConfigError } from "../base/index.ts";
import type { StopRule } from "./search.ts";

/**
 * Ends a hypothesis once its text holds one of these strings. `textOf` makes text of tokens, as a tokenizer's `decode` does.
 * The last token may reach beyond the string: `beforeStop` cuts the text.
 *
 * @example
 * const stop = stopStrings(["\n\n"], (tokens) => tokenizer.decode(tokens));
 * const outputs = await greedySearch(stepper, { start: 1, end: 2, maxTokens: 50, stop });
 */
export function stopStrings(strings: readonly string[], textOf: (tokens: readonly number[]) => string): StopRule {
  if (strings.includes("")) throw new ConfigError("stop", "an empty string stands everywhere. Leave it out.");
  return (tokens) => {
    const text = textOf(tokens);
    return strings.some((string) => text.includes(string));
  };
}

/** The text before the first stop string in it; all of it where there is none. */
export function beforeStop(text: string, strings: readonly string[]): string {
  const places = strings.map((string) => text.indexOf(string)).filter((place) => place >= 0);
  return places.length === 0 ? text : text.slice(0, Math.min(...places));
}
