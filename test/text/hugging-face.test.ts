// tokenizer.json read by Hugging Face's own library (npm `tokenizers`, native): it must encode and decode as we do.
import { gunzipSync } from "node:zlib";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { Tokenizer as HuggingFace } from "tokenizers";
import { describe, expect, it } from "vitest";
import { BpeTokenizer, CharacterTokenizer, WordTokenizer, type Tokenizer } from "../../src/text/index.ts";
import { shared, sharedFile } from "../shared.ts";
import { anyText, awkward, kinds, lines } from "./sample-text.ts";

async function expectAgreement(ours: Tokenizer, theirs: HuggingFace, text: string): Promise<void> {
  const ids = ours.encode(text);
  // No post-processor: whether to add special tokens makes no difference.
  expect((await theirs.encode(text)).getIds(), JSON.stringify(text)).toEqual(ids);
  expect(await theirs.decode(ids, true), JSON.stringify(text)).toBe(ours.decode(ids));
  expect(await theirs.decode(ids, false), JSON.stringify(text)).toBe(ours.decode(ids, { keepSpecialTokens: true }));
}

describe.each(kinds)("%s", (_, ours) => {
  const theirs = HuggingFace.fromString(JSON.stringify(ours));

  it("has the same vocabulary there", () => {
    expect(theirs.getVocabSize(true)).toBe(ours.vocabularySize);
    for (let id = 0; id < ours.vocabularySize; id++) expect(theirs.idToToken(id)).toBe(ours.tokenOf(id));
  });

  it.each([
    ...awkward,
    ["special tokens", "<s>a</s> <unk> b<pad>"],
    ["tags, the longer first", "<de-AT>a <de> b|c"],
    ["an unpaired surrogate", "a\ud800"],
  ] as const)("agrees on %s", (_, text) => expectAgreement(ours, theirs, text));

  it("agrees on the lines it learnt from", async () => {
    for (const line of lines) await expectAgreement(ours, theirs, line);
  });

  it("agrees on any text", async () => {
    await fc.assert(
      fc.asyncProperty(anyText, (text) => expectAgreement(ours, theirs, text)),
      { numRuns: 300 },
    );
  });

  it("decodes any ids alike, bytes that are no UTF-8 included", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(ours.vocabularySize - 1), { maxLength: 30 }), async (ids) => {
        expect(await theirs.decode(ids, true)).toBe(ours.decode(ids));
      }),
      { numRuns: 300 },
    );
  });
});

describe.skipIf(!shared)("Multi30k [skipped: set HEDDLE_SHARED]", () => {
  const read = (path: string): string[] =>
    gunzipSync(readFileSync(sharedFile(`data/multi30k/${path}`)))
      .toString()
      .trimEnd()
      .split("\n");

  it.each([
    ["BPE", (text: string[]) => BpeTokenizer.train(text, { vocabularySize: 4000 })],
    [
      "BPE at spaces only",
      (text: string[]) => BpeTokenizer.train(text, { vocabularySize: 4000, splitPunctuation: false }),
    ],
    ["characters", (text: string[]) => CharacterTokenizer.train(text)],
    ["words", (text: string[]) => WordTokenizer.train(text, { vocabularySize: 4000 })],
  ])("%s: every validation line is encoded alike there, and comes back", async (name, train) => {
    const sides = ["en", "de"].map((language) => ({
      train: read(`raw/train.${language}.gz`).slice(0, 10_000),
      validation: read(`raw/val.${language}.gz`),
    }));
    const ours = train(sides.flatMap((side) => side.train));
    const theirs = HuggingFace.fromString(JSON.stringify(ours));
    const validation = sides.flatMap((side) => side.validation);
    const encodings = await theirs.encodeBatch(validation);
    expect(encodings.map((encoding) => encoding.getIds())).toEqual(validation.map((line) => ours.encode(line)));
    if (name.startsWith("BPE")) expect(validation.map((line) => ours.decode(ours.encode(line)))).toEqual(validation);
  });
});
