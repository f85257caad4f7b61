import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, DataError, type HeddleEvent } from "../../src/base/index.ts";
import { Bleu, bleuTokenizers, type BleuOptions, type BleuTokenizer } from "../../src/metrics/index.ts";

const line = fc
  .array(fc.constantFrom("the", "cat", "sat", "on", "a", "mat", "."), { minLength: 4, maxLength: 12 })
  .map((words) => words.join(" "));

describe("BLEU by hand", () => {
  // Hypothesis "the the cat sat" against "the cat sat on": unigrams the (once), cat, sat = 3/4; bigrams "the cat", "cat sat"
  // = 2/3; trigrams "the cat sat" = 1/2; no 4-gram of 1. Equal lengths, so the penalty is 1.
  const cases: [BleuOptions, number[], number[], number][] = [
    [{ smoothMethod: "none" }, [3, 2, 1, 0], [4, 3, 2, 1], 0],
    [{ smoothMethod: "exp" }, [3, 2, 1, 0], [4, 3, 2, 1], 100 * (((((((3 / 4) * 2) / 3) * 1) / 2) * 1) / 2) ** 0.25],
    [{ smoothMethod: "floor" }, [3, 2, 1, 0], [4, 3, 2, 1], 100 * ((((((3 / 4) * 2) / 3) * 1) / 2) * 0.1) ** 0.25],
    [
      { smoothMethod: "floor", smoothValue: 0.3 },
      [3, 2, 1, 0],
      [4, 3, 2, 1],
      100 * ((((((3 / 4) * 2) / 3) * 1) / 2) * 0.3) ** 0.25,
    ],
    [{ smoothMethod: "add-k" }, [3, 3, 2, 1], [4, 4, 3, 2], 100 * (((((((3 / 4) * 3) / 4) * 2) / 3) * 1) / 2) ** 0.25],
    [{ maxNgramOrder: 2 }, [3, 2], [4, 3], 100 * (((3 / 4) * 2) / 3) ** 0.5],
    [{ maxNgramOrder: 5 }, [3, 2, 1, 0, 0], [4, 3, 2, 1, 0], 0],
    [
      { maxNgramOrder: 5, effectiveOrder: true },
      [3, 2, 1, 0, 0],
      [4, 3, 2, 1, 0],
      100 * (((((((3 / 4) * 2) / 3) * 1) / 2) * 1) / 2) ** 0.25,
    ],
  ];
  it.each(cases)("%j", (options, counts, totals, expected) => {
    const score = new Bleu(options).corpus(["the the cat sat"], [["the cat sat on"]]);
    expect(score.counts.counts).toEqual(counts);
    expect(score.counts.totals).toEqual(totals);
    expect(score.score).toBeCloseTo(expected, 9);
  });

  it("takes an n-gram as often as the reference that has it most often, and the length closest to the hypothesis", () => {
    const { counts } = new Bleu().corpus(["a a b"], [["a a"], ["b a c d e"], [null]]);
    expect(counts.counts.slice(0, 2)).toEqual([3, 1]); // a a b; "a a"
    expect(counts.referenceLength).toBe(2);
  });

  it("takes the shorter of two references that are equally close in length", () => {
    expect(new Bleu().corpus(["a b c"], [["a b c d"], ["a b"]]).counts.referenceLength).toBe(2);
  });

  it("punishes brevity by exp(1 - r/c)", () => {
    const { counts, score } = new Bleu({ maxNgramOrder: 1 }).corpus(["a b"], [["a b c"]]);
    expect(counts.brevityPenalty).toBeCloseTo(Math.exp(1 - 3 / 2), 12);
    expect(score).toBeCloseTo(100 * Math.exp(-1 / 2), 9);
  });

  it("gives an empty hypothesis 0", () => {
    expect(new Bleu().corpus([""], [["a b"]]).text).toBe(
      "BLEU = 0.00 0.0/0.0/0.0/0.0 (BP = 0.000 ratio = 0.000 hyp_len = 0 ref_len = 2)",
    );
  });
});

describe("BLEU's properties", () => {
  it("is 100 for identical text", () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 8 }), (lines) => {
        expect(new Bleu().corpus(lines, [lines]).score).toBeCloseTo(100, 9);
      }),
    );
  });

  it("does not depend on the order of the lines", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(line, line), { minLength: 1, maxLength: 8 }), (pairs) => {
        const scoreOf = (some: [string, string][]) =>
          new Bleu().corpus(
            some.map(([a]) => a),
            [some.map(([, b]) => b)],
          ).score;
        expect(scoreOf(pairs.toReversed())).toBeCloseTo(scoreOf(pairs), 12);
      }),
    );
  });

  it("never counts fewer matches when a reference is added", () => {
    fc.assert(
      fc.property(line, line, line, (hypothesis, one, other) => {
        const few = new Bleu().corpus([hypothesis], [[one]]).counts.counts;
        const many = new Bleu().corpus([hypothesis], [[one], [other]]).counts.counts;
        few.forEach((count, n) => expect(many[n]).toBeGreaterThanOrEqual(count));
      }),
    );
  });
});

describe("BLEU's tokenizers", () => {
  // Read off the published rules; the `zh` rows show its accidental range U+2001 to U+2A6D and what it does with spaces.
  const cases: [BleuTokenizer, string, string][] = [
    ["none", " a,  b ", " a,  b "],
    ["13a", "It's 5.30, <skipped>isn't it?", "It's 5.30 , isn't it ?"],
    ["13a", "A &amp; B &amp;lt; &quot;C&quot;", 'A & B < " C "'],
    ["13a", "well-\nknown 3-4 1,000. x", "wellknown 3 - 4 1,000 . x"],
    ["intl", "1,000.5€ (naïve) “q”—x", "1,000.5 € ( naïve ) “ q ” — x"],
    ["intl", "in 2017.", "in 2017."],
    ["char", "a b🍕", "a   b 🍕"],
    ["zh", "他有3,500元。", "他 有 3,500 元 。"],
    ["zh", "“吃”—A", "“ 吃 ” — A"],
    ["zh", "𠀀b", "𠀀b"],
    ["zh", "1,\u3000", "1,"],
  ];
  it.each(cases)("%s: %j", (tokenizer, text, expected) => expect(bleuTokenizers[tokenizer](text)).toBe(expected));
});

describe("BLEU's checks", () => {
  const mistakes: [string, () => unknown, RegExp][] = [
    [
      "an unknown tokenizer",
      () => new Bleu({ tokenize: "spm" as BleuTokenizer }),
      /bleu\.tokenize: must be one of none, 13a, intl, char, zh \(got spm\)/,
    ],
    [
      "an order of 0",
      () => new Bleu({ maxNgramOrder: 0 }),
      /bleu\.maxNgramOrder: must be a whole number of at least 1 \(got 0\)/,
    ],
    ["a negative smoothing value", () => new Bleu({ smoothValue: -1 }), /bleu\.smoothValue/],
    ["no lines", () => new Bleu().corpus([], [[]]), /hypotheses: at least one line/],
    ["no references", () => new Bleu().corpus(["a"], []), /references: at least one stream/],
    [
      "streams of other lengths",
      () => new Bleu().corpus(["a", "b"], [["a"]]),
      /stream 1 has 1 lines where there are 2 hypotheses/,
    ],
  ];
  it.each(mistakes)("refuses %s", (_, act, message) => {
    expect(act).toThrow(ConfigError);
    expect(act).toThrow(message);
  });

  it("names the line that has no reference in any stream", () => {
    const act = () => new Bleu().corpus(["a", "b"], [["a", null]]);
    expect(act).toThrow(DataError);
    expect(act).toThrow(/references, line 2: no stream has a reference/);
  });

  it.each([
    [{ lines: 99 }, 0],
    [{ lines: 100 }, 1],
    [{ lines: 100, force: true }, 0],
  ])(
    "warns of tokenized text: %j gives %i warnings",
    ({ lines, ...options }: { lines: number; force?: boolean }, expected) => {
      const heard: HeddleEvent[] = [];
      const text = Array<string>(lines).fill("a b .");
      new Bleu({ ...options, listener: (event) => heard.push(event) }).corpus(text, [text]);
      expect(heard).toHaveLength(expected);
    },
  );
});
