// Applying merges with a queue against its slow twin, which looks through the whole word before each merge.
import fc from "fast-check";
import { expect, it } from "vitest";
import { MergeTable } from "../../src/text/bpe-merge.ts";

interface Merge {
  left: number;
  right: number;
  joint: number;
}

function applySlowly(merges: readonly Merge[], characters: readonly number[]): number[] {
  const ids = [...characters];
  for (;;) {
    let best: { rank: number; at: number; joint: number } | undefined;
    for (let at = 0; at + 1 < ids.length; at++) {
      for (const [rank, { left, right, joint }] of merges.entries()) {
        const fits = left === ids[at] && right === ids[at + 1];
        if (fits && (best === undefined || rank < best.rank)) best = { rank, at, joint };
      }
    }
    if (best === undefined) return ids;
    ids.splice(best.at, 2, best.joint);
  }
}

it("the queue gives what looking through the whole word gives", () => {
  // Ids 0 to 2 are characters; merge number i makes id 3 + i of any two ids before it, each pair at most once.
  const merge = fc.tuple(fc.nat(), fc.nat());
  fc.assert(
    fc.property(
      fc.array(merge, { maxLength: 12 }),
      fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 40 }),
      (choices, characters) => {
        const merges: Merge[] = [];
        for (const [a, b] of choices) {
          const joint = 3 + merges.length;
          const [left, right] = [a % joint, b % joint];
          if (!merges.some((other) => other.left === left && other.right === right))
            merges.push({ left, right, joint });
        }
        expect(new MergeTable(merges).apply(characters)).toEqual(applySlowly(merges, characters));
      },
    ),
    { numRuns: 1000 },
  );
});
