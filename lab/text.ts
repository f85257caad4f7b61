// Text to model, character by character: written by a small grammar of its own, or the user's.
import { ConfigError, hostTensor, randomKey, RandomStream } from "#base";
import type { Batch } from "./training.ts";

export interface TextOptions {
  seed: number;
  /** In place of the lab's own text. */
  text?: string | undefined;
}

/** Share of the text that nobody is taught. */
const keptShare = 0.1;
const ownCharacters = 400_000;

/** Characters as ids, cut into windows: taught from the front of the text, judged by its end. */
export class CharacterText {
  readonly vocabularySize: number;
  readonly #taught: Int32Array;
  readonly #kept: Int32Array;
  readonly #seed: number;

  constructor({ seed, text = writtenText(seed) }: TextOptions) {
    const characters = [...new Set(text)].sort();
    const ids = new Map(characters.map((character, id) => [character, id]));
    const tokens = Int32Array.from(text, (character) => ids.get(character)!);
    const split = Math.floor(tokens.length * (1 - keptShare));
    this.vocabularySize = characters.length;
    this.#taught = tokens.subarray(0, split);
    this.#kept = tokens.subarray(split);
    this.#seed = seed;
    if (this.#kept.length < 10_000)
      throw new ConfigError("--text", `is too short to learn from (${text.length} characters, 100,000 are wanted).`);
  }

  /** Windows at random places; every character is asked for the next. */
  batches({ rows, time }: { rows: number; time: number }): (step: number) => Batch {
    return (step) => {
      const stream = new RandomStream(randomKey(this.#seed, 31, step));
      const starts = Array.from({ length: rows }, () => stream.integer(this.#taught.length - time - 1));
      return windows(this.#taught, starts, time);
    };
  }

  /** The first characters of the kept part; it starts again where it ends. */
  kept(characters: number): Int32Array {
    return Int32Array.from({ length: characters }, (_, i) => this.#kept[i % this.#kept.length]!);
  }

  /** The kept part in windows one after another, about `characters` of it, some rows a batch. */
  *judgement({ time, characters }: { time: number; characters: number }): Generator<Batch> {
    const count = Math.floor(Math.min(characters, this.#kept.length - 1) / time);
    const rows = Math.max(1, Math.floor(4096 / time));
    for (let first = 0; first < count; first += rows) {
      const starts = Array.from({ length: Math.min(rows, count - first) }, (_, i) => (first + i) * time);
      yield windows(this.#kept, starts, time);
    }
  }
}

function windows(tokens: Int32Array, starts: readonly number[], time: number): Batch {
  const ids = new Int32Array(starts.length * time);
  const labels = new Int32Array(starts.length * time);
  for (const [row, start] of starts.entries()) {
    ids.set(tokens.subarray(start, start + time), row * time);
    labels.set(tokens.subarray(start + 1, start + time + 1), row * time);
  }
  return {
    ids: hostTensor("int32", [starts.length, time], ids),
    labels: hostTensor("int32", [starts.length, time], labels),
  };
}

const consonants = [..."bdfgklmnprstvz"];
const vowels = [..."aeiou"];

/** A word of so many syllables. */
export function inventedWord(stream: RandomStream, syllables: number): string {
  const pick = (letters: readonly string[]): string => letters[stream.integer(letters.length)]!;
  return Array.from(
    { length: syllables },
    () => pick(consonants) + pick(vowels) + (stream.uniform() < 0.3 ? pick(consonants) : ""),
  ).join("");
}

/**
 * Sentences of invented words. Which word follows depends on the word before it, and each paragraph is about one of its names,
 * which comes back again and again: so there is something to learn from the last letters, from the last word, and from afar.
 */
export function writtenText(seed: number): string {
  const stream = new RandomStream(randomKey(seed, 13));
  const word = (syllables: number): string => inventedWord(stream, syllables);
  const words = Array.from({ length: 160 }, () => word(1 + stream.integer(3)));
  // Each word may be followed by six others, the first of them most often.
  const followers = words.map(() => Array.from({ length: 6 }, () => stream.integer(words.length)));
  const parts: string[] = [];
  let length = 0;
  while (length < ownCharacters) {
    const raw = word(3);
    const name = raw[0]!.toUpperCase() + raw.slice(1);
    for (let sentence = 3 + stream.integer(5); sentence > 0; sentence--) {
      let current = stream.integer(words.length);
      const said: string[] = [];
      for (let left = 4 + stream.integer(8); left > 0; left--) {
        const isName = stream.uniform() < 0.15;
        said.push(isName ? name : words[current]!);
        if (!isName) current = followers[current]![Math.floor(6 * stream.uniform() ** 2)]!;
      }
      const text = `${said.join(" ")}. `;
      parts.push(text);
      length += text.length;
    }
    parts.push("\n");
  }
  return parts.join("");
}
