// Things to learn, made by seed: batch number `step` is a pure function of (seed, step), so that all variants see the same.
import { allocate, hostTensor, randomKey, RandomStream, type HostTensor } from "#base";
import type { Batch } from "./training.ts";

export const noLabel = -1;

/** Labels of a batch that count. */
export function labelsOf({ labels }: Batch): number {
  let count = 0;
  for (const label of (labels as HostTensor<"int32">).data) if (label >= 0) count++;
  return count;
}

interface Drawn {
  /** Of one row: what the model reads. */
  readonly ids: Int32Array;
  /** What it is asked at each place; `noLabel` where nothing. */
  readonly labels: Int32Array;
}

/** Batches of rows that `row` draws, all of one length. */
export function batchesOf(
  row: (stream: RandomStream) => Drawn,
  { rows, seed }: { rows: number; seed: number },
): (step: number) => Batch {
  return (step) => {
    const stream = new RandomStream(randomKey(seed, step));
    const drawn = Array.from({ length: rows }, () => row(stream));
    const time = drawn[0]!.ids.length;
    const gather = (part: "ids" | "labels"): HostTensor<"int32"> => {
      const data = allocate("int32", rows * time);
      drawn.forEach((one, i) => data.set(one[part], i * time));
      return hostTensor("int32", [rows, time], data);
    };
    return { ids: gather("ids"), labels: gather("labels") };
  };
}

/** A row in which every token but the last is asked for the next. */
function asText(tokens: Int32Array): Drawn {
  return { ids: tokens.slice(0, -1), labels: tokens.slice(1) };
}

export interface RecallOptions {
  /** Different things to be remembered. */
  values: number;
  /** Tokens from the thing to the question, the question included. */
  distance: number;
  /** Places before and between that hold fillers. */
  time: number;
}

/**
 * Fillers, among them one token to remember after a mark; at the end the question what it was. Ids: 0 the question, 1 the mark,
 * then the values, and as many fillers that look just like values but follow no mark.
 */
export function recall({ values, distance, time }: RecallOptions): (stream: RandomStream) => Drawn {
  return (stream) => {
    const ids = Int32Array.from({ length: time }, () => 2 + stream.integer(values));
    const labels = new Int32Array(time).fill(noLabel);
    const last = time - 1;
    const value = 2 + stream.integer(values);
    ids[last] = 0;
    ids[last - distance] = value;
    ids[last - distance - 1] = 1;
    labels[last] = value;
    return { ids, labels };
  };
}

/** Ids of `recall`. */
export const recallVocabulary = (values: number): number => 2 + values;

/**
 * A source of tokens in which each depends on the one before: row i of its table is the distribution after token i, made sharp
 * enough that there is something to learn.
 */
export class MarkovSource {
  readonly vocabularySize: number;
  readonly #table: readonly Float64Array[];

  constructor({ vocabularySize, seed, sharpness = 2 }: { vocabularySize: number; seed: number; sharpness?: number }) {
    this.vocabularySize = vocabularySize;
    const stream = new RandomStream(randomKey(seed, 77));
    this.#table = Array.from({ length: vocabularySize }, () => {
      const raw = Float64Array.from({ length: vocabularySize }, () => Math.exp(sharpness * stream.normal()));
      const sum = raw.reduce((a, b) => a + b, 0);
      return raw.map((value) => value / sum);
    });
  }

  row(time: number): (stream: RandomStream) => Drawn {
    return (stream) => {
      const tokens = new Int32Array(time + 1);
      tokens[0] = stream.integer(this.vocabularySize);
      for (let t = 1; t <= time; t++) tokens[t] = this.#after(tokens[t - 1]!, stream.uniform());
      return asText(tokens);
    };
  }

  #after(token: number, uniform: number): number {
    const row = this.#table[token]!;
    let left = uniform;
    for (let next = 0; next < row.length; next++) {
      left -= row[next]!;
      if (left < 0) return next;
    }
    return row.length - 1;
  }

  /** Nats a token that nobody can do better than: the mean entropy of the next token, over the chain's own distribution. */
  get entropy(): number {
    let share = new Float64Array(this.vocabularySize).fill(1 / this.vocabularySize);
    for (let round = 0; round < 200; round++) {
      const next = new Float64Array(this.vocabularySize);
      this.#table.forEach((row, i) => row.forEach((p, j) => (next[j]! += share[i]! * p)));
      share = next;
    }
    return this.#table.reduce((sum, row, i) => sum - share[i]! * row.reduce((part, p) => part + p * Math.log(p), 0), 0);
  }
}

/** Sequences of random tokens to be written backwards: source and target ids as `teacherForcing` of heddle/models wants them. */
export function reversal({
  symbols,
  time,
  rows,
  seed,
}: {
  symbols: number;
  time: number;
  rows: number;
  seed: number;
}): { vocabularySize: number; batch: (step: number) => Batch } {
  const [start, end, first] = [1, 2, 3];
  return {
    vocabularySize: first + symbols,
    batch: (step) => {
      const stream = new RandomStream(randomKey(seed, step));
      const source = allocate("int32", rows * time);
      const target = allocate("int32", rows * (time + 2));
      for (let row = 0; row < rows; row++) {
        for (let t = 0; t < time; t++) source[row * time + t] = first + stream.integer(symbols);
        target[row * (time + 2)] = start;
        for (let t = 0; t < time; t++) target[row * (time + 2) + 1 + t] = source[row * time + time - 1 - t]!;
        target[row * (time + 2) + time + 1] = end;
      }
      return {
        sourceIds: hostTensor("int32", [rows, time], source),
        targetIds: hostTensor("int32", [rows, time + 2], target),
      };
    },
  };
}

/** Targets of a batch of whole sequences, START left out. */
export function targetsOf({ targetIds }: Batch): number {
  const [rows, length] = targetIds!.dims as [number, number];
  return rows * (length - 1);
}
