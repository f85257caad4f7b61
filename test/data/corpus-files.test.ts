// Corpora from files: what is read, and what is said of files that cannot be.
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError, DataError, type HeddleEvent } from "../../src/base/index.ts";
import { corpusOf, fileLines, jsonLines, parallelText, tsv, type Corpus } from "../../src/data/index.node.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-data-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, name.endsWith(".gz") && typeof content === "string" ? gzipSync(content) : content);
  return path;
}

async function pairsOf(corpus: Corpus): Promise<[string, string, number][]> {
  return (await corpus.collect()).map(({ source, target, line }) => [source, target, line]);
}

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => new Error("nothing was thrown"),
    (error: unknown) => error,
  );
}

async function expectDataError(
  work: Promise<unknown>,
  path: string,
  line: number | undefined,
  text: string,
): Promise<void> {
  const error = await errorOf(work);
  expect(error).toBeInstanceOf(DataError);
  expect(error).toMatchObject({ file: path, line, message: expect.stringContaining(text) });
}

describe("every kind of corpus", () => {
  const expected = [
    ["a house", "ein Haus", 1],
    ["", "leer", 2],
    ["naïve 漢字", "x\u2028y", 3],
  ];
  const kinds: [string, () => Promise<Corpus>][] = [
    [
      "parallel text",
      async () =>
        parallelText({
          source: await file("a.en", "a house\n\nnaïve 漢字\n"),
          target: await file("a.de", "ein Haus\r\nleer\r\nx\u2028y"),
        }),
    ],
    [
      "parallel text, one side gzip",
      async () =>
        parallelText({
          source: await file("a.en.gz", "a house\n\nnaïve 漢字"),
          target: await file("a.de", "ein Haus\nleer\nx\u2028y\n"),
        }),
    ],
    [
      "TSV by number",
      async () =>
        tsv(await file("a.tsv", "ein Haus\t1\ta house\nleer\t2\t\nx\u2028y\t3\tnaïve 漢字\n"), {
          source: 2,
          target: 0,
        }),
    ],
    [
      "TSV, gzip, CRLF",
      async () => tsv(await file("a.tsv.gz", "a house\tein Haus\r\n\tleer\r\nnaïve 漢字\tx\u2028y\r\n")),
    ],
    [
      "JSON Lines",
      async () =>
        jsonLines(
          await file(
            "a.jsonl",
            '{"en":"a house","de":"ein Haus"}\n{"de":"leer","en":""}\n{"en":"na\\u00efve 漢字","de":"x\u2028y"}\n',
          ),
          { source: "en", target: "de" },
        ),
    ],
    [
      "JSON Lines, gzip, deeper fields",
      async () =>
        jsonLines(
          await file(
            "b.jsonl.gz",
            '{"t":{"en":"a house","de":"ein Haus"}}\n{"t":{"de":"leer","en":""}}\n{"t.en":"naïve 漢字","t":{"de":"x\u2028y"}}',
          ),
          { source: "t.en", target: "t.de" },
        ),
    ],
    [
      "memory",
      async () =>
        corpusOf([
          ["a house", "ein Haus"],
          ["", "leer"],
          ["naïve 漢字", "x\u2028y"],
        ]),
    ],
  ];

  it.each(kinds)("%s gives pairs with their lines, as often as asked", async (_, open) => {
    const corpus = await open();
    expect(await pairsOf(corpus)).toEqual(expected);
    expect(await pairsOf(corpus)).toEqual(expected);
  });

  it("gives the lines of one side or of both, as a tokenizer wants them", async () => {
    const corpus = corpusOf([
      ["a", "b"],
      ["c", "d"],
    ]);
    const linesOf = async (side?: "source" | "target"): Promise<string> => {
      let text = "";
      for await (const line of corpus.lines(side)) text += line;
      return text;
    };
    expect([await linesOf(), await linesOf("source"), await linesOf("target")]).toEqual(["abcd", "ac", "bd"]);
  });

  it("reads lists of files one after the other, each with its own lines", async () => {
    const sources = [await file("l1.en", "a\nb\n"), await file("l2.en.gz", "c\n")];
    const targets = [await file("l1.de", "A\nB\n"), await file("l2.de", "C\n")];
    const records = await (await parallelText({ source: sources, target: targets })).collect();
    expect(records.map(({ source, target, file, line }) => [source, target, file, line])).toEqual([
      ["a", "A", sources[0], 1],
      ["b", "B", sources[0], 2],
      ["c", "C", sources[1], 1],
    ]);
    const table = await tsv([await file("l1.tsv", "en\tde\na\tA\n"), await file("l2.tsv", "de\tid\ten\nB\t9\tb\n")], {
      source: "en",
      target: "de",
    });
    expect(await pairsOf(table)).toEqual([
      ["a", "A", 2],
      ["b", "B", 2],
    ]);
  });

  // Only Linux lists open files in a folder.
  it.skipIf(process.platform !== "linux")("closes its files when the reader stops early", async () => {
    const long = "some line\n".repeat(100_000);
    const source = await file("early.en.gz", long);
    const target = await file("early.de", long);
    const open = async (): Promise<number> => (await readdir("/proc/self/fd")).length;
    const before = await open();
    for (let i = 0; i < 10; i++) {
      for await (const { line } of await parallelText({ source, target })) if (line === 3) break;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await open()).toBeLessThanOrEqual(before + 1);
  });

  it("warns of a byte order mark once, however often the corpus is read", async () => {
    const heard: HeddleEvent[] = [];
    const path = await file("bom.tsv", "\ufeffa\tA\n");
    const corpus = await tsv(path, { listener: (event) => heard.push(event) });
    expect(await pairsOf(corpus)).toEqual([["a", "A", 1]]);
    await corpus.collect();
    expect(heard).toHaveLength(1);
  });
});

describe("files that cannot be read", () => {
  it("names a file that is missing, a folder, or empty before anything is read", async () => {
    const good = await file("good.en", "a\n");
    await mkdir(join(folder, "folder.de"));
    const missing = join(folder, "none.de");
    await expectDataError(parallelText({ source: good, target: missing }), missing, undefined, "no such file");
    await expectDataError(
      parallelText({ source: join(folder, "folder.de"), target: good }),
      join(folder, "folder.de"),
      undefined,
      "a folder",
    );
    const empty = await file("empty.de", "");
    await expectDataError(parallelText({ source: good, target: empty }), empty, undefined, "empty");
    await expectDataError(tsv(missing), missing, undefined, "no such file");
    await expectDataError(jsonLines(empty), empty, undefined, "empty");
  });

  it("calls a gzip file empty that holds nothing", async () => {
    const path = await file("empty.tsv.gz", "");
    await expectDataError((await tsv(path)).collect(), path, undefined, "empty");
  });

  it.each([
    ["cut short", (whole: Uint8Array) => whole.subarray(0, whole.length - 20), "end too early"],
    [
      "with a changed byte",
      (whole: Uint8Array) => whole.map((byte, i) => (i === whole.length - 6 ? byte ^ 1 : byte)),
      "damaged gzip",
    ],
    ["that is plain text", () => new TextEncoder().encode("a\tb\n"), "not gzip at all"],
    [
      "with text behind it",
      (whole: Uint8Array) => new Uint8Array([...whole, ...new TextEncoder().encode("more")]),
      "damaged gzip",
    ],
    // zlib takes a zero for padding and stops there: without a check of our own the second half would be lost in silence.
    [
      "with a second half behind a zero",
      (whole: Uint8Array) => new Uint8Array([...whole, 0, ...whole]),
      "bytes after the gzip data",
    ],
  ])("refuses a .gz %s", async (name, damage, text) => {
    const lines = Array.from({ length: 500 }, (_, i) => `line ${i * 7919}\tZeile ${i}\n`).join("");
    const path = await file(`damaged ${name}.tsv.gz`, damage(new Uint8Array(gzipSync(lines))));
    await expectDataError((await tsv(path)).collect(), path, undefined, text);
  });

  it("reads gzip files that were appended to one another", async () => {
    const path = await file("two.txt.gz", new Uint8Array([...gzipSync("a\nb"), ...gzipSync("c\nd\n")]));
    const lines: string[] = [];
    for await (const line of fileLines(path)) lines.push(line);
    expect(lines).toEqual(["a", "bc", "d"]);
  });

  it("names the line that is not UTF-8, in gzip too", async () => {
    const path = await file(
      "latin.tsv.gz",
      new Uint8Array(gzipSync(new Uint8Array([0x61, 0x09, 0x62, 0x0a, 0x63, 0x09, 0xfc, 0x0a]))),
    );
    await expectDataError((await tsv(path)).collect(), path, 2, "byte offset 2 of the line, 6 of the text");
  });
});

describe("parallelText", () => {
  it.each([
    ["a\nb\nc\n", "A\nB", 3, 2, 3],
    ["a\n", "A\nB\nC\n\n", 1, 4, 2],
  ])(
    "names both files and both counts of %j and %j",
    async (sourceText, targetText, sourceCount, targetCount, line) => {
      const source = await file("n.en", sourceText);
      const target = await file("n.de", targetText);
      const text = `${source} has ${sourceCount} lines, ${target} has ${targetCount}`;
      await expectDataError((await parallelText({ source, target })).collect(), source, line, text);
    },
  );

  it("refuses lists of unequal length", async () => {
    expect(await errorOf(parallelText({ source: ["a", "b"], target: "c" }))).toBeInstanceOf(ConfigError);
    expect(await errorOf(parallelText({ source: [], target: [] }))).toBeInstanceOf(ConfigError);
  });
});

describe("tsv", () => {
  it.each([
    ["a\tb\nc\n", {}, 2, "1 field where line 1 has 2"],
    ["a\tb\nc\td\te\n", {}, 2, "3 fields where line 1 has 2"],
    ["a\tb\n\n", {}, 2, "1 field where line 1 has 2"],
    ["a b\n", {}, 1, "there is no column 1"],
    ["a\tb\n", { source: 0, target: 2 }, 1, "2 fields, so there is no column 2"],
    ["en\tfr\na\tb\n", { source: "en", target: "de" }, 1, 'no column is called "de"; there are "en", "fr"'],
    ["en\tde\n", { source: "en", target: "de" }, 1, "no line beyond"],
  ])("refuses %j with columns %j", async (content, columns, line, text) => {
    const path = await file("bad.tsv", content);
    await expectDataError((await tsv(path, columns)).collect(), path, line, text);
  });

  it.each([{ source: -1 }, { target: 0.5 }, { source: "en" }])("refuses the columns %j", async (columns) => {
    expect(await errorOf(tsv("any.tsv", columns))).toBeInstanceOf(ConfigError);
  });
});

describe("jsonLines", () => {
  it.each([
    ['{"source":"a","target":"b"}\n{"source":"a",\n', 2, "not JSON"],
    ['{"source":"a","target":"b"}\n\n', 2, "blank line"],
    ['["a","b"]\n', 1, "an array where a JSON object was expected"],
    ["null\n", 1, "null where a JSON object"],
    ['{"source":"a","goal":"b"}\n', 1, 'no field "target"; there are "source", "goal"'],
    ['{"source":"a","target":3}\n', 1, 'field "target" is a number'],
    ['{"source":"a","target":"\\ud800"}\n', 1, "half a surrogate pair"],
  ])("refuses %s", async (content, line, text) => {
    const path = await file("bad.jsonl", content);
    await expectDataError((await jsonLines(path)).collect(), path, line, text);
  });

  it("does not take an inherited name for a field", async () => {
    const path = await file("proto.jsonl", '{"source":"a","target":"b"}\n');
    await expectDataError(
      (await jsonLines(path, { source: "constructor.name" })).collect(),
      path,
      1,
      'no field "constructor.name"',
    );
  });
});
