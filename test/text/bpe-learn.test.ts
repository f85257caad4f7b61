// Learning merges against its slow twin, which counts everything anew before each merge.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { learnMerges } from "../../src/text/index.ts";

type Merges = readonly (readonly [string, string])[];

/** The same rules, stated plainly. */
function learnSlowly(
  words: ReadonlyMap<string, number>,
  alphabet: readonly string[],
  limit: number,
  minimumFrequency: number,
): Merges {
  const order = [...alphabet];
  let spelt = [...words].map(([word, count]) => ({
    symbols: Array.from(word, (c) => (alphabet.includes(c) ? c : undefined)),
    count,
  }));
  const learnt: [string, string][] = [];
  const pairsNow = (): [string, string, number][] => {
    const counts = new Map<string, [string, string, number]>();
    for (const { symbols, count } of spelt) {
      for (let i = 1; i < symbols.length; i++) {
        const [left, right] = [symbols[i - 1], symbols[i]];
        if (left === undefined || right === undefined) continue;
        const entry = counts.get(`${left} ${right}`) ?? [left, right, 0];
        entry[2] += count;
        counts.set(`${left} ${right}`, entry);
      }
    }
    return [...counts.values()].sort(
      (a, b) => b[2] - a[2] || order.indexOf(a[0]) - order.indexOf(b[0]) || order.indexOf(a[1]) - order.indexOf(b[1]),
    );
  };
  const apply = (left: string, right: string): void => {
    spelt = spelt.map(({ symbols, count }) => {
      const out: (string | undefined)[] = [];
      for (let i = 0; i < symbols.length; i++) {
        if (symbols[i] === left && symbols[i + 1] === right) {
          out.push(left + right);
          i++;
        } else out.push(symbols[i]);
      }
      return { symbols: out, count };
    });
  };
  while (learnt.length < limit) {
    const best = pairsNow().find(([, , count]) => count >= minimumFrequency);
    if (best === undefined) break;
    const [left, right] = best;
    learnt.push([left, right]);
    if (!order.includes(left + right)) order.push(left + right);
    apply(left, right);
    // A pair learnt before that has come up again is merged at once, in the order of the symbols.
    const isLearnt = ([a, b]: readonly [string, string, number]): boolean =>
      learnt.some(([x, y]) => x === a && y === b);
    const byOrder = (): [string, string, number] | undefined =>
      pairsNow()
        .filter(isLearnt)
        .sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0]) || order.indexOf(a[1]) - order.indexOf(b[1]))[0];
    for (let again = byOrder(); again !== undefined; again = byOrder()) apply(again[0], again[1]);
  }
  return learnt;
}

describe("learnMerges", () => {
  it("learns what its slow twin learns", () => {
    const table = fc.dictionary(
      fc.string({ unit: fc.constantFrom("a", "b", "c", "?"), minLength: 1, maxLength: 14 }),
      fc.integer({ min: 1, max: 5 }),
      { maxKeys: 12 },
    );
    fc.assert(
      fc.property(table, fc.integer({ min: 1, max: 3 }), (words, minimumFrequency) => {
        const counts = new Map(Object.entries(words));
        const alphabet = ["a", "b", "c"];
        const { merges } = learnMerges(counts, { alphabet, merges: 30, minimumFrequency });
        expect(merges).toEqual(learnSlowly(counts, alphabet, 30, minimumFrequency));
        expect(new Set(merges.map(([left, right]) => `${left} ${right}`)).size).toBe(merges.length);
      }),
      { numRuns: 400 },
    );
  });

  it("takes the pair whose left symbol came first, then whose right one did, among equally frequent ones", () => {
    const words = new Map([
      ["ba", 2],
      ["ac", 2],
      ["ab", 2],
    ]);
    expect(learnMerges(words, { alphabet: ["a", "b", "c"], merges: 3 }).merges).toEqual([
      ["a", "b"],
      ["a", "c"],
      ["b", "a"],
    ]);
  });

  it("merges a run of equal letters from the left", () => {
    // aaa: one pair (a, a) at the front, then (aa, a).
    expect(learnMerges(new Map([["aaa", 2]]), { alphabet: ["a"] }).merges).toEqual([
      ["a", "a"],
      ["aa", "a"],
    ]);
  });

  it("never merges across a character outside the alphabet", () => {
    expect(learnMerges(new Map([["a?b", 9]]), { alphabet: ["a", "b"] }).merges).toEqual([]);
  });
});
