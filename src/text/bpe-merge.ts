// Applying learnt merges to one word: of all neighbours that were merged in learning, those learnt first go first.
import type { RandomStream } from "../base/index.ts";
import { PriorityQueue } from "./priority-queue.ts";

interface Merge {
  readonly rank: number;
  /** Id of the joint token. */
  readonly joint: number;
}

/** Keys of pairs stay exact below 2⁵³ with so many ids. */
const idLimit = 2 ** 26;

/** A table of merges by the ids of their halves; their place in the list is their rank. */
export class MergeTable {
  readonly #merges = new Map<number, Merge>();

  constructor(merges: Iterable<{ left: number; right: number; joint: number }>) {
    let rank = 0;
    for (const { left, right, joint } of merges) this.#merges.set(left * idLimit + right, { rank: rank++, joint });
  }

  /**
   * Ids of characters → ids of tokens. With dropout each merge that stands next in line is passed over with that chance
   * and is free to come again after another one was made: Provilkov et al. 2020, algorithm 1.
   */
  apply(characters: readonly number[], dropout = 0, random?: RandomStream): number[] {
    const ids = [...characters];
    const { length } = ids;
    const next = ids.map((_, i) => i + 1);
    const previous = ids.map((_, i) => i - 1);
    const merged = -1;

    const mergeAt = (at: number): Merge | undefined => {
      const right = next[at]!;
      return right < length ? this.#merges.get(ids[at]! * idLimit + ids[right]!) : undefined;
    };
    // One number holds rank and place: lower rank first, then leftmost.
    const queue = new PriorityQueue<number>((a, b) => a < b);
    const propose = (at: number): void => {
      const merge = mergeAt(at);
      if (merge !== undefined) queue.push(merge.rank * length + at);
    };
    for (let at = 0; at < length; at++) propose(at);

    const passedOver: number[] = [];
    for (let proposal = queue.pop(); proposal !== undefined; proposal = queue.pop()) {
      const at = proposal % length;
      if (ids[at] === merged) continue;
      const merge = mergeAt(at);
      if (merge === undefined || merge.rank !== Math.floor(proposal / length)) continue;
      if (random !== undefined && random.uniform() < dropout) {
        passedOver.push(proposal);
        continue;
      }
      const right = next[at]!;
      const after = next[right]!;
      ids[at] = merge.joint;
      ids[right] = merged;
      next[at] = after;
      if (after < length) previous[after] = at;
      while (passedOver.length > 0) queue.push(passedOver.pop()!);
      if (previous[at]! >= 0) propose(previous[at]!);
      propose(at);
    }
    return ids.filter((id) => id !== merged);
  }
}
