// Text as one stream of tokens: nothing lost, nothing asked for twice.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HeddleEvent } from "../../src/base/index.ts";
import { encodeTexts, TextCorpus, textsOf, windowRows, windowsOf } from "../../src/data/index.ts";

const special = { pad: 256, unknown: 257, start: 258, end: 259 };
const bytes = { encode: (text: string) => new TextEncoder().encode(text), special };

test("documents lie end to end, END before the first and behind each", async () => {
  const stream = await encodeTexts(textsOf(["ab", "", "c"], "letters"), bytes);
  expect([...stream.tokens]).toEqual([259, 97, 98, 259, 259, 99, 259]);
  expect(stream.count).toBe(3);
  expect([0, 1, 3, 4, 5, 6].map((token) => stream.placeOf(token).line)).toEqual([1, 1, 1, 2, 3, 3]);
  expect(stream.placeOf(5)).toEqual({ file: "letters", line: 3 });
});

test("bytes and characters are those of the text, with the line ends that END stands for", async () => {
  const corpus = new TextCorpus("two lines", async function* () {
    yield { text: "né", closedBy: "\n", file: "f", line: 1 };
    yield { text: "🧵", closedBy: "\n", file: "f", line: 2 };
  });
  const { bytes: count, characters } = await encodeTexts(corpus, bytes);
  // n 1, é 2, line end 1; the spool of thread 4, line end 1.
  expect(count).toBe(9);
  expect(characters).toBe(2 + 1 + 1 + 1);
});

test("what the vocabulary cannot spell is counted and told once", async () => {
  const encode = (text: string) => [...text].map((letter) => (letter === "?" ? special.unknown : 1));
  const events: HeddleEvent[] = [];
  const listener = (event: HeddleEvent) => void events.push(event);
  const { unknown } = await encodeTexts(textsOf(["a?b?"], "letters"), { encode, special }, { listener });
  expect(unknown).toBe(2);
  expect(events.map((event) => event.type === "log" && event.message)).toEqual([
    "letters: 2 of 5 tokens stand for what the vocabulary cannot spell. Set tokenizer.byteFallback to spell everything.",
  ]);
});

test("a corpus without text is refused", async () => {
  await expect(encodeTexts(textsOf([], "nothing"), bytes)).rejects.toThrow("nothing: there is no text in it.");
  await expect(encodeTexts(textsOf([""], "nothing"), bytes)).rejects.toThrow("nothing: there is no text in it.");
});

test("the fingerprint tells texts apart", async () => {
  const of = async (...texts: string[]) => (await encodeTexts(textsOf(texts), bytes)).fingerprint;
  expect(await of("ab")).toBe(await of("ab"));
  expect(await of("ab")).not.toBe(await of("a", "b"));
});

describe("windows", () => {
  test("ask for every token but the first exactly once, and read no more than they may", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 200 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(39),
        (count, contextTokens, overlap) => {
          const overlapTokens = overlap % contextTokens;
          const windows = windowsOf(count, { contextTokens, overlapTokens });
          const asked = windows.flatMap(({ start, length, asked }) =>
            Array.from({ length: asked }, (_, i) => start + length - asked + i),
          );
          expect(asked).toEqual(Array.from({ length: count - 1 }, (_, i) => i + 1));
          for (const [i, { start, length, asked }] of windows.entries()) {
            expect(length - 1).toBeLessThanOrEqual(contextTokens);
            // All but the first see at least the overlap before what they are asked for.
            if (i > 0) expect(length - 1 - asked).toBe(overlapTokens);
            expect(start).toBeGreaterThanOrEqual(0);
          }
        },
      ),
    );
  });

  test("fill only the last row with padding", () => {
    const tokens = Int32Array.from({ length: 6 }, (_, i) => i);
    const windows = windowsOf(6, { contextTokens: 3 });
    expect(windowRows(tokens, windows, 9)).toEqual({ time: 4, ids: Int32Array.from([0, 1, 2, 3, 3, 4, 5, 9]) });
  });

  test.each([
    [{ contextTokens: 0 }, "contextTokens: must be a whole number above 0 (got 0)."],
    [
      { contextTokens: 4, overlapTokens: 4 },
      "overlapTokens: must be a whole number from 0 to 3, below contextTokens (got 4).",
    ],
  ])("%j is refused", (options, message) => {
    expect(() => windowsOf(10, options)).toThrow(message);
  });
});
