// Word vectors in files: the form by the name, gzip, and the shared ones.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { wordVectorsFile } from "../../src/text/index.node.ts";
import { nearestNeighbours } from "../../src/nn/index.ts";
import { shared, sharedFile } from "../shared.ts";
import { temporaryFolder } from "../train/temporary-folder.ts";

const text = Buffer.from("2 2\nred 1 0.5\nblue 0 2\n");
const binary = Buffer.concat([
  Buffer.from("2 2\nred "),
  Buffer.from(Float32Array.of(1, 0.5).buffer),
  Buffer.from("\nblue "),
  Buffer.from(Float32Array.of(0, 2).buffer),
  Buffer.from("\n"),
]);

test.each<[string, Buffer]>([
  ["vectors.txt", text],
  ["vectors.vec", text],
  ["vectors.bin", binary],
  ["vectors.txt.gz", gzipSync(text)],
  ["vectors.BIN.GZ", gzipSync(binary)],
])("%s", async (name, content) => {
  const path = join(await temporaryFolder(), name);
  await writeFile(path, content);
  expect(await wordVectorsFile(path)).toEqual({
    words: ["red", "blue"],
    dimensions: 2,
    vectors: Float32Array.of(1, 0.5, 0, 2),
  });
});

describe("refused, with the path", () => {
  test.each<[string, Buffer, RegExp]>([
    ["cut.txt.gz", gzipSync(text).subarray(0, 30), /cut\.txt\.gz: the gzip data end too early/],
    ["plain.txt.gz", text, /plain\.txt\.gz: damaged gzip data, or not gzip/],
    ["cut.bin", binary.subarray(0, 20), /cut\.bin, byte offset 16: |cut\.bin/],
  ])("%s", async (name, content, message) => {
    const path = join(await temporaryFolder(), name);
    await writeFile(path, content);
    await expect(wordVectorsFile(path)).rejects.toThrow(message);
  });

  test("a file that is not there, and a folder", async () => {
    const folder = await temporaryFolder();
    await expect(wordVectorsFile(join(folder, "none.bin"))).rejects.toThrow(/none\.bin: there is no such file/);
    await expect(wordVectorsFile(folder)).rejects.toThrow(/a folder where a file was expected/);
  });
});

describe.skipIf(!shared)("the shared vectors [skipped: set HEDDLE_SHARED]", () => {
  // Sizes and neighbours as the README beside them gives them.
  test.each<[string, number, number, string, string[]]>([
    ["googlenews-multi30k-en.txt.gz", 806, 300, "man", ["woman", "boy"]],
    ["heddle-sgns-128-multi30k-en.txt.gz", 5917, 128, "guitar", ["violin", "keyboard"]],
  ])("%s has its words, and neighbours that mean something like it", async (name, count, dimensions, word, near) => {
    const read = await wordVectorsFile(sharedFile("data", "word2vec", name));
    expect([read.words.length, read.dimensions, read.vectors.length]).toEqual([count, dimensions, count * dimensions]);
    const table = { dtype: "float32", dims: [count, dimensions], data: read.vectors } as const;
    const found = nearestNeighbours(table, { of: read.words.indexOf(word), count: 5 }).map(
      ({ row }) => read.words[row],
    );
    expect(found).toEqual(expect.arrayContaining(near));
  });
});
