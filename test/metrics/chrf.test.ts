import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../../src/base/index.ts";
import { Chrf, splitWords, type ChrfOptions } from "../../src/metrics/index.ts";

describe("chrF by hand", () => {
  // "abc" against "abd" up to bigrams: characters a, b of 3 and 3; bigrams ab of 2 and 2. P = R = (2/3 + 1/2) / 2 = 7/12.
  const cases: [ChrfOptions, string, string, string, number][] = [
    [{ charOrder: 2 }, "abc", "abd", "chrF2", (100 * 7) / 12],
    [{ charOrder: 2, beta: 3 }, "abc", "abd", "chrF3", (100 * 7) / 12],
    // Precision 2/2 and 1/1, recall 2/4 and 1/3: R = 5/12, F₂ = 5 · R / (4 + R) = 25/53.
    [{ charOrder: 2 }, "ab", "abcd", "chrF2", (100 * 25) / 53],
    // Spaces do not count unless asked for: "a b" is "ab".
    [{ charOrder: 2 }, "a b", "ab", "chrF2", 100],
    [{ charOrder: 1, whitespace: true }, "a b", "ab", "chrF2", (100 * 5 * (2 / 3)) / (4 * (2 / 3) + 1)],
    [{ charOrder: 1 }, "AB", "ab", "chrF2", 0],
    [{ charOrder: 1, lowercase: true }, "AB", "ab", "chrF2", 100],
    // Words alone: the mark is taken off, so 2 of 3 words match.
    [{ charOrder: 0, wordOrder: 1 }, "the cat.", "the dog.", "chrF2+", (100 * 2) / 3],
    // A character beyond U+FFFF is one character.
    [{ charOrder: 1 }, "🍕", "🚲", "chrF2", 0],
    // Orders that neither text reaches are left out, or are next to nothing.
    [{ charOrder: 6 }, "ab", "ab", "chrF2", 100],
    [{ charOrder: 4, epsSmoothing: true }, "ab", "ab", "chrF2", 50],
    [{}, "", "", "chrF2", 0],
    [{}, "", "a", "chrF2", 0],
  ];
  it.each(cases)("%j %j against %j", (options, hypothesis, reference, name, expected) => {
    const score = new Chrf(options).sentence(hypothesis, [reference]);
    expect(score.name).toBe(name);
    expect(score.score).toBeCloseTo(expected, 9);
  });

  it("counts n-grams of hypothesis, reference and both, by order", () => {
    const { counts } = new Chrf({ charOrder: 2, wordOrder: 1 }).sentence("ab c", ["abd"]);
    expect(counts).toEqual({ hypothesis: [3, 2, 2], reference: [3, 2, 1], matches: [2, 1, 0] });
  });
});

describe("chrF's properties", () => {
  const text = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
    .filter((value) => splitWords(value).length > 0);

  it("is 100 for identical text", () => {
    fc.assert(
      fc.property(text, fc.constantFrom(0, 1, 2), (value, wordOrder) => {
        expect(new Chrf({ wordOrder }).sentence(value, [value]).score).toBeCloseTo(100, 9);
      }),
    );
  });

  it("takes the best of several references", () => {
    fc.assert(
      fc.property(text, text, text, (hypothesis, one, other) => {
        const metric = new Chrf({ wordOrder: 2 });
        const both = metric.sentence(hypothesis, [one, null, other]).score;
        expect(both).toBe(
          Math.max(metric.sentence(hypothesis, [one]).score, metric.sentence(hypothesis, [other]).score),
        );
      }),
    );
  });
});

it.each([{ charOrder: 0 }, { wordOrder: -1 }, { charOrder: 1.5 }, { beta: Number.NaN }])(
  "chrF refuses %j",
  (options) => {
    expect(() => new Chrf(options)).toThrow(ConfigError);
  },
);
