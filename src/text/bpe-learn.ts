// Learning byte-pair merges from a table of words. Sennrich et al. 2016, "Neural Machine Translation of Rare Words with
// Subword Units", algorithm 1, with counts kept up to date instead of recounted.
import { silent, type Listener } from "../base/index.ts";
import { PriorityQueue } from "./priority-queue.ts";

export interface LearnMergesOptions {
  /** Characters with a token of their own; others part the word they stand in. Their order breaks ties. */
  alphabet: readonly string[];
  /** Stop after so many merges. */
  merges?: number;
  /** Stop when characters and merged tokens together are so many. */
  tokens?: number;
  /** A pair seen less often is not merged. */
  minimumFrequency?: number;
  /** A pair whose joint form answers true is not merged. */
  forbidden?: (token: string) => boolean;
  listener?: Listener;
}

export interface LearntMerges {
  /** New tokens in the order they were learnt, without the alphabet. */
  readonly tokens: readonly string[];
  /** All merges, first learnt first. Two of them may spell the same token. */
  readonly merges: readonly (readonly [string, string])[];
}

interface Pair {
  readonly left: number;
  readonly right: number;
  count: number;
  /** Words in which the pair was once seen, some perhaps twice, some no longer having it. */
  words: number[];
  /** What it was merged to. */
  symbol: number | undefined;
}

/** The count a pair had when it was queued. The pair's own may have moved on. */
interface Candidate {
  readonly pair: Pair;
  readonly count: number;
}

/** A character outside the alphabet. */
const barrier = -1;

/**
 * A longer word is learnt from in parts: every merge rereads the words it occurs in, so that one line of a million
 * letters without a space would take hours.
 */
const longestWord = 256;

/** Keys of pairs stay exact below 2⁵³ with so many symbols. */
const symbolLimit = 2 ** 26;

/**
 * Merges the most frequent pair of neighbours again and again. Of equally frequent pairs the one wins whose left symbol
 * came first into the vocabulary (the alphabet in its order, then tokens as learnt), and of those the one whose right
 * symbol did; so the order of the text plays no part.
 *
 * @example
 * learnMerges(new Map([["aab", 2], ["ab", 1]]), { alphabet: ["a", "b"], merges: 1 }).merges; // [["a", "b"]]
 */
export function learnMerges(
  words: ReadonlyMap<string, number>,
  {
    alphabet,
    merges = Infinity,
    tokens = Infinity,
    minimumFrequency = 2,
    forbidden = () => false,
    listener = silent,
  }: LearnMergesOptions,
): LearntMerges {
  const symbols = [...alphabet];
  const symbolOf = new Map(symbols.map((symbol, i) => [symbol, i]));
  const spelling: number[][] = [];
  const frequency: number[] = [];
  for (const [word, count] of words) {
    const spelt = Array.from(word, (character) => symbolOf.get(character) ?? barrier);
    for (let start = 0; start < spelt.length; start += longestWord) {
      spelling.push(spelt.slice(start, start + longestWord));
      frequency.push(count);
    }
  }

  const pairs = new Map<number, Pair>();
  const grown = new Set<Pair>();
  const change = (left: number, right: number, by: number, word: number): void => {
    if (left === barrier || right === barrier) return;
    const key = left * symbolLimit + right;
    let pair = pairs.get(key);
    if (pair === undefined) pairs.set(key, (pair = { left, right, count: 0, words: [], symbol: undefined }));
    pair.count += by;
    if (by > 0) {
      grown.add(pair);
      if (pair.words.at(-1) !== word) pair.words.push(word);
    }
  };

  const queue = new PriorityQueue<Candidate>(
    (a, b) =>
      a.count > b.count ||
      (a.count === b.count &&
        (a.pair.left < b.pair.left || (a.pair.left === b.pair.left && a.pair.right < b.pair.right))),
  );
  const queueGrown = (): void => {
    for (const pair of grown) {
      // A pair learnt before can come up again when one of its halves is spelt in a second way. Encoding would merge it
      // at once, so learning does too.
      if (pair.symbol !== undefined) queue.push({ pair, count: Infinity });
      else if (pair.count >= minimumFrequency) queue.push({ pair, count: pair.count });
    }
    grown.clear();
  };

  for (const [word, spelt] of spelling.entries()) {
    for (let i = 1; i < spelt.length; i++) change(spelt[i - 1]!, spelt[i]!, frequency[word]!, word);
  }
  queueGrown();

  const learnt: (readonly [string, string])[] = [];
  const wanted = Math.min(merges, tokens - alphabet.length);
  const total = Number.isFinite(wanted) ? wanted : undefined;
  while (learnt.length < merges && symbols.length < tokens) {
    const candidate = queue.pop();
    if (candidate === undefined) break;
    const { pair } = candidate;
    if (pair.symbol === undefined) {
      if (candidate.count !== pair.count) {
        // It shrank since: back into the queue with its true count. (Had it grown, a fresher candidate stood before this one.)
        if (candidate.count > pair.count && pair.count >= minimumFrequency) queue.push({ pair, count: pair.count });
        continue;
      }
      const spellings = [symbols[pair.left]!, symbols[pair.right]!] as const;
      const joint = spellings.join("");
      if (forbidden(joint)) continue;
      pair.symbol = symbolOf.get(joint);
      if (pair.symbol === undefined) {
        pair.symbol = symbols.length;
        symbols.push(joint);
        symbolOf.set(joint, pair.symbol);
      }
      learnt.push(spellings);
      if (learnt.length % 500 === 0)
        listener({ type: "progress", task: "learning merges", done: learnt.length, total });
    }
    const { symbol, words: holders } = pair;
    pair.words = [];
    for (const word of holders) {
      mergeInWord(spelling[word]!, pair, symbol, (left, right, sign) =>
        change(left, right, sign * frequency[word]!, word),
      );
    }
    queueGrown();
  }
  return { tokens: symbols.slice(alphabet.length), merges: learnt };
}

/** Replaces the pair in one word, left to right, and reports each neighbourhood that ends (−1) or begins (+1). */
function mergeInWord(
  spelt: number[],
  { left, right }: Pair,
  symbol: number,
  report: (left: number, right: number, sign: 1 | -1) => void,
): void {
  let written = 0;
  for (let i = 0; i < spelt.length; i++) {
    if (spelt[i] !== left || spelt[i + 1] !== right) {
      spelt[written++] = spelt[i]!;
      continue;
    }
    const before = written > 0 ? spelt[written - 1]! : barrier;
    const after = spelt[i + 2] ?? barrier;
    report(before, left, -1);
    report(left, right, -1);
    report(right, after, -1);
    report(before, symbol, 1);
    report(symbol, after, 1);
    spelt[written++] = symbol;
    i++;
  }
  spelt.length = written;
}
