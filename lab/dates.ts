// Written dates to ISO 8601 as a small translation task, character by character.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "#base";
import { dateExamples, type DateExample } from "heddle/tasks";
import type { Batch } from "./training.ts";

const [pad, start, end] = [0, 1, 2];

/** Pairs as ids; the same seed gives the same pairs and batches. */
export class DatePairs {
  readonly vocabularySize: number;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #train: readonly DateExample[];
  readonly #kept: readonly DateExample[];
  readonly #seed: number;

  constructor({ seed, isQuick }: { seed: number; isQuick: boolean }) {
    this.#train = dateExamples({ seed, count: isQuick ? 200 : 20_000, split: "train" });
    this.#kept = dateExamples({ seed, count: isQuick ? 16 : 500, split: "validation" });
    const texts = [...this.#train, ...this.#kept].flatMap(({ source, target }) => [source, target]);
    const characters = [...new Set(texts.join(""))].sort();
    this.#ids = new Map(characters.map((character, id) => [character, end + 1 + id]));
    this.vocabularySize = end + 1 + characters.length;
    this.#seed = seed;
  }

  batches(rows: number): (step: number) => Batch {
    return (step) => {
      const stream = new RandomStream(randomKey(this.#seed, 41, step));
      return this.#batch(Array.from({ length: rows }, () => this.#train[stream.integer(this.#train.length)]!));
    };
  }

  /** Dates of days that training never saw. */
  judgement(): Batch[] {
    const sorted = this.#kept.toSorted((a, b) => a.source.length - b.source.length);
    return Array.from({ length: Math.ceil(sorted.length / 50) }, (_, i) =>
      this.#batch(sorted.slice(50 * i, 50 * (i + 1))),
    );
  }

  #batch(examples: readonly DateExample[]): Batch {
    const spell = (text: string): number[] => [...text].map((character) => this.#ids.get(character)!);
    return {
      sourceIds: padded(examples.map(({ source }) => spell(source))),
      targetIds: padded(examples.map(({ target }) => [start, ...spell(target), end])),
    };
  }
}

function padded(rows: readonly (readonly number[])[]): HostTensor<"int32"> {
  const time = Math.max(...rows.map(({ length }) => length));
  const data = new Int32Array(rows.length * time).fill(pad);
  rows.forEach((row, i) => data.set(row, i * time));
  return hostTensor("int32", [rows.length, time], data);
}

/** Tokens that a batch of pairs asks for: all of the target but START and padding. */
export function dateLabels({ targetIds }: Batch): number {
  const { data, dims } = targetIds as HostTensor<"int32">;
  let count = 0;
  for (const id of data) if (id !== pad) count++;
  return count - dims[0]!;
}
