// What loadTokenizer says of a tokenizer.json that is not one of ours, and what the files say.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DataError, FormatError } from "../../src/base/index.ts";
import { BpeTokenizer, loadTokenizer, readTokenizer, saveTokenizer, WordTokenizer } from "../../src/text/index.node.ts";
import { kinds, lines } from "./sample-text.ts";

const tokenizer = BpeTokenizer.train(lines, { vocabularySize: 370 });

/** Changes a parsed file in ways that its type would rule out. */
type Change = (json: ReturnType<typeof JSON.parse>) => unknown;

describe("loadTokenizer refuses, by name,", () => {
  const cases: readonly (readonly [what: string, change: Change, message: string])[] = [
    ["another version", (json) => (json.version = "2.0"), 'version must be "1.0" (got "2.0")'],
    [
      "a normalizer it lacks",
      (json) => (json.normalizer = { type: "NFKC" }),
      'normalizer {"type":"NFKC"} is not implemented',
    ],
    ["one normalizer more", (json) => json.normalizer.normalizers.push({ type: "Lowercase" }), "normalizer {"],
    [
      "a pre-tokenizer it lacks",
      (json) => (json.pre_tokenizer = { type: "ByteLevel", add_prefix_space: false }),
      'pre_tokenizer {"type":"ByteLevel"',
    ],
    [
      "a decoder it lacks",
      (json) => (json.decoder = { type: "WordPiece" }),
      'decoder {"type":"WordPiece"} is not implemented',
    ],
    ["a decoder that does not undo the normalizer", (json) => json.decoder.decoders.pop(), "decoder {"],
    [
      "a post-processor",
      (json) => (json.post_processor = { type: "BertProcessing" }),
      'post_processor {"type":"BertProcessing"} is not implemented',
    ],
    ["truncation", (json) => (json.truncation = { max_length: 5 }), "truncation"],
    [
      "a model it lacks",
      (json) => (json.model = { type: "Unigram", vocab: [] }),
      'model {"type":"Unigram","vocab":[]} is not implemented',
    ],
    [
      "an option of the model",
      (json) => (json.model.end_of_word_suffix = "</w>"),
      'model.end_of_word_suffix "</w>" is not implemented (wanted null)',
    ],
    ["a dropout it would forget", (json) => (json.model.dropout = 0.1), "model.dropout 0.1 is not implemented"],
    ["an added token that strips", (json) => (json.added_tokens[0].lstrip = true), "added_tokens[0]"],
    [
      "an added token outside the vocabulary",
      (json) => json.added_tokens.push({ ...json.added_tokens[0], content: "<x>", id: 9999 }),
      'added_tokens[4]: "<x>" must stand in model.vocab with id 9999',
    ],
    ["a missing special token", (json) => json.added_tokens.pop(), "added_tokens: </s> is missing"],
    ["two tokens of one id", (json) => (json.model.vocab["▁"] = 0), "have the same id 0"],
    [
      "an id out of range",
      (json) => (json.model.vocab["▁"] = 1e6),
      'ids must be 0 to 369, each once ("▁" has 1000000)',
    ],
    ["a merge of no token", (json) => json.model.merges.push(["q", "zz"]), 'the merge of "q" and "zz" needs'],
    ["a merge of three", (json) => json.model.merges.push(["a", "b", "c"]), "must be two tokens"],
    ["no vocabulary", (json) => delete json.model.vocab, "model.vocab must be an object (got nothing)"],
    ["no model", (json) => delete json.model, "model must be an object (got nothing)"],
  ];

  it.each(cases)("%s", (_, change, message) => {
    const json: unknown = JSON.parse(JSON.stringify(tokenizer));
    change(json);
    const load = (): unknown => loadTokenizer(json, "runs/x/tokenizer.json");
    expect(load).toThrow(FormatError);
    expect(load).toThrow("runs/x/tokenizer.json: ");
    expect(load).toThrow(message);
  });

  it.each([[null], [3], [[]], ["text"]])("%j in place of an object", (json) => {
    expect(() => loadTokenizer(json)).toThrow("tokenizer.json: the file must be an object");
  });
});

it("merges in the older form, one string with a space, are read too", () => {
  const json = JSON.parse(JSON.stringify(tokenizer)) as { model: { merges: unknown[] } };
  json.model.merges = json.model.merges.map((merge) => (merge as string[]).join(" "));
  expect(JSON.stringify(loadTokenizer(json))).toBe(JSON.stringify(tokenizer));
});

it("a token named like a part of JavaScript's objects is kept", () => {
  const words = WordTokenizer.train(["__proto__ constructor"]);
  const glued = WordTokenizer.train(["x __proto__"], { splitPunctuation: false, specialTokens: ["__proto__"] });
  for (const one of [words, glued])
    expect(JSON.stringify(loadTokenizer(JSON.parse(JSON.stringify(one))))).toBe(JSON.stringify(one));
  expect(glued.idOf("__proto__")).toBe(4);
});

describe("files", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "heddle-text-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each(kinds)("%s: what was saved is read, and nothing else is left behind", async (_, saved) => {
    const path = join(folder, "tokenizer.json");
    await saveTokenizer(path, saved);
    expect(JSON.stringify(await readTokenizer(path))).toBe(JSON.stringify(saved));
    expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it("a file cut short anywhere is refused by its name", async () => {
    const whole = join(folder, "whole.json");
    await saveTokenizer(whole, tokenizer);
    const bytes = await readFile(whole);
    const path = join(folder, "cut.json");
    for (const share of [0, 0.1, 0.5, 0.9, 0.999]) {
      await writeFile(path, bytes.subarray(0, Math.floor(bytes.length * share)));
      await expect(readTokenizer(path)).rejects.toThrow(FormatError);
      await expect(readTokenizer(path)).rejects.toThrow(`${path}: is not whole JSON`);
    }
  });

  it("a file that is not UTF-8 is refused", async () => {
    const path = join(folder, "binary.json");
    await writeFile(path, Uint8Array.of(0x1f, 0x8b, 0xff));
    await expect(readTokenizer(path)).rejects.toThrow(FormatError);
  });

  it("a file that is not there is the user's mistake, with its name", async () => {
    const path = join(folder, "none.json");
    await expect(readTokenizer(path)).rejects.toThrow(DataError);
    await expect(readTokenizer(path)).rejects.toThrow(`${path}: cannot be read`);
    await expect(saveTokenizer(join(path, "below.json"), tokenizer)).rejects.toThrow("cannot be written");
  });
});
