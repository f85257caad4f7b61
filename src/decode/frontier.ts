// The open hypotheses of all sentences still alive, and how a step turns them into the next ones. Typed arrays in two
// sets, swapped every step; nothing is allocated but the step itself.
import type { NBest } from "./n-best.ts";
import type { StopRule } from "./search.ts";
import type { Candidates, Step } from "./stepper.ts";
import type { Prefix, Trellis } from "./trellis.ts";

interface Rows {
  readonly tokens: Int32Array;
  readonly parents: Int32Array;
  readonly nodes: Int32Array;
  /** Σ log p so far; −Infinity marks a row that only fills its place. */
  readonly sums: Float64Array;
}

export interface FrontierOptions {
  readonly trellis: Trellis;
  /** Rows a sentence after the first step. */
  readonly width: number;
  readonly ends: readonly number[];
  readonly stop?: StopRule | undefined;
  /** Added to the score of a hypothesis that continues this row of the present step and ends: never above 0. */
  readonly bonus?: ((row: number) => number) | undefined;
}

export class Frontier {
  alive = 0;
  /** Rows a sentence: 1 where all of them begin, else `width`. */
  beams = 1;
  /** Steps so far. */
  steps = 0;
  readonly width: number;
  /** Places of sentences: place p holds sentence #sentences[p], rows p × beams and on. */
  #sentences = new Int32Array(0);
  /** Tokens in every open hypothesis of the sentence in each place, the start not counted. */
  #generated = new Int32Array(0);
  readonly #trellis: Trellis;
  readonly #ends: readonly number[];
  readonly #stop: StopRule | undefined;
  readonly #bonus: (row: number) => number;
  #now: Rows = rows(0);
  #next: Rows = rows(0);

  constructor({ trellis, width, ends, stop, bonus = () => 0 }: FrontierOptions) {
    this.width = width;
    this.#ends = ends;
    this.#stop = stop;
    this.#bonus = bonus;
    this.#trellis = trellis;
  }

  /** Takes sentences in behind those alive, with one hypothesis each: nothing. */
  join(sentences: readonly number[], prompts: readonly (readonly number[])[]): void {
    if (sentences.length === 0) return;
    if (this.alive === 0) this.beams = 1;
    this.#makeRoom(this.alive + sentences.length);
    const { tokens, parents, nodes, sums } = this.#now;
    for (const sentence of sentences) {
      const first = this.alive * this.beams;
      const end = first + this.beams;
      this.#sentences[this.alive] = sentence;
      this.#generated[this.alive] = 0;
      tokens.fill(prompts[sentence]!.at(-1)!, first, end);
      nodes.fill(-1, first, end);
      // Before the first step a stepper may have read the beginning of each sentence into the row of its number.
      parents.fill(this.steps === 0 ? sentence : -1, first, end);
      sums.fill(-Infinity, first, end);
      sums[first] = 0;
      this.alive++;
    }
  }

  #makeRoom(places: number): void {
    if (places <= this.#sentences.length) return;
    this.#sentences = grown(this.#sentences, places);
    this.#generated = grown(this.#generated, places);
    const size = places * this.width;
    const { tokens, parents, nodes, sums } = this.#now;
    this.#now = {
      tokens: grown(tokens, size),
      parents: grown(parents, size),
      nodes: grown(nodes, size),
      sums: new Float64Array(size),
    };
    this.#now.sums.set(sums);
    this.#next = rows(size);
  }

  get step(): Step {
    const size = this.alive * this.beams;
    return {
      sentences: this.#sentences.subarray(0, this.alive),
      beams: this.beams,
      tokens: this.#now.tokens.subarray(0, size),
      parents: this.#now.parents.subarray(0, size),
    };
  }

  /** The hypothesis of a row; an empty row has none. */
  readonly prefix = (row: number): Prefix | undefined => {
    if (this.#now.sums[row] === -Infinity) return undefined;
    return this.#trellis.prefix(this.#sentenceOf(row), this.#now.nodes[row]!, this.#generatedIn(row));
  };

  sentenceAt(place: number): number {
    return this.#sentences[place]!;
  }

  /** Length of the hypotheses in this place. */
  generatedAt(place: number): number {
    return this.#generated[place]!;
  }

  /** Sums of the open hypotheses. */
  get sums(): Float64Array {
    return this.#now.sums;
  }

  /**
   * Goes through a sentence's (or a group's) extensions, best first: one that ends the hypothesis goes to the list if it is
   * among the best `size`, any other opens a row, until `size` rows are open; rows that find no token stay empty. The rows
   * lie at `first` and on among the next ones. Returns how many opened.
   */
  extend(best: Extensions, list: NBest, first: number, size: number): number {
    let opened = 0;
    for (let rank = 0; rank < best.size && opened < size; rank++) {
      const token = best.tokens[rank]!;
      const row = best.rows[rank]!;
      const sum = best.sums[rank]!;
      if (this.#ends.includes(token)) {
        if (rank < size) list.add(this.#now.nodes[row]!, sum, this.#generatedIn(row) + 1, "end", this.#bonus(row));
        continue;
      }
      const node = this.#trellis.add(token, this.#now.nodes[row]!, sum);
      if (this.#stop !== undefined && this.#stop(this.#trellis.read(node), this.#sentenceOf(row))) {
        if (rank < size) list.add(node, sum, this.#generatedIn(row) + 1, "stop", this.#bonus(row));
        continue;
      }
      const to = first + opened++;
      this.#next.tokens[to] = token;
      this.#next.parents[to] = row;
      this.#next.nodes[to] = node;
      this.#next.sums[to] = sum;
    }
    return opened;
  }

  #sentenceOf(row: number): number {
    return this.#sentences[Math.floor(row / this.beams)]!;
  }

  #generatedIn(row: number): number {
    return this.#generated[Math.floor(row / this.beams)]!;
  }

  /** Marks the next rows from `first` + `opened` to `first` + `size` as empty; a model still computes them, as copies. */
  leaveEmpty(first: number, opened: number, size: number, place: number): void {
    for (let to = first + opened; to < first + size; to++) {
      this.#next.tokens[to] = this.#now.tokens[place * this.beams]!;
      this.#next.parents[to] = place * this.beams;
      this.#next.nodes[to] = -1;
      this.#next.sums[to] = -Infinity;
    }
  }

  /** Token of one of the next rows. */
  nextToken(row: number): number {
    return this.#next.tokens[row]!;
  }

  /** Hands the next rows from `first` to `first` + `count` to the list, as cut off at this length. */
  close(list: NBest, first: number, count: number): void {
    for (let row = first; row < first + count; row++) {
      const parent = this.#next.parents[row]!;
      const length = this.#generatedIn(parent) + 1;
      list.add(this.#next.nodes[row]!, this.#next.sums[row]!, length, "cut", this.#bonus(parent));
    }
  }

  /** The sentence in a place goes on in another, no later one, after this step. */
  goOn(place: number, to: number): void {
    this.#sentences[to] = this.#sentences[place]!;
    this.#generated[to] = this.#generated[place]! + 1;
  }

  /** Makes the next rows the present ones; `alive` sentences, in the first places, go on. */
  advance(alive: number): void {
    [this.#now, this.#next] = [this.#next, this.#now];
    this.alive = alive;
    this.beams = this.width;
    this.steps++;
  }
}

/** The best extensions over several rows, best first; of equal ones the lower row, then the lower token. */
export class Extensions {
  size = 0;
  readonly rows: Int32Array;
  readonly tokens: Int32Array;
  readonly sums: Float64Array;
  readonly #heads: Int32Array;

  /** Room for `most` extensions of `width` rows. */
  constructor(most: number, width: number) {
    this.rows = new Int32Array(most);
    this.tokens = new Int32Array(most);
    this.sums = new Float64Array(most);
    this.#heads = new Int32Array(width);
  }

  /** Merges the sorted candidates of the rows from `first` to `end`, each on top of its row's sum. */
  merge({ count, tokens, logProbabilities }: Candidates, first: number, end: number, sums: Float64Array): void {
    const heads = this.#heads;
    for (let row = first; row < end; row++) heads[row - first] = row * count;
    this.size = 0;
    while (this.size < this.rows.length) {
      let best = -Infinity;
      let bestRow = -1;
      for (let row = first; row < end; row++) {
        const head = heads[row - first]!;
        if (head === (row + 1) * count) continue;
        const sum = sums[row]! + logProbabilities[head]!;
        if (sum > best) {
          best = sum;
          bestRow = row;
        }
      }
      if (bestRow < 0) return;
      const head = heads[bestRow - first]!++;
      this.rows[this.size] = bestRow;
      this.tokens[this.size] = tokens[head]!;
      this.sums[this.size++] = best;
    }
  }
}

function grown(array: Int32Array, size: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(size);
  larger.set(array);
  return larger;
}

function rows(size: number): Rows {
  return {
    tokens: new Int32Array(size),
    parents: new Int32Array(size),
    nodes: new Int32Array(size),
    sums: new Float64Array(size),
  };
}
