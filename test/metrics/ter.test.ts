import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Ter, type TerOptions } from "../../src/metrics/index.ts";

const words = fc.array(fc.constantFrom("a", "b", "c", "d", "e"), { maxLength: 14 });

describe("TER by hand", () => {
  const cases: [TerOptions, string, string[], number, number][] = [
    [{}, "a b c", ["a b c"], 0, 3],
    [{}, "a x c", ["a b c"], 1, 3],
    [{}, "a c", ["a b c"], 1, 3],
    [{}, "a b b c", ["a b c"], 1, 3],
    // One block moves, in one edit, where plain edit distance is 4.
    [{}, "d e a b c", ["a b c d e"], 1, 5],
    [{}, "A b", ["a B"], 0, 2],
    [{ caseSensitive: true }, "A b", ["a B"], 2, 2],
    [{}, "a, b.", ["a b"], 2, 2],
    [{ noPunct: true }, "a, b.", ["a b"], 0, 2],
    [{ normalized: true }, "a &amp; b.", ["a & b ."], 0, 4],
    [{}, "他说。", ["他说"], 1, 1],
    [{ normalized: true, asianSupport: true }, "他说。", ["他说"], 1, 2],
    [{ noPunct: true, asianSupport: true }, "他说。", ["他说"], 0, 1],
    // The nearest reference gives the edits, all of them the length.
    [{}, "a b", ["a b", "a b c d"], 0, 3],
    [{}, "", ["a b"], 2, 2],
    // The second pass over the reference cuts the full stop off where one pass leaves ".3".
    [{ normalized: true }, "x..3", ["x..3"], 2, 4],
  ];
  it.each(cases)("%j %j against %j", (options, hypothesis, references, edits, length) => {
    const { counts, score } = new Ter(options).sentence(hypothesis, references);
    expect(counts).toEqual({ edits, referenceLength: length });
    expect(score).toBeCloseTo((100 * edits) / length, 9);
  });

  it.each([
    ["a b", 100],
    ["", 0],
  ])("against nothing, %j scores %d", (hypothesis, expected) =>
    expect(new Ter().sentence(hypothesis, [""]).score).toBe(expected),
  );
});

describe("TER's properties", () => {
  it("is 0 exactly when the words are equal", () => {
    fc.assert(
      fc.property(words, words, (a, b) => {
        const { edits } = new Ter().sentence(a.join(" "), [b.join(" ")]).counts;
        expect(edits === 0).toBe(a.join(" ") === b.join(" "));
        expect(new Ter().sentence(a.join(" "), [a.join(" ")]).score).toBe(0);
      }),
    );
  });

  it("never needs more edits than plain edit distance", () => {
    fc.assert(
      fc.property(words, words, (a, b) => {
        expect(new Ter().sentence(a.join(" "), [b.join(" ")]).counts.edits).toBeLessThanOrEqual(levenshtein(a, b));
      }),
    );
  });

  it("reaches across texts of very different lengths", () => {
    const long = Array.from({ length: 200 }, (_, i) => `w${i}`);
    expect(new Ter().sentence("w150 w160", [long.join(" ")]).counts.edits).toBe(198);
    // Here the second match lies outside the band of 75 cells around the diagonal, as it does in sacreBLEU 2.6.0.
    expect(new Ter().sentence("w150 w199", [long.join(" ")]).counts.edits).toBe(199);
    expect(new Ter().sentence(long.join(" "), ["w150 w199"]).counts.edits).toBe(198);
  });
});

/** The plain definition, without a band. */
function levenshtein(a: readonly string[], b: readonly string[]): number {
  let row = [0, ...b.map((_, j) => j + 1)];
  for (const [i, word] of a.entries()) {
    const next = [i + 1];
    for (const [j, other] of b.entries())
      next.push(Math.min(row[j]! + (word === other ? 0 : 1), row[j + 1]! + 1, next[j]! + 1));
    row = next;
  }
  return row.at(-1)!;
}
