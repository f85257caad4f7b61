// Processors that forbid tokens and words, or make them likelier or less likely.
import { ConfigError } from "../../base/index.ts";
import type { Prefix } from "../trellis.ts";
import { restriction, type ScoreProcessor } from "./score-processor.ts";

/** Forbids tokens everywhere. */
export function suppressed(tokens: readonly number[]): ScoreProcessor {
  return restriction((_, rules) => {
    for (const token of tokens) rules.ban(token);
  });
}

/** Forbids tokens at one place, counted from 0 at the first generated one. */
export function suppressedAt(place: number, tokens: readonly number[]): ScoreProcessor {
  return restriction(({ generated }, rules) => {
    if (generated === place) for (const token of tokens) rules.ban(token);
  });
}

/**
 * Forbids words of one or several tokens: the last token of a word is banned where the others stand before it.
 *
 * @example
 * badWords([[7], [12, 3]]); // never 7; never 3 straight after 12
 */
export function badWords(words: readonly (readonly number[])[]): ScoreProcessor {
  checkWords("badWords", words);
  return restriction((prefix, rules) => {
    for (const word of words) if (comesNext(word, prefix)) rules.ban(word[word.length - 1]!);
  });
}

/** Adds a number to the score of a word's last token where the others stand before it. Words of one token act always. */
export function wordBias(biases: readonly (readonly [word: readonly number[], bias: number])[]): ScoreProcessor {
  const words = biases.map(([word]) => word);
  checkWords("wordBias", words);
  const total = new Map<number, number>();
  return {
    process(prefix, scores) {
      // Summed before they are added once, so that the order of the words cannot change a rounding.
      total.clear();
      for (const [word, bias] of biases) {
        const last = word[word.length - 1]!;
        if (comesNext(word, prefix)) total.set(last, (total.get(last) ?? 0) + bias);
      }
      for (const [token, bias] of total) scores[token] = scores[token]! + bias;
    },
  };
}

/** Allows only the tokens that a function names for this hypothesis: a trie, a grammar. */
export function allowedTokens(allowed: (prefix: Prefix) => Iterable<number>): ScoreProcessor {
  let kept = new Float32Array(0);
  return {
    process(prefix, scores) {
      if (kept.length < scores.length) kept = new Float32Array(scores.length);
      kept.fill(-Infinity);
      for (const token of allowed(prefix)) kept[token] = scores[token]!;
      scores.set(kept.subarray(0, scores.length));
    },
  };
}

function comesNext(word: readonly number[], prefix: Prefix): boolean {
  if (word.length === 1) return true;
  // One token more than the word's beginning must stand: so the reference implementation has it.
  if (word.length > prefix.length) return false;
  const { tokens } = prefix;
  const from = tokens.length - (word.length - 1);
  for (let i = 0; i < word.length - 1; i++) if (tokens[from + i] !== word[i]) return false;
  return true;
}

function checkWords(place: string, words: readonly (readonly number[])[]): void {
  const empty = words.findIndex((word) => word.length === 0);
  if (empty >= 0) throw new ConfigError(place, `word ${empty} has no tokens. Leave it out.`);
}
