// Vectors of words from hand-made bytes: word2vec's text, GloVe's, Mikolov's binary form, and what may be wrong with them.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HeddleEvent } from "../../src/base/index.ts";
import { readWordVectors, type ReadWordVectorsOptions } from "../../src/text/index.ts";

const utf8 = new TextEncoder();
const text = (content: string): Uint8Array => utf8.encode(content);

/** Mikolov's form; `separator` is what stands behind each vector. */
function binary(
  entries: readonly (readonly [string, readonly number[]])[],
  { header = `${entries.length} ${entries[0]?.[1].length ?? 0}\n`, separator = "\n" } = {},
): Uint8Array {
  const pieces: Uint8Array[] = [text(header)];
  for (const [word, vector] of entries) {
    const floats = new Uint8Array(4 * vector.length);
    vector.forEach((value, i) => new DataView(floats.buffer).setFloat32(4 * i, value, true));
    pieces.push(text(`${word} `), floats, text(separator));
  }
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}

/** The bytes in pieces of this length, so that words, numbers and characters are cut anywhere. */
function inPieces(bytes: Uint8Array, length: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / length) }, (_, i) =>
    bytes.subarray(i * length, (i + 1) * length),
  );
}

const colours = [
  ["blau", [0, 1, 0.5]],
  ["grün", [-1.5, 0, 0.25]],
  ["</s>", [1, 2, 3]],
] as const;
const expected = {
  words: ["blau", "grün", "</s>"],
  dimensions: 3,
  vectors: Float32Array.of(0, 1, 0.5, -1.5, 0, 0.25, 1, 2, 3),
};
const lines = "blau 0 1 0.5\ngrün -1.5 0 2.5e-1\n</s> 1 2 3\n";

describe("one list of words in every form", () => {
  test.each<[string, Uint8Array, NonNullable<ReadWordVectorsOptions["format"]>]>([
    ["word2vec's text", text(`3 3\n${lines}`), "text"],
    [
      "word2vec's text as its own program writes it, with a blank at each end",
      text(`3 3\n${lines.replaceAll("\n", " \n")}`),
      "text",
    ],
    ["GloVe's text, without a first line", text(lines), "text"],
    ["text without a last line feed", text(lines.trimEnd()), "text"],
    ["text with Windows line ends", text(`3 3\r\n${lines.replaceAll("\n", "\r\n")}`), "text"],
    ["text with tabs and a byte order mark", text(`\uFEFF${lines.replaceAll(" ", "\t")}`), "text"],
    ["binary, a line feed behind each vector", binary(colours), "binary"],
    ["binary, nothing behind each vector", binary(colours, { separator: "" }), "binary"],
  ])("%s", async (_, bytes, format) => {
    for (const length of [1, 5, 1000])
      expect(await readWordVectors(inPieces(bytes, length), { format }), `pieces of ${length}`).toEqual(expected);
  });
});

test("a vector whose bytes look like blanks and line feeds is read as numbers", async () => {
  // 0x20202020 and 0x0a0a0a0a as float32.
  const odd = Array.from(new Float32Array(Uint32Array.of(0x20202020, 0x0a0a0a0a).buffer));
  for (const separator of ["\n", ""]) {
    const read = await readWordVectors(
      [
        binary(
          [
            ["a", odd],
            ["b", odd],
          ],
          { separator },
        ),
      ],
      { format: "binary" },
    );
    expect(read).toEqual({ words: ["a", "b"], dimensions: 2, vectors: Float32Array.of(...odd, ...odd) });
  }
});

test("what is written in either form is read back, for any words and numbers", async () => {
  const word = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 8 })
    .filter((w) => w.isWellFormed() && !/[\s\uFEFF]/u.test(w));
  // Text does not tell −0 from 0.
  const float = fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }).chain((dimensions) =>
        fc.uniqueArray(fc.tuple(word, fc.array(float, { minLength: dimensions, maxLength: dimensions })), {
          minLength: 1,
          selector: ([w]) => w,
        }),
      ),
      fc.integer({ min: 1, max: 40 }),
      async (entries, length) => {
        const content = entries.map(([w, vector]) => `${w} ${vector.join(" ")}\n`).join("");
        const header = `${entries.length} ${entries[0]![1].length}\n`;
        const ofText = await readWordVectors(inPieces(text(header + content), length));
        const ofBinary = await readWordVectors(inPieces(binary(entries), length), { format: "binary" });
        expect(ofText.words).toEqual(entries.map(([w]) => w));
        expect(ofText.vectors).toEqual(Float32Array.from(entries.flatMap(([, vector]) => vector)));
        expect(ofBinary).toEqual(ofText);
      },
    ),
    { numRuns: 100 },
  );
});

test("a GloVe word may hold blanks: the last numbers are the vector", async () => {
  const { words, dimensions } = await readWordVectors([text("a 1 2\n. . . 3 4\nat name 5 6\n")]);
  expect([words, dimensions]).toEqual([["a", ". . .", "at name"], 2]);
});

test("only words that pass are kept, and the others are still counted", async () => {
  const keep = (word: string): boolean => word.startsWith("g");
  for (const [bytes, format] of [
    [text(`3 3\n${lines}`), "text"],
    [binary(colours), "binary"],
  ] as const) {
    const read = await readWordVectors([bytes], { format, keep });
    expect(read).toEqual({ words: ["grün"], dimensions: 3, vectors: Float32Array.of(-1.5, 0, 0.25) });
  }
});

test("of a word that is there twice the first vector counts, with one warning", async () => {
  const heard: HeddleEvent[] = [];
  const { words, vectors } = await readWordVectors([text("3 1\na 1\nb 2\na 3\n")], {
    place: "v.txt",
    listener: (event) => heard.push(event),
  });
  expect([words, [...vectors]]).toEqual([
    ["a", "b"],
    [1, 2],
  ]);
  expect(heard).toEqual([
    { type: "log", level: "warning", message: "v.txt: 1 word is there twice; the first vector counts." },
  ]);
});

describe("text that is refused", () => {
  test.each<[string, string, RegExp]>([
    ["nothing", "", /^v: holds no word$/],
    ["a first line alone", "2 3\n", /^v: holds no word$/],
    ["no words announced", "0 3\n", /line 1: at least one word and 1 to 65536 dimensions are wanted, got "0 3"/],
    ["absurd dimensions", "3 70000\na 1\n", /line 1: at least one word and 1 to 65536 dimensions/],
    ["a number too few", "2 3\na 1 2 3\nb 1 2\n", /line 3: a word and 3 numbers are wanted, got "b 1 2"/],
    ["a number too few, by the first line", "a 1 2 3\nb 1 2\n", /line 2: a word and 3 numbers are wanted/],
    ["an empty line", "a 1 2\n\nb 1 2\n", /line 2: a word and 2 numbers are wanted, got ""/],
    ["no number at all", "hello\n", /line 1: a word and numbers are wanted, got "hello"/],
    ["a word where a number belongs", "a 1 2\nb 1 x\n", /line 2: number 2 of 2 is "x"/],
    ["nan", "a 1 2\nb 1 nan\n", /line 2: number 2 of 2 is "nan"/],
    ["two blanks", "a 1 2\nb 1  2\n", /line 2: number 1 of 2 is ""/],
    [
      "fewer words than announced",
      "3 1\na 1\nb 2\n",
      /^v: the first line says 3 words, and 2 are there\. It was cut short/,
    ],
    ["more words than announced", "1 1\na 1\nb 2\n", /says 1 words, and 2 are there\. Correct the first line/],
  ])("%s", async (_, content, message) => {
    await expect(readWordVectors([text(content)], { place: "v" })).rejects.toThrow(message);
  });

  test("binary taken for text, with the remedy", async () => {
    await expect(readWordVectors([binary(colours)], { place: "v" })).rejects.toThrow(
      /line 2: .*(binary form\? Give it a name that ends in \.bin|are wanted)/,
    );
  });
});

describe("binary that is refused", () => {
  const whole = binary(colours);
  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(0), /^v: must begin with a line of two whole numbers, the words and the dimensions$/],
    ["text without a first line", text("hello 1 2\n"), /must begin with a line of two whole numbers.*got "hello 1 2"/],
    // "3 3\n" is 4 bytes, an entry 5 + 12 + 1: the second begins at 22, after a line feed that goes with the third's.
    [
      "a file cut in a vector",
      whole.subarray(0, 4 + 5 + 7),
      /v, byte offset 4: the file ends in the vector of word 1 of 3\. It was cut short/,
    ],
    [
      "a file cut between words",
      binary(colours.slice(0, 2), { header: "3 3\n", separator: "" }),
      /says 3 words, and 2 are there\. It was cut short/,
    ],
    ["a file that goes on", binary(colours, { header: "2 3\n" }), /byte offset \d+: more follows after the 2 words/],
    [
      "a word without an end",
      text(`1 3\n${"x".repeat(5000)}`),
      /byte offset 4: no blank ends word 1\. Is it word2vec's binary form\?/,
    ],
    ["numbers that are none", binary([["a", [1, NaN]]]), /byte offset 4: value 2 of "a" is NaN/],
  ])("%s", async (_, bytes, message) => {
    await expect(readWordVectors([bytes], { format: "binary", place: "v" })).rejects.toThrow(message);
  });

  test("at whatever byte the file is cut, it is said to be cut", async () => {
    for (let length = 4; length < whole.length - 1; length++)
      await expect(
        readWordVectors([whole.subarray(0, length)], { format: "binary", place: "v" }),
        `${length} bytes`,
      ).rejects.toThrow(/cut short|no blank ends|holds no word/);
  });
});
