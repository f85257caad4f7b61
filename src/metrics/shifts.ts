// TER's search for block moves: words that stand elsewhere in the reference may be moved there at the cost of one edit.
import { BandedEditDistance, Edit } from "./edit-distance.ts";

// Tercom's limits.
const maxShiftSize = 10;
const maxShiftDistance = 50;
/** Moves tried for one pair of sentences before the search ends. */
const maxCandidates = 1000;

/** What the edits say about each word: whether it is wrong, and where each reference word is aligned in the hypothesis. */
interface Alignment {
  /** Hypothesis position of each reference word, or of the word before it when it is missing; −1 before the first. */
  readonly positions: readonly number[];
  readonly wrongReference: readonly boolean[];
  readonly wrongHypothesis: readonly boolean[];
}

interface Candidate {
  readonly gain: number;
  readonly length: number;
  readonly start: number;
  readonly target: number;
  readonly words: readonly number[];
}

/**
 * Least number of insertions, deletions, substitutions and block moves found that turn the hypothesis into the reference.
 * The moves are chosen greedily, the one that gains most first, with Tercom's filters (Snover et al. 2006, "A Study of
 * Translation Edit Rate with Targeted Human Annotation", section 3, algorithm 1).
 */
export function editsWithShifts(hypothesis: readonly string[], reference: readonly string[]): number {
  if (reference.length === 0) return hypothesis.length;
  const numbers = new Map<string, number>();
  const numbered = (words: readonly string[]): number[] =>
    words.map((word) => {
      const known = numbers.get(word);
      if (known !== undefined) return known;
      numbers.set(word, numbers.size);
      return numbers.size - 1;
    });
  const referenceWords = numbered(reference);
  let words: readonly number[] = numbered(hypothesis);
  const matrix = new BandedEditDistance(referenceWords, words.length);

  let shifts = 0;
  let tried = 0;
  for (;;) {
    const search = bestShift(words, referenceWords, matrix, tried);
    tried = search.tried;
    // The round that reaches the limit is given up, its best move included.
    if (tried >= maxCandidates || search.best === undefined || search.best.gain <= 0) break;
    words = search.best.words;
    shifts++;
  }
  return shifts + matrix.distance(words);
}

/** The best move of one round. */
function bestShift(
  words: readonly number[],
  reference: readonly number[],
  matrix: BandedEditDistance,
  triedBefore: number,
): { best: Candidate | undefined; tried: number } {
  const before = matrix.distance(words);
  const { positions, wrongReference, wrongHypothesis } = align(matrix.edits());
  let best: Candidate | undefined;
  let tried = triedBefore;

  for (const [start, referenceStart, length] of matchingBlocks(words, reference)) {
    // Only a block that is wrong where it stands, going to a place that is wrong, and not into itself.
    if (!wrongHypothesis.slice(start, start + length).includes(true)) continue;
    if (!wrongReference.slice(referenceStart, referenceStart + length).includes(true)) continue;
    const aligned = positions[referenceStart]!;
    if (start <= aligned && aligned < start + length) continue;

    let previous = -1;
    for (let offset = -1; offset < length; offset++) {
      const at = referenceStart + offset;
      if (at >= positions.length) break;
      const target = at === -1 ? 0 : positions[at]! + 1;
      if (target === previous) continue;
      previous = target;
      const shifted = moveBlock(words, start, length, target);
      const candidate = { gain: before - matrix.distance(shifted), length, start, target, words: shifted };
      tried++;
      if (best === undefined || ranksAbove(candidate, best)) best = candidate;
    }
    if (tried >= maxCandidates) break;
  }
  return { best, tried };
}

/** Tercom's order: the greatest gain, then the longest block, then the earliest, then the earliest target. */
function ranksAbove(a: Candidate, b: Candidate): boolean {
  return (a.gain - b.gain || a.length - b.length || b.start - a.start || b.target - a.target) > 0;
}

/** Blocks that both have, as [start, start in the reference, length], every prefix of a longer block included. */
function* matchingBlocks(words: readonly number[], reference: readonly number[]): Generator<[number, number, number]> {
  for (let start = 0; start < words.length; start++) {
    const first = Math.max(0, start - maxShiftDistance);
    const last = Math.min(reference.length - 1, start + maxShiftDistance);
    for (let referenceStart = first; referenceStart <= last; referenceStart++) {
      const longest = Math.min(maxShiftSize, words.length - start, reference.length - referenceStart);
      for (let length = 1; length <= longest; length++) {
        if (words[start + length - 1] !== reference[referenceStart + length - 1]) break;
        yield [start, referenceStart, length];
      }
    }
  }
}

/** The words with `length` of them taken from `start` and put before what stood at `target`. */
function moveBlock(words: readonly number[], start: number, length: number, target: number): number[] {
  const block = words.slice(start, start + length);
  if (target < start)
    return [...words.slice(0, target), ...block, ...words.slice(target, start), ...words.slice(start + length)];
  // A target inside the block counts from the block's start among the words that follow it.
  const end = target > start + length ? target : length + target;
  return [...words.slice(0, start), ...words.slice(start + length, end), ...block, ...words.slice(end)];
}

function align(edits: readonly Edit[]): Alignment {
  const positions: number[] = [];
  const wrongReference: boolean[] = [];
  const wrongHypothesis: boolean[] = [];
  for (const edit of edits) {
    const isWrong = edit !== Edit.keep;
    if (edit !== Edit.insert) wrongHypothesis.push(isWrong);
    if (edit !== Edit.delete) {
      wrongReference.push(isWrong);
      positions.push(wrongHypothesis.length - 1);
    }
  }
  return { positions, wrongReference, wrongHypothesis };
}
