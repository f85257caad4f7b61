// The table that training starts from: every word of the text and how often it occurs.
import { ConfigError } from "../base/index.ts";
import { cutter, makeVisible, type Scheme } from "./scheme.ts";
import { specialTokenCutter } from "./special-tokens.ts";

export interface CountWordsOptions {
  readonly scheme: Scheme;
  /** Cut out of the text before counting. */
  readonly specialTokens: readonly string[];
}

/** Counts words of lines that come one by one. */
class WordTable {
  readonly words = new Map<string, number>();
  readonly #scheme: Scheme;
  readonly #cutAtSpecial: (text: string) => string[];
  readonly #cutWords: (visible: string) => readonly string[];

  constructor({ scheme, specialTokens }: CountWordsOptions) {
    this.#scheme = scheme;
    this.#cutAtSpecial = specialTokenCutter(specialTokens);
    this.#cutWords = cutter(scheme);
  }

  add(line: string): void {
    for (const [i, segment] of this.#cutAtSpecial(line.toWellFormed()).entries()) {
      if (i % 2 === 1) continue;
      for (const word of this.#cutWords(makeVisible(segment, this.#scheme))) {
        this.words.set(word, (this.words.get(word) ?? 0) + 1);
      }
    }
  }
}

export type Lines = Iterable<string> | AsyncIterable<string>;

/** Counts the words of lines, then makes something of the table; later, if the lines come later. */
export function fromWords<T>(
  lines: Lines,
  options: CountWordsOptions,
  make: (words: ReadonlyMap<string, number>) => T,
): T | Promise<T> {
  if (typeof lines === "string")
    throw new ConfigError("tokenizer", "a string was given where lines were expected. Wrap it: [text].");
  const table = new WordTable(options);
  const finish = (): T => {
    if (table.words.size === 0)
      throw new ConfigError("tokenizer", "there is no text to learn from: every line was empty.");
    return make(table.words);
  };
  if (Symbol.iterator in lines) {
    for (const line of lines) table.add(line);
    return finish();
  }
  return (async () => {
    for await (const line of lines) table.add(line);
    return finish();
  })();
}
