// Which pairs go together: neighbours in length, as many as the token budget holds, in an order drawn from a seed.
import { ConfigError, DataError, randomKey, RandomStream, randomWord } from "../base/index.ts";
import type { EncodedPairs } from "./encoded-pairs.ts";

/** Batch b holds the pairs order[starts[b]] … order[starts[b + 1] - 1]. */
export interface BatchPlan {
  readonly order: Uint32Array;
  /** One more than there are batches. */
  readonly starts: Uint32Array;
}

export interface BatchLimits {
  /** Most padded tokens of a batch on either side: rows × longest row, END counted. */
  batchTokens: number;
  /** Most rows of a batch. */
  maxRows?: number;
}

export interface Shuffle {
  seed: number;
  epoch: number;
  /** See `BatchesOptions.lengthNoise`. */
  lengthNoise: number;
}

/** Refuses limits that are no limits, and a pair that alone is over the budget. */
export function checkLimits(pairs: EncodedPairs, { batchTokens, maxRows = Infinity }: BatchLimits): void {
  if (!(Number.isInteger(batchTokens) && batchTokens > 0)) {
    throw new ConfigError("batchTokens", `must be a whole number above 0 (got ${batchTokens}).`);
  }
  if (!((Number.isInteger(maxRows) || maxRows === Infinity) && maxRows > 0)) {
    throw new ConfigError("maxRows", `must be a whole number above 0 (got ${maxRows}).`);
  }
  for (let i = 0; i < pairs.count; i++) {
    const length = longestSide(pairs, i);
    if (length <= batchTokens) continue;
    const { file, line } = pairs.placeOf(i);
    const problem = `the pair takes ${length} tokens, more than a whole batch may (batchTokens ${batchTokens}).`;
    throw new DataError(
      file,
      line,
      `${problem} Raise batchTokens, or lower maxSourceTokens and maxTargetTokens to leave such pairs out.`,
    );
  }
}

/** Batches from short to long, always the same. */
export function fixedPlan(pairs: EncodedPairs, limits: BatchLimits): BatchPlan {
  const inCorpusOrder = Uint32Array.from({ length: pairs.count }, (_, i) => i);
  const order = sortByLength(pairs, inCorpusOrder, (i) => longestSide(pairs, i));
  return { order, starts: cut(pairs, order, limits, limits.batchTokens) };
}

/**
 * The batches of one epoch: a pure function of the pairs, the limits and the shuffle. What changes from epoch to epoch: pairs are
 * shuffled before they are sorted, so pairs of equal lengths part differently; the first batch is cut short by chance, which moves
 * every later cut; and the batches come in another order.
 */
export function shuffledPlan(
  pairs: EncodedPairs,
  limits: BatchLimits,
  { seed, epoch, lengthNoise }: Shuffle,
): BatchPlan {
  const stream = (site: number): RandomStream => new RandomStream(randomKey(seed, epoch, site));
  const shuffled = Uint32Array.from(stream(0).shuffle(Array.from({ length: pairs.count }, (_, i) => i)));
  const noise = randomKey(seed, epoch, 1);
  const order = sortByLength(
    pairs,
    shuffled,
    (i) => longestSide(pairs, i) + (randomWord(noise, i) % (lengthNoise + 1)),
  );
  const firstBudget = Math.ceil(limits.batchTokens * (1 - stream(2).uniform() / 2));
  return shuffleBatches({ order, starts: cut(pairs, order, limits, firstBudget) }, stream(3));
}

function longestSide({ source, target }: EncodedPairs, i: number): number {
  return Math.max(source.lengthOf(i), target.lengthOf(i));
}

/**
 * Pairs by their longer side, as that is what the budget pays for, then by the difference of the sides. The difference runs up
 * through one length and down through the next, so that neighbours across the border are alike too. Padding on Multi30k in words
 * at 4,096 tokens: source 2.4 %, target 3.5 %; sorting by target then source leaves 10.3 % and 0.6 %.
 */
function sortByLength(pairs: EncodedPairs, order: Uint32Array, longest: (i: number) => number): Uint32Array {
  const count = order.length;
  const lengths = new Int32Array(count);
  const differences = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const length = longest(i);
    const difference = pairs.source.lengthOf(i) - pairs.target.lengthOf(i);
    lengths[i] = length;
    differences[i] = length % 2 === 0 ? difference : -difference;
  }
  return stableSort(stableSort(order, differences), lengths);
}

/** Counting sort of the indices by keys[index]: linear, and equal keys stay in the order they came in. */
function stableSort(order: Uint32Array, keys: Int32Array): Uint32Array {
  let least = Infinity;
  let most = -Infinity;
  for (const key of keys) {
    if (key < least) least = key;
    if (key > most) most = key;
  }
  if (order.length === 0) return order;
  const places = new Uint32Array(most - least + 2);
  for (const key of keys) places[key - least + 1]!++;
  for (let k = 1; k < places.length; k++) places[k]! += places[k - 1]!;
  const sorted = new Uint32Array(order.length);
  for (const i of order) sorted[places[keys[i]! - least]!++] = i;
  return sorted;
}

function cut(
  pairs: EncodedPairs,
  order: Uint32Array,
  { batchTokens, maxRows = Infinity }: BatchLimits,
  firstBudget: number,
): Uint32Array {
  const starts = [0];
  let budget = firstBudget;
  let rows = 0;
  let longest = 0;
  for (let at = 0; at < order.length; at++) {
    const length = longestSide(pairs, order[at]!);
    if (rows > 0 && ((rows + 1) * Math.max(longest, length) > budget || rows === maxRows)) {
      starts.push(at);
      budget = batchTokens;
      rows = 0;
      longest = 0;
    }
    rows++;
    longest = Math.max(longest, length);
  }
  if (order.length > 0) starts.push(order.length);
  return Uint32Array.from(starts);
}

function shuffleBatches({ order, starts }: BatchPlan, stream: RandomStream): BatchPlan {
  const batches = stream.shuffle(Array.from({ length: starts.length - 1 }, (_, b) => b));
  const newOrder = new Uint32Array(order.length);
  const newStarts = new Uint32Array(starts.length);
  let at = 0;
  for (const [position, batch] of batches.entries()) {
    const rows = order.subarray(starts[batch], starts[batch + 1]);
    newOrder.set(rows, at);
    at += rows.length;
    newStarts[position + 1] = at;
  }
  return { order: newOrder, starts: newStarts };
}
