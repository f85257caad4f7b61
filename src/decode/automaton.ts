// Outputs held to a language: an automaton says which tokens may follow, be it made of a list of outputs or of a grammar.
import { ConfigError } from "../base/index.ts";
import { allowedTokens } from "./processors/banned.ts";
import type { ScoreProcessor } from "./processors/score-processor.ts";

/** Reads tokens one by one; deterministic: a state and a token have one next state, or none. */
export interface Automaton<State> {
  readonly start: State;
  /** The state after the token; undefined where the token may not come. */
  next(state: State, token: number): State | undefined;
  /** Tokens that may come, END among them where the output may end. */
  allowed(state: State): Iterable<number>;
}

/**
 * Lets only those tokens come that the automaton allows. Once it has no way on, nothing may follow and the hypothesis ends there.
 *
 * @example
 * // Two digits, then END: token 4 is END, tokens 10 to 19 are digits.
 * const digits = Array.from({ length: 10 }, (_, i) => 10 + i);
 * following({ start: 0, next: (read) => read + 1, allowed: (read) => (read < 2 ? digits : [4]) });
 */
export function following<State>(automaton: Automaton<State>): ScoreProcessor {
  return allowedTokens(({ tokens, length, generated }) => {
    let state: State | undefined = automaton.start;
    for (let i = length - generated; i < length; i++) {
      state = automaton.next(state, tokens[i]!);
      if (state === undefined) return [];
    }
    return automaton.allowed(state);
  });
}

/** A node of a trie: what may follow, and what stands there then. */
export type TrieNode = ReadonlyMap<number, TrieNode>;

/**
 * The automaton of a list of outputs: whatever has been written is the beginning of one of them, and END comes where one is whole.
 * Without `end` a whole output simply has nothing to follow it. De Cao et al. 2021, "Autoregressive Entity Retrieval", section 3.2.
 *
 * @example
 * const cities = ["Paris", "Parma"].map((name) => tokenizer.encode(name));
 * const processors = [following(trie(cities, tokenizer.special.end))];
 */
export function trie(sequences: Iterable<readonly number[]>, end?: number): Automaton<TrieNode> {
  type Node = Map<number, Node>;
  const root: Node = new Map();
  let count = 0;
  for (const sequence of sequences) {
    count++;
    let node = root;
    for (const token of end === undefined ? sequence : [...sequence, end]) {
      let child = node.get(token);
      if (child === undefined) node.set(token, (child = new Map()));
      node = child;
    }
  }
  if (count === 0) throw new ConfigError("trie", "there is no sequence to write. Give at least one.");
  return { start: root, next: (node, token) => node.get(token), allowed: (node) => node.keys() };
}

/**
 * An automaton over characters as one over tokens: a token may come where all characters of its text may. `textOf` gives a token's text, and
 * undefined for tokens that are none (special ones, single bytes), which never come; `end` comes where `isWhole` says that the text
 * may end. Which tokens a state allows is found out once a state, so states should be values that are equal when they mean the same
 * (numbers, strings). Willard and Louf 2023, "Efficient Guided Generation for Large Language Models".
 */
export function overCharacters<State extends string | number>(
  automaton: {
    readonly start: State;
    next(state: State, character: string): State | undefined;
    isWhole(state: State): boolean;
  },
  {
    vocabularySize,
    textOf,
    end,
  }: { vocabularySize: number; textOf: (token: number) => string | undefined; end: number },
): Automaton<State> {
  const texts = Array.from({ length: vocabularySize }, (_, token) => [...(textOf(token) ?? "")]);
  const read = (state: State, token: number): State | undefined => {
    const text = texts[token]!;
    if (text.length === 0) return undefined;
    let at: State | undefined = state;
    for (const character of text) if ((at = automaton.next(at, character)) === undefined) return undefined;
    return at;
  };
  const known = new Map<State, readonly number[]>();
  return {
    start: automaton.start,
    next: read,
    allowed(state) {
      let tokens = known.get(state);
      if (tokens === undefined) {
        const possible = texts.flatMap((_, token) =>
          token !== end && read(state, token) !== undefined ? [token] : [],
        );
        tokens = automaton.isWhole(state) ? [...possible, end] : possible;
        known.set(state, tokens);
      }
      return tokens;
    },
  };
}
