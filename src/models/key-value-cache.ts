// Keys and values of the tokens written so far, laid out so that a step reads them where they lie.
import type { HostTensor } from "../base/index.ts";

/** Finite, as in masks: a row of −∞ alone would give NaN. */
const hidden = -1e9;

/**
 * For every decoder layer one array of keys and one of values, [steps · beams, batch, dModel]. A step appends its rows at the
 * end. Hypotheses that change places take only their ancestry with them: in which beam each of them left its entry, step by
 * step. Entries move when beams or batch change, which is seldom.
 *
 * Hypotheses are counted sentence by sentence here, as searches count them: hypothesis = sentence · beams + beam.
 */
export class KeyValueCache {
  readonly #dModel: number;
  readonly #heads: readonly number[];
  /** Keys of layer 0, values of layer 0, keys of layer 1 … */
  #arrays: Float32Array[];
  #batch: number;
  #beams = 1;
  #steps = 0;
  /** Steps there is room for. */
  #capacity = 0;
  /** [hypotheses, capacity] */
  #ancestry = new Int32Array(0);

  /** `heads` of each layer. */
  constructor({ dModel, heads, batch }: { dModel: number; heads: readonly number[]; batch: number }) {
    this.#dModel = dModel;
    this.#heads = heads;
    this.#batch = batch;
    this.#arrays = heads.flatMap(() => [new Float32Array(0), new Float32Array(0)]);
  }

  get beams(): number {
    return this.#beams;
  }

  /** How many tokens each hypothesis has left here. */
  get steps(): number {
    return this.#steps;
  }

  /** Goes on with `batch` sentences of `beams` hypotheses; hypothesis i continues hypothesis parents[i] of before. */
  descend(parents: Int32Array, batch: number, beams: number): void {
    if (batch === this.#batch && beams === this.#beams) {
      const before = this.#ancestry.slice();
      for (let i = 0; i < parents.length; i++) {
        const from = parents[i]! * this.#capacity;
        if (parents[i] !== i) this.#ancestry.set(before.subarray(from, from + this.#steps), i * this.#capacity);
      }
    } else {
      this.#moveEntries(parents, batch, beams);
    }
  }

  /** Another batch or number of beams: every hypothesis gets its entries in its own place. */
  #moveEntries(parents: Int32Array, batch: number, beams: number): void {
    const width = this.#dModel;
    const [beamsBefore, batchBefore] = [this.#beams, this.#batch];
    const entry = (step: number, beam: number, sentence: number): number =>
      ((step * beams + beam) * batch + sentence) * width;
    this.#arrays = this.#arrays.map((before) => {
      const after = new Float32Array(this.#capacity * beams * batch * width);
      for (let i = 0; i < parents.length; i++) {
        const sentence = Math.floor(parents[i]! / beamsBefore);
        for (let step = 0; step < this.#steps; step++) {
          const beam = this.#ancestry[parents[i]! * this.#capacity + step]!;
          const from = ((step * beamsBefore + beam) * batchBefore + sentence) * width;
          after.set(before.subarray(from, from + width), entry(step, i % beams, Math.floor(i / beams)));
        }
      }
      return after;
    });
    this.#batch = batch;
    this.#beams = beams;
    this.#ancestry = new Int32Array(batch * beams * this.#capacity);
    for (let i = 0; i < batch * beams; i++)
      this.#ancestry.fill(i % beams, i * this.#capacity, i * this.#capacity + this.#steps);
  }

  /** Takes in what a step's hypotheses leave: [2 · layers, beams, batch, dModel]. */
  append(entries: Float32Array): void {
    if (this.#steps === this.#capacity) this.#grow();
    const block = this.#beams * this.#batch * this.#dModel;
    this.#arrays.forEach((array, i) => array.set(entries.subarray(i * block, (i + 1) * block), this.#steps * block));
    for (let i = 0; i < this.#batch * this.#beams; i++)
      this.#ancestry[i * this.#capacity + this.#steps] = i % this.#beams;
    this.#steps += 1;
  }

  #grow(): void {
    const capacity = Math.max(16, 2 * this.#capacity);
    const block = this.#beams * this.#batch * this.#dModel;
    this.#arrays = this.#arrays.map((array) => longer(array, capacity * block));
    const ancestry = new Int32Array(this.#batch * this.#beams * capacity);
    for (let i = 0; i < this.#batch * this.#beams; i++)
      ancestry.set(this.#ancestry.subarray(i * this.#capacity, i * this.#capacity + this.#steps), i * capacity);
    this.#ancestry = ancestry;
    this.#capacity = capacity;
  }

  /** What the step program reads; the arrays themselves, not copies. */
  feeds(): Record<string, HostTensor> {
    const entries = this.#steps * this.#beams;
    const feeds: Record<string, HostTensor> = {};
    for (const [layer, heads] of this.#heads.entries()) {
      for (const [i, name] of ["pastKey", "pastValue"].entries()) {
        feeds[`${name}.${layer}`] = {
          dtype: "float32",
          dims: [entries, this.#batch, heads, this.#dModel / heads],
          data: this.#arrays[2 * layer + i]!.subarray(0, entries * this.#batch * this.#dModel),
        };
      }
    }
    if (this.#beams > 1) feeds.visible = this.#visible();
    return feeds;
  }

  /** 0 where an entry belongs to the hypothesis' past or is its own of this step: [batch, 1, beams, entries + beams]. */
  #visible(): HostTensor<"float32"> {
    const entries = (this.#steps + 1) * this.#beams;
    const data = new Float32Array(this.#batch * this.#beams * entries).fill(hidden);
    for (let i = 0; i < this.#batch * this.#beams; i++) {
      for (let step = 0; step < this.#steps; step++)
        data[i * entries + step * this.#beams + this.#ancestry[i * this.#capacity + step]!] = 0;
      data[i * entries + this.#steps * this.#beams + (i % this.#beams)] = 0;
    }
    return { dtype: "float32", dims: [this.#batch, 1, this.#beams, entries], data };
  }
}

function longer(array: Float32Array, length: number): Float32Array {
  const grown = new Float32Array(length);
  grown.set(array);
  return grown;
}
