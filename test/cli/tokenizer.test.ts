// heddle tokenizer, run in this process with streams of its own.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HeddleError } from "../../src/base/index.ts";
import { tokenizerCommand } from "../../src/cli/commands/tokenizer.ts";
import { lines } from "../text/sample-text.ts";

let folder: string;
let english: string;
let saved: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-cli-"));
  english = join(folder, "train.en");
  saved = join(folder, "tokenizer.json");
  await writeFile(english, `${lines.join("\n")}\n`);
  await writeFile(`${english}.gz`, gzipSync(`${lines.join("\n")}\n`));
  await heddle(["train", english, "--vocabulary-size", "370", "--output", saved]);
});
afterAll(() => rm(folder, { recursive: true }));

async function heddle(words: string[], input: string | Uint8Array = ""): Promise<{ output: string; messages: string }> {
  const output = new PassThrough();
  const messages = new PassThrough();
  const read = (stream: PassThrough): Promise<string> =>
    Readable.from(stream)
      .toArray()
      .then((chunks) => Buffer.concat(chunks).toString());
  const all = Promise.all([read(output), read(messages)]);
  try {
    await tokenizerCommand({ input: Readable.from([Buffer.from(input)]), output, messages }).parseAsync(words, {
      from: "user",
    });
  } finally {
    output.end();
    messages.end();
  }
  const [text, notes] = await all;
  return { output: text, messages: notes };
}

const text = lines.filter((line) => !line.includes("<s>"));

describe("train", () => {
  it("learns from several files, gzip or plain, and says what it did", async () => {
    const path = join(folder, "both.json");
    const { output, messages } = await heddle([
      "train",
      english,
      `${english}.gz`,
      "--vocabulary-size",
      "360",
      "--output",
      path,
    ]);
    expect(output).toBe("");
    expect(messages).toMatch(/both\.json: 360 tokens \(bpe\) learnt from 14 lines in \d+\.\d s\n$/);
    expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({
      version: "1.0",
      model: { type: "BPE", byte_fallback: true },
    });
  });

  it("prints JSON when asked", async () => {
    const path = join(folder, "json.json");
    const { output } = await heddle([
      "train",
      english,
      "--type",
      "word",
      "--vocabulary-size",
      "20",
      "--output",
      path,
      "--json",
    ]);
    expect(JSON.parse(output)).toMatchObject({ output: path, type: "word", vocabularySize: 20, lines: 7 });
  });

  it("passes on what it is told", async () => {
    const path = join(folder, "told.json");
    await heddle([
      "train",
      english,
      "--merges",
      "9",
      "--no-byte-fallback",
      "--no-split-punctuation",
      "--special-token",
      "<de>",
      "--special-token",
      "<en>",
      "--output",
      path,
    ]);
    const { model, added_tokens: added } = JSON.parse(await readFile(path, "utf8"));
    expect(model.byte_fallback).toBe(false);
    expect(model.merges).toHaveLength(9);
    expect(added.map(({ content }: { content: string }) => content)).toEqual([
      "<pad>",
      "<unk>",
      "<s>",
      "</s>",
      "<de>",
      "<en>",
    ]);
  });

  it.each([
    [["--type", "word", "--byte-fallback"], "--byte-fallback: has no effect with --type word"],
    [["--type", "character", "--no-split-punctuation"], "--no-split-punctuation: has no effect with --type character"],
    [["--type", "word", "--merges", "3"], "--merges: has no effect with --type word"],
    [["--vocabulary-size", "many"], '--vocabulary-size: must be a number (got "many")'],
    [["--vocabulary-size", "9", "--merges", "9"], "vocabularySize and merges both say when to stop"],
    [["--vocabulary-size", "9"], "tokenizer.vocabularySize: 9 is too small"],
  ])("refuses %j", async (flags, message) => {
    const failed = heddle(["train", english, ...flags, "--output", join(folder, "refused.json")]);
    await expect(failed).rejects.toThrow(HeddleError);
    await expect(failed).rejects.toThrow(message);
    await expect(readFile(join(folder, "refused.json"))).rejects.toThrow("ENOENT");
  });

  it("names the file and the line that is not UTF-8", async () => {
    const path = join(folder, "latin.txt");
    await writeFile(path, Buffer.from("ok\nM\xe4nner\n", "latin1"));
    await expect(heddle(["train", path])).rejects.toThrow(`${path}, line 2: not UTF-8`);
  });

  it("names the file that is not there", async () => {
    await expect(heddle(["train", join(folder, "none.txt")])).rejects.toThrow("none.txt: there is no such file");
  });
});

describe("encode and decode", () => {
  it.each([[[]], [["--ids"]], [["--json"]], [["--ids", "--json"]]])(
    "with %j give the lines back, empty ones too",
    async (flags) => {
      const input = `${["", ...text, "", " two  spaces "].join("\n")}\n`;
      const encoded = await heddle(["encode", "--tokenizer", saved, ...flags], input);
      expect(encoded.output.split("\n")).toHaveLength(input.split("\n").length);
      const decoded = await heddle(["decode", "--tokenizer", saved, ...flags], encoded.output);
      expect(decoded.output).toBe(input);
    },
  );

  it("encode shows tokens, ids, and the special tokens asked for", async () => {
    const run = async (...flags: string[]): Promise<string> =>
      (await heddle(["encode", "--tokenizer", saved, ...flags], "in a<s>\n")).output;
    expect(await run()).toBe("▁in ▁a <s>\n");
    expect(await run("--json", "--start", "--end")).toBe('["<s>","▁in","▁a","<s>","</s>"]\n');
    expect(await run("--ids")).toMatch(/^\d+ \d+ 2\n$/);
    expect(await run("--special-as-text")).not.toContain("<s>");
  });

  it.each([
    [[], "▁a nonsuch", '"nonsuch" is no token of the tokenizer; for ids give --ids'],
    [["--ids"], "1 370", '"370" is no id of the tokenizer (0 to 369)'],
    [["--ids"], "1  2", '"" is no id of the tokenizer'],
    [["--ids", "--json"], "[null]", "null is no id of the tokenizer"],
    [["--json"], "▁a", "not JSON"],
    [["--json"], '{"a":1}', "a list of tokens was expected"],
  ])("decode %j refuses %j with the line", async (flags, bad, message) => {
    const failed = heddle(
      ["decode", "--tokenizer", saved, ...flags],
      `${flags.includes("--json") ? "[]" : ""}\n${bad}\n`,
    );
    await expect(failed).rejects.toThrow(HeddleError);
    await expect(failed).rejects.toThrow(`standard input, line 2: ${message}`);
  });

  it("name the tokenizer that cannot be read", async () => {
    await expect(heddle(["encode", "--tokenizer", join(folder, "none.json")])).rejects.toThrow(
      "none.json: cannot be read",
    );
    await expect(heddle(["decode", "--tokenizer", english])).rejects.toThrow("train.en: is not whole JSON");
  });
});
