// Phrases that an output must hold, and how far a hypothesis has come with them.
import { ConfigError } from "../base/index.ts";
import { checkToken } from "./search.ts";

/** How far a hypothesis has come. Extending it makes another. */
export interface PhraseProgress {
  /** Which phrases stand in it already. */
  readonly isMet: readonly boolean[];
  /** Its last tokens, as many as a phrase may be begun with. */
  readonly tail: readonly number[];
  /** Tokens of phrases that stand, and of the one that is best under way: the bank it competes in. */
  readonly tokens: number;
}

export class Phrases {
  /** Tokens of all phrases together. */
  readonly tokens: number;
  readonly #phrases: readonly (readonly number[])[];
  readonly #longest: number;
  readonly start: PhraseProgress;

  constructor(phrases: readonly (readonly number[])[], vocabularySize: number, ends: readonly number[]) {
    for (const [i, phrase] of phrases.entries()) {
      if (phrase.length === 0) throw new ConfigError("phrases", `phrase ${i} has no tokens. Leave it out.`);
      for (const token of phrase) {
        checkToken("phrases", token, vocabularySize);
        if (ends.includes(token)) throw new ConfigError("phrases", `phrase ${i} holds ${token}, which ends an output.`);
      }
    }
    this.#phrases = phrases;
    this.tokens = phrases.reduce((sum, { length }) => sum + length, 0);
    this.#longest = Math.max(0, ...phrases.map(({ length }) => length));
    this.start = { isMet: phrases.map(() => false), tail: [], tokens: 0 };
  }

  areMet({ isMet }: PhraseProgress): boolean {
    return isMet.every(Boolean);
  }

  /** The tokens that would bring a missing phrase on: begin it, or go on with it. */
  wanted({ isMet, tail }: PhraseProgress): number[] {
    const next = this.#phrases.flatMap((phrase, i) => (isMet[i] ? [] : [phrase[overlap(tail, phrase)]!]));
    return [...new Set(next)];
  }

  /** A phrase counts wherever it comes to stand, across others too; one that is left before its end counts nothing. */
  extend({ isMet, tail }: PhraseProgress, token: number): PhraseProgress {
    const longer = [...tail, token].slice(-this.#longest);
    const met = this.#phrases.map((phrase, i) => isMet[i]! || endsWith(longer, phrase));
    let standing = 0;
    let underWay = 0;
    for (const [i, phrase] of this.#phrases.entries()) {
      if (met[i]) standing += phrase.length;
      else underWay = Math.max(underWay, overlap(longer, phrase));
    }
    return { isMet: met, tail: longer, tokens: standing + underWay };
  }
}

/** How many tokens of the phrase's beginning stand at the end of the text, less than all of them. */
function overlap(text: readonly number[], phrase: readonly number[]): number {
  for (let length = Math.min(text.length, phrase.length - 1); length > 0; length--)
    if (endsWith(text, phrase.slice(0, length))) return length;
  return 0;
}

function endsWith(text: readonly number[], phrase: readonly number[]): boolean {
  const from = text.length - phrase.length;
  return from >= 0 && phrase.every((token, i) => text[from + i] === token);
}
