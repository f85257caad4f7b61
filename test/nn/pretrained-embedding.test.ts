// Word vectors in an embedding: which rows they become, what is said of the rest, and that a frozen table stays.
import { describe, expect, test } from "vitest";
import { hostTensor } from "../../src/base/index.ts";
import { coverageText, Embedding, embedWords, namedParameters, nearestNeighbours } from "../../src/nn/index.ts";
import { WordTokenizer } from "../../src/text/index.ts";
import { wordVectorsFile } from "../../src/text/index.node.ts";
import { expectClose } from "../close.ts";
import { shared, sharedFile } from "../shared.ts";

const tokenizer = WordTokenizer.train(["red red red blue blue green"]);
const id = (word: string): number => tokenizer.idOf(`▁${word}`)!;
const vectors = { words: ["blue", "Red"], dimensions: 2, vectors: Float32Array.of(3, 4, 0, 1) };

describe("embedWords", () => {
  const tokenCounts = Array.from({ length: tokenizer.vocabularySize }, () => 0);
  [tokenCounts[id("red")], tokenCounts[id("blue")], tokenCounts[id("green")]] = [3, 2, 1];
  const { table, coverage } = embedWords(tokenizer, vectors, { dModel: 2, seed: 1, tokenCounts });
  const row = (at: number): number[] => [...table.data.subarray(2 * at, 2 * at + 2)];

  test("gives found words their vectors, scaled to a mean square of 1 / dModel over all found values", () => {
    // By hand: squares 9 + 16 + 0 + 1 = 26 over 4 values, wanted 1/2 each: the factor is √(2 / 26).
    const factor = Math.sqrt(2 / 26);
    expectClose(row(id("blue")), [3 * factor, 4 * factor], { within: 1e-7 });
    expectClose(row(id("red")), [0, factor], { within: 1e-7 });
  });

  test("draws the others, alike for one seed and unlike for another", () => {
    const again = embedWords(tokenizer, vectors, { dModel: 2, seed: 1 }).table;
    const other = embedWords(tokenizer, vectors, { dModel: 2, seed: 2 }).table;
    expect(again).toEqual(table);
    const green = 2 * id("green");
    expect(other.data[green]).not.toBe(table.data[green]);
    expect(other.data.subarray(2 * id("blue"), 2 * id("blue") + 2)).toEqual(Float32Array.from(row(id("blue"))));
  });

  test("counts entries and tokens that found one", () => {
    // Seven entries: four special tokens, three words of which two are found; 5 of 6 tokens.
    expect(coverage).toEqual({ entries: 7, found: 2, tokens: { all: 6, found: 5 } });
    expect(coverageText(coverage)).toBe("coverage: 2 of 7 entries (28.6 %), 5 of 6 tokens (83.3 %)");
    expect(coverageText({ entries: 8000, found: 4816 })).toBe("coverage: 4,816 of 8,000 entries (60.2 %)");
  });

  test("refuses vectors of another width, with the remedy", () => {
    expect(() => embedWords(tokenizer, vectors, { dModel: 8, seed: 1 })).toThrow(
      "model.dModel: must be the width of the word vectors (got dModel 8, vectors of 2). Set it to 2, or take other vectors.",
    );
  });

  test("without a single word found everything is drawn", () => {
    const { coverage: none, table: drawn } = embedWords(
      tokenizer,
      { ...vectors, words: ["x", "y"] },
      { dModel: 2, seed: 1 },
    );
    expect(none.found).toBe(0);
    expect(drawn.data.every(Number.isFinite)).toBe(true);
  });
});

test("an embedding may be kept from training", () => {
  const embedding = new Embedding({ vocabularySize: 3, dModel: 2, scale: 2, trainable: false });
  expect([...namedParameters(embedding)].map(([name, { trainable }]) => [name, trainable])).toEqual([["table", false]]);
  expect(new Embedding({ vocabularySize: 3, dModel: 2 }).table.trainable).toBe(true);
});

describe("nearestNeighbours", () => {
  // Angles to the row [1, 0] by hand: 0°, 45°, 90°, 180°; a row of zeros has none.
  const table = hostTensor("float32", [6, 2], [1, 0, 0, 5, 2, 2, 0, 0, -1, 0, 7, 0]);

  test("orders rows by the cosine of their angle, whatever their length", () => {
    const found = nearestNeighbours(table, { of: 0 });
    expect(found.map(({ row }) => row)).toEqual([5, 2, 1, 4]);
    expectClose(
      found.map(({ similarity }) => similarity),
      [1, Math.SQRT1_2, 0, -1],
      { within: 1e-12 },
    );
  });

  test("gives as many as asked for, among those allowed", () => {
    expect(nearestNeighbours(table, { of: 0, count: 2, among: (row) => row !== 5 }).map(({ row }) => row)).toEqual([
      2, 1,
    ]);
  });

  test("a row of zeros has no neighbours, and one outside the table is refused", () => {
    expect(nearestNeighbours(table, { of: 3 })).toEqual([]);
    expect(() => nearestNeighbours(table, { of: 6 })).toThrow("the table has rows 0 to 5, got 6");
  });
});

describe.skipIf(!shared)("on the shared vectors [skipped: set HEDDLE_SHARED]", () => {
  test("an embedding of their own width takes over their neighbours", async () => {
    const read = await wordVectorsFile(sharedFile("data", "word2vec", "heddle-sgns-128-multi30k-en.txt.gz"));
    const words = WordTokenizer.train([read.words.join(" ")], { splitPunctuation: false });
    const { table, coverage } = embedWords(words, read, { dModel: 128, seed: 1 });
    expect(coverage).toEqual({ entries: 5917 + 4, found: 5917 });
    const near = nearestNeighbours(table, { of: words.idOf("▁red")!, count: 5 }).map(({ row }) => words.tokenOf(row));
    expect(near).toEqual(expect.arrayContaining(["▁blue", "▁yellow", "▁purple"]));
  });
});
