import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import type { HeddleEvent } from "../../src/base/index.ts";
import { Corpus, corpusOf, encodePairs, type Encoder } from "../../src/data/index.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";

/** One token a character. */
const characters: Encoder = {
  encode: (text) => Array.from(text, (character) => character.codePointAt(0)!),
  special: { pad: 0, start: 1, end: 2 },
};

describe("encodePairs", () => {
  it("takes any of our tokenizers", () => {
    expectTypeOf<Tokenizer>().toExtend<Encoder>();
  });

  it("keeps each side's ids with END behind them, and where the pair stood", async () => {
    const pairs = await encodePairs(
      corpusOf(
        [
          ["ab", "A"],
          ["c", "BCD"],
        ],
        "memory",
      ),
      { source: characters, target: { ...characters, special: { pad: 7, start: 8, end: 9 } } },
    );
    expect([...pairs.source.row(0)]).toEqual([97, 98, 2]);
    expect([...pairs.target.row(0)]).toEqual([65, 9]);
    expect([...pairs.source.row(1)]).toEqual([99, 2]);
    expect([...pairs.target.row(1)]).toEqual([66, 67, 68, 9]);
    expect([pairs.count, pairs.sourcePad, pairs.targetPad, pairs.targetStart]).toEqual([2, 0, 7, 8]);
    expect(pairs.placeOf(1)).toEqual({ file: "memory", line: 2 });
    expect(pairs.report).toEqual({
      read: 2,
      kept: 2,
      empty: { count: 0, first: undefined },
      overlong: { count: 0, first: undefined },
    });
  });

  it("gives every text back that it kept, in order", async () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).filter((each) => each.trim() !== "");
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 80 }), async (texts) => {
        const pairs = await encodePairs(corpusOf(texts), { source: characters, target: characters });
        const decode = (ids: Int32Array): string => String.fromCodePoint(...ids.subarray(0, -1));
        expect(Array.from(texts, (_, i) => [decode(pairs.source.row(i)), decode(pairs.target.row(i))])).toEqual(texts);
      }),
    );
  });

  it("drops empty and overlong pairs, counts both and says where the first stood", async () => {
    const heard: HeddleEvent[] = [];
    const corpus = corpusOf(
      [
        ["abcd", "A"],
        ["", "B"],
        ["c", " \u3000"],
        ["abcde", "C"],
        ["d", "ABC"],
        ["e", "AB"],
      ],
      "six",
    );
    const options = { source: characters, target: characters, maxSourceTokens: 5, maxTargetTokens: 3 };
    const pairs = await encodePairs(corpus, { ...options, listener: (event) => heard.push(event) });
    expect([...pairs.lines]).toEqual([1, 6]); // END counts: "abcd" is 5 tokens, "AB" is 3
    expect(pairs.report).toEqual({
      read: 6,
      kept: 2,
      empty: { count: 2, first: "six, line 2" },
      overlong: { count: 2, first: "six, line 4" },
    });
    expect(heard).toEqual([
      {
        type: "log",
        level: "warning",
        message:
          "six: left out of 6 pairs 2 with an empty side (the first: six, line 2) and 2 overlong (the first: six, line 4). " +
          "Mend the lines, or raise maxSourceTokens and maxTargetTokens.",
      },
    ]);
  });

  it("is an error where no pair is left", async () => {
    const dropped = encodePairs(corpusOf([["", "a"]], "void"), { source: characters, target: characters });
    await expect(dropped).rejects.toThrow(
      "void: no pair is left: of 1 pairs 1 with an empty side (the first: void, line 1)",
    );
    await expect(encodePairs(corpusOf([], "nothing"), { source: characters, target: characters })).rejects.toThrow(
      "nothing: no pair is left",
    );
  });

  it("tells files apart that follow one another", async () => {
    const corpus = new Corpus("both", async function* () {
      yield { source: "a", target: "A", file: "one", line: 1 };
      yield { source: "b", target: "B", file: "two", line: 1 };
      yield { source: "c", target: "C", file: "two", line: 2 };
    });
    const pairs = await encodePairs(corpus, { source: characters, target: characters });
    expect([0, 1, 2].map((i) => pairs.placeOf(i))).toEqual([
      { file: "one", line: 1 },
      { file: "two", line: 1 },
      { file: "two", line: 2 },
    ]);
  });

  it.each([[Number.NaN], [1.5], [-1], [2 ** 31]])("refuses %d as a token id", async (id) => {
    const broken: Encoder = { ...characters, encode: () => [id] };
    await expect(encodePairs(corpusOf([["a", "b"]]), { source: broken, target: characters })).rejects.toThrow(
      RangeError,
    );
  });

  it("has a fingerprint that follows every token, every border and the special ids", async () => {
    const of = async (pairs: [string, string][], special = characters.special): Promise<string> =>
      (await encodePairs(corpusOf(pairs), { source: { ...characters, special }, target: characters })).fingerprint;
    const first = await of([
      ["ab", "A"],
      ["c", "B"],
    ]);
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(
      await of([
        ["ab", "A"],
        ["c", "B"],
      ]),
    ).toBe(first);
    const others = [
      await of([
        ["ab", "A"],
        ["d", "B"],
      ]),
      await of([
        ["a", "A"],
        ["bc", "B"],
      ]),
      await of([
        ["c", "B"],
        ["ab", "A"],
      ]),
      await of([
        ["A", "ab"],
        ["B", "c"],
      ]),
      await of(
        [
          ["ab", "A"],
          ["c", "B"],
        ],
        { pad: 3, start: 1, end: 2 },
      ),
    ];
    expect(new Set([first, ...others]).size).toBe(6);
  });

  it("reports progress every 10,000 pairs", async () => {
    const done: number[] = [];
    const many = Array.from({ length: 25_000 }, (): [string, string] => ["a", "b"]);
    const pairs = await encodePairs(corpusOf(many), {
      source: characters,
      target: characters,
      listener: (event) => void (event.type === "progress" && done.push(event.done)),
    });
    expect(done).toEqual([10_000, 20_000]);
    expect(pairs.count).toBe(25_000);
  });
});
