// Counting and matching n-grams of all orders in one walk.

/** Number of n-grams of this order in a sequence. */
export function ngramTotal(length: number, order: number): number {
  return Math.max(0, length - order + 1);
}

/**
 * The n-grams of one or more sequences up to an order, each with the largest number of times that one sequence has it
 * (Papineni et al. 2002, section 2.1.1). They are kept as a tree in which the path from the root spells the n-gram, so
 * that a hypothesis is matched by walking down from each of its positions until the path ends.
 *
 * @example
 * new NgramCounts([["the", "cat", "sat"]], 2).matches(["the", "the", "cat"]); // [2, 1]
 */
export class NgramCounts {
  readonly order: number;
  readonly #units = new Map<string, number>();
  /** Child of a node by `node · units + unit`. The root is node 0. */
  readonly #children = new Map<number, number>();
  /** Largest count by node. */
  readonly #counts: number[] = [0];

  constructor(sequences: readonly (readonly string[])[], order: number) {
    this.order = order;
    for (const sequence of sequences) {
      for (const unit of sequence) if (!this.#units.has(unit)) this.#units.set(unit, this.#units.size);
    }
    for (const sequence of sequences) this.#add(sequence);
  }

  #add(sequence: readonly string[]): void {
    const ids = this.#identify(sequence);
    const counts = this.#counts;
    const own = new Array<number>(counts.length).fill(0);
    for (let start = 0; start < ids.length; start++) {
      const end = Math.min(ids.length, start + this.order);
      let node = 0;
      for (let i = start; i < end; i++) {
        const path = node * this.#units.size + ids[i]!;
        let child = this.#children.get(path);
        if (child === undefined) {
          child = counts.push(0) - 1;
          own.push(0);
          this.#children.set(path, child);
        }
        const count = ++own[child]!;
        if (count > counts[child]!) counts[child] = count;
        node = child;
      }
    }
  }

  /** By order, how many n-grams of the sequence are found here, each at most as often as it occurs here. */
  matches(sequence: readonly string[]): number[] {
    const ids = this.#identify(sequence);
    const used = new Int32Array(this.#counts.length);
    const matches = new Array<number>(this.order).fill(0);
    for (let start = 0; start < ids.length; start++) {
      const end = Math.min(ids.length, start + this.order);
      let node = 0;
      for (let i = start; i < end && ids[i]! >= 0; i++) {
        const child = this.#children.get(node * this.#units.size + ids[i]!);
        if (child === undefined) break;
        if (++used[child]! <= this.#counts[child]!) matches[i - start]!++;
        node = child;
      }
    }
    return matches;
  }

  /** Small numbers for the units of a sequence; −1 for those that occur nowhere here. */
  #identify(sequence: readonly string[]): number[] {
    return sequence.map((unit) => this.#units.get(unit) ?? -1);
  }
}
