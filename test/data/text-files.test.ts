// Plain text files as documents, plain and compressed.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeTexts, textFiles, type TextRecord } from "../../src/data/index.node.ts";

let folder = "";
let [one, two] = ["", ""];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-texts-"));
  [one, two] = [join(folder, "one.txt"), join(folder, "two.txt.gz")];
  await writeFile(one, "first line\n\n  \nsecond ");
  await writeFile(two, gzipSync("third\r\nfourth\n"));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(...options: Parameters<typeof textFiles>): Promise<TextRecord[]> {
  const records: TextRecord[] = [];
  for await (const record of await textFiles(...options)) records.push(record);
  return records;
}

test("a document is a line that is not empty, with its place", async () => {
  expect((await read([one, two])).map(({ text, file, line }) => [text, file, line])).toEqual([
    ["first line", one, 1],
    ["second ", one, 4],
    ["third", two, 1],
    ["fourth", two, 2],
  ]);
});

test("or a document is a whole file, its lines as they are", async () => {
  const records = await read([one, two], { format: "file" });
  expect(records.map(({ text }) => text)).toEqual(["first line\n\n  \nsecond \n", "third\nfourth\n"]);
});

test("bytes of a file are the file's, in either format", async () => {
  const special = { pad: 256, unknown: 257, start: 258, end: 259 };
  const encoding = { encode: (text: string) => new TextEncoder().encode(text), special };
  await writeFile(join(folder, "three.txt"), "né\nzwei\n");
  for (const format of ["lines", "file"] as const) {
    const { bytes } = await encodeTexts(await textFiles(join(folder, "three.txt"), { format }), encoding);
    expect(bytes).toBe(9);
  }
});

test("reading stops after so many characters", async () => {
  expect((await read([one, two], { maxCharacters: 15, format: "file" })).map(({ text }) => text)).toEqual([
    "first line\n\n  \n",
  ]);
  expect((await read([one, two], { maxCharacters: 5 })).map(({ text }) => text)).toEqual(["first"]);
});

test("a missing file is told of at once", async () => {
  await expect(textFiles([one, join(folder, "none.txt")])).rejects.toThrow("there is no such file");
  await expect(textFiles([])).rejects.toThrow("textFiles: names no file. Give at least one.");
});
