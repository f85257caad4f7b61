// Whose randomness a draw is: each sentence has a stream of its own, which no neighbour changes.
import { ConfigError } from "../base/index.ts";
import type { JoiningOptions } from "./admission.ts";

/** What keys of a sentence's draws begin with. */
export type StreamOf = (sentence: number) => readonly number[];

/**
 * One seed for all, of which sentence i gets stream i; or each sentence's own. A list is checked for `sentences` at once, or, where
 * sentences are let in later, when each is drawn for.
 */
export function streamsOf(
  seed: number | readonly number[],
  sentences: number,
  { admit }: JoiningOptions = {},
): StreamOf {
  if (typeof seed === "number") return (sentence) => [seed, sentence];
  if (admit === undefined && seed.length !== sentences)
    throw new ConfigError(
      "seed",
      `${seed.length} seeds for ${sentences} sentences. Give one a sentence, or a single one.`,
    );
  return (sentence) => {
    const own = seed[sentence];
    if (own === undefined)
      throw new ConfigError("seed", `nothing was said of sentence ${sentence} when it was let in.`);
    return [own];
  };
}
