// Keys and values of the tokens written so far, laid out so that a step reads them where they lie.
import type { HostTensor } from "../base/index.ts";
import type { CacheShape } from "./step-trace.ts";

/** Finite, as in masks: a row of −∞ alone would give NaN. */
const hidden = -1e9;

/**
 * For every decoder layer one array of keys and one of values, [steps · beams, batch, heads · dHead]. A step appends its rows at
 * the end. Hypotheses that change places take only their ancestry with them: in which beam each of them left its entry, step by
 * step. Entries move when beams or batch change, which is seldom.
 *
 * Where no layer sees farther than a window, the cache rolls: entries that fell out of it are given up, and the few first ones
 * that stay in sight (attention sinks) move up beside the window, over an entry that was given up.
 *
 * A sentence may join while others are being written: it sees nothing of what its column held before, and what no sentence sees
 * any more is given up when one joins or leaves.
 *
 * Hypotheses are counted sentence by sentence here, as searches count them: hypothesis = sentence · beams + beam.
 */
export class KeyValueCache {
  readonly #shapes: readonly CacheShape[];
  readonly #width: number;
  readonly #sinks: number;
  /** Most earlier steps that are kept. */
  readonly #most: number;
  /** Keys of layer 0, values of layer 0, keys of layer 1 … */
  #arrays: Float32Array[];
  #batch: number;
  #beams = 1;
  #steps = 0;
  /** How many steps there were before each sentence joined [batch]. */
  #joinedAt: Int32Array;
  /** The first step that has not been given up because nobody sees it. */
  #oldest = 0;
  /** The slot of the first step that is kept. */
  #start = 0;
  /** Steps there is room for. */
  #capacity = 0;
  /** [hypotheses, capacity] */
  #ancestry = new Int32Array(0);

  /** `layers`: what each layer keeps, the same width in all of them. */
  constructor({ layers, batch }: { layers: readonly CacheShape[]; batch: number }) {
    this.#shapes = layers;
    this.#width = layers.length === 0 ? 0 : layers[0]!.heads * layers[0]!.dHead;
    const reaches = layers.map(({ reach }) => reach);
    this.#sinks = Math.max(0, ...reaches.map((reach) => reach?.sinks ?? 0));
    // The token being written sees itself without the cache.
    this.#most = this.#sinks + Math.max(0, ...reaches.map((reach) => (reach?.window ?? Infinity) - 1));
    this.#batch = batch;
    this.#joinedAt = new Int32Array(batch);
    this.#arrays = layers.flatMap(() => [new Float32Array(0), new Float32Array(0)]);
  }

  get beams(): number {
    return this.#beams;
  }

  get batch(): number {
    return this.#batch;
  }

  /** How many steps there were. */
  get steps(): number {
    return this.#steps;
  }

  /** Of how many of them keys and values are still here. */
  get kept(): number {
    return this.#shapes.length === 0 ? 0 : Math.min(this.#steps - this.#oldest, this.#most);
  }

  /** How many tokens the hypotheses of each sentence have written [batch]. */
  get written(): Int32Array {
    return this.#joinedAt.map((joined) => this.#steps - joined);
  }

  /** Whether there are entries that not all sentences see. */
  get isRagged(): boolean {
    return this.#joinedAt.some((joined) => joined > this.#steps - this.kept);
  }

  /** What keys and values take up, room for the next steps included. */
  get bytes(): number {
    return this.#arrays.reduce((total, { byteLength }) => total + byteLength, 0);
  }

  /**
   * Goes on with `batch` sentences of `beams` hypotheses; hypothesis i continues hypothesis parents[i] of before, or none where that
   * is −1, in sentences that join.
   */
  descend(parents: Int32Array, batch: number, beams: number): void {
    if (batch === this.#batch && beams === this.#beams && !parents.includes(-1)) {
      const before = this.#ancestry.slice();
      for (let i = 0; i < parents.length; i++) {
        const from = parents[i]! * this.#capacity + this.#start;
        if (parents[i] !== i)
          this.#ancestry.set(before.subarray(from, from + this.kept), i * this.#capacity + this.#start);
      }
    } else {
      this.#moveEntries(parents, batch, beams);
    }
  }

  /** Another batch or number of beams: every hypothesis gets its entries in its own place. */
  #moveEntries(parents: Int32Array, batch: number, beams: number): void {
    const width = this.#width;
    const [beamsBefore, batchBefore] = [this.#beams, this.#batch];
    const joinedAt = Int32Array.from({ length: batch }, (_, sentence) => {
      const parent = parents[sentence * beams]!;
      return parent < 0 ? this.#steps : this.#joinedAt[Math.floor(parent / beamsBefore)]!;
    });
    const keptBefore = this.kept;
    if (this.#sinks === 0)
      this.#oldest = Math.max(
        this.#oldest,
        joinedAt.reduce((a, b) => Math.min(a, b), this.#steps),
      );
    const { kept } = this;
    const firstSlot = this.#start + keptBefore - kept;
    const capacity = Math.max(16, 2 * kept);
    const ancestry = new Int32Array(batch * beams * capacity);
    for (let i = 0; i < batch * beams; i++) ancestry.fill(i % beams, i * capacity, (i + 1) * capacity);
    this.#arrays = this.#arrays.map((before) => {
      const after = new Float32Array(capacity * beams * batch * width);
      for (let i = 0; i < parents.length; i++) {
        if (parents[i]! < 0) continue;
        const sentence = Math.floor(parents[i]! / beamsBefore);
        for (let step = 0; step < kept; step++) {
          const slot = firstSlot + step;
          const beam = this.#ancestry[parents[i]! * this.#capacity + slot]!;
          const from = ((slot * beamsBefore + beam) * batchBefore + sentence) * width;
          const to = ((step * beams + (i % beams)) * batch + Math.floor(i / beams)) * width;
          after.set(before.subarray(from, from + width), to);
        }
      }
      return after;
    });
    this.#batch = batch;
    this.#beams = beams;
    this.#joinedAt = joinedAt;
    this.#ancestry = ancestry;
    this.#capacity = capacity;
    this.#start = 0;
  }

  /** Takes in what a step's hypotheses leave: [2 · layers, beams, batch, heads · dHead]; undefined where nothing is kept. */
  append(entries: Float32Array | undefined): void {
    // A window of one holds only the token being written.
    const isOutOfSight = this.#most === this.#sinks && this.kept === this.#most;
    if (entries !== undefined && !isOutOfSight) {
      this.#makeRoom();
      const block = this.#beams * this.#batch * this.#width;
      const slot = this.#start + Math.min(this.kept, this.#most - 1);
      this.#arrays.forEach((array, i) => array.set(entries.subarray(i * block, (i + 1) * block), slot * block));
      for (let i = 0; i < this.#batch * this.#beams; i++) this.#ancestry[i * this.#capacity + slot] = i % this.#beams;
    }
    this.#steps += 1;
  }

  /** Takes in all of the first steps at once: [2 · layers, steps, batch, heads · dHead], one hypothesis a sentence. */
  begin(steps: number, entries: Float32Array | undefined): void {
    this.#steps = steps;
    if (entries === undefined) return;
    const { kept } = this;
    const block = this.#batch * this.#width;
    const sinks = Math.min(this.#sinks, kept);
    this.#capacity = Math.max(16, 2 * kept);
    this.#ancestry = new Int32Array(this.#batch * this.#capacity);
    this.#arrays = this.#arrays.map((_, i) => {
      const array = new Float32Array(this.#capacity * block);
      const all = entries.subarray(i * steps * block, (i + 1) * steps * block);
      array.set(all.subarray(0, sinks * block));
      array.set(all.subarray((steps - kept + sinks) * block), sinks * block);
      return array;
    });
  }

  /** Makes the slot behind the last one free: gives up the oldest entry of a full window, and grows or moves to the front. */
  #makeRoom(): void {
    if (this.#start + this.kept === this.#capacity) this.#rebuild();
    if (this.kept < this.#most) return;
    const block = this.#beams * this.#batch * this.#width;
    const shift = (array: Float32Array | Int32Array, at: number, size: number): void => {
      const from = at + this.#start * size;
      array.copyWithin(from + size, from, from + this.#sinks * size);
    };
    if (this.#sinks > 0) {
      for (const array of this.#arrays) shift(array, 0, block);
      for (let i = 0; i < this.#batch * this.#beams; i++) shift(this.#ancestry, i * this.#capacity, 1);
    }
    this.#start += 1;
  }

  /** Moves what is kept to the front of arrays with room for as much again. */
  #rebuild(): void {
    const capacity = Math.max(16, 2 * this.kept);
    const block = this.#beams * this.#batch * this.#width;
    const [from, to] = [this.#start, this.#start + this.kept];
    this.#arrays = this.#arrays.map((array) => {
      const grown = new Float32Array(capacity * block);
      grown.set(array.subarray(from * block, to * block));
      return grown;
    });
    const ancestry = new Int32Array(this.#batch * this.#beams * capacity);
    for (let i = 0; i < this.#batch * this.#beams; i++)
      ancestry.set(this.#ancestry.subarray(i * this.#capacity + from, i * this.#capacity + to), i * capacity);
    this.#ancestry = ancestry;
    this.#capacity = capacity;
    this.#start = 0;
  }

  /** What the step program reads; the arrays themselves, not copies. */
  feeds(): Record<string, HostTensor> {
    const block = this.#beams * this.#batch * this.#width;
    const feeds: Record<string, HostTensor> = {};
    for (const [layer, { heads, dHead }] of this.#shapes.entries()) {
      for (const [i, name] of ["pastKey", "pastValue"].entries()) {
        feeds[`${name}.${layer}`] = {
          dtype: "float32",
          dims: [this.kept * this.#beams, this.#batch, heads, dHead],
          data: this.#arrays[2 * layer + i]!.subarray(this.#start * block, (this.#start + this.kept) * block),
        };
      }
    }
    if ((this.#beams > 1 || this.isRagged) && this.#shapes.length > 0) feeds.visible = this.#visible();
    return feeds;
  }

  /** Where each entry stands, the token being written included: [(kept + 1) · beams]. */
  entryPositions(): HostTensor<"int32"> {
    const { kept } = this;
    const data = new Int32Array((kept + 1) * this.#beams);
    for (let i = 0; i <= kept; i++) {
      const position = i < this.#sinks ? i : this.#steps - kept + i;
      data.fill(position, i * this.#beams, (i + 1) * this.#beams);
    }
    return { dtype: "int32", dims: [data.length], data };
  }

  /** 0 where an entry belongs to the hypothesis' past or is its own of this step: [batch, 1, beams, entries + beams]. */
  #visible(): HostTensor<"float32"> {
    const entries = (this.kept + 1) * this.#beams;
    const data = new Float32Array(this.#batch * this.#beams * entries).fill(hidden);
    for (let i = 0; i < this.#batch * this.#beams; i++) {
      const slots = i * this.#capacity + this.#start;
      const hiddenSteps = Math.max(0, this.#joinedAt[Math.floor(i / this.#beams)]! - (this.#steps - this.kept));
      for (let step = hiddenSteps; step < this.kept; step++)
        data[i * entries + step * this.#beams + this.#ancestry[slots + step]!] = 0;
      data[i * entries + this.kept * this.#beams + (i % this.#beams)] = 0;
    }
    return { dtype: "float32", dims: [this.#batch, 1, this.#beams, entries], data };
  }
}
