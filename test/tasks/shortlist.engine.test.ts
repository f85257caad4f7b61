// A run's shortlist: learnt, kept in its folder, and used by everything that decodes.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { corpusOf } from "../../src/data/index.ts";
import { LstmTranslator } from "../../src/models/index.ts";
import { makeShortlist, openTranslation, type DecodingOptions, type Translated } from "../../src/tasks/index.node.ts";
import { Translation } from "../../src/tasks/index.ts";
import { noisy } from "../models/any-model.ts";
import { call, tinyRun, tokenizer, type TinyRun } from "../cli/tiny-run.ts";

const lines = ["red blue", "street", "", "one two one", "blue", "two red street", "one", "red red two"];
/** red is blue, one is two, and street itself. */
const corpus = corpusOf([
  ["red", "blue"],
  ["one", "two"],
  ["street", "street"],
  ["red street", "blue street"],
]);

let tiny: TinyRun;
let bare: TinyRun;
beforeAll(async () => {
  [tiny, bare] = [await tinyRun(), await tinyRun()];
  await makeShortlist(tiny.folder, { corpus, perToken: 1, common: 0 });
});
afterAll(async () => {
  for (const { folder } of [tiny, bare]) await rm(folder, { recursive: true });
});

const wanted: DecodingOptions = { maxLength: 6, beams: 1 };
const textsOf = (lists: readonly (readonly Translated[])[]): string[] => lists.map(([best]) => best!.text);

describe("decoding with a shortlist", () => {
  test("writes only what the source may become, and the same in every batch", async () => {
    await using translation = await openTranslation(tiny.folder, { decoding: { ...wanted, shortlist: "sentence" } });
    const together = await translation.translate(lines);
    const may: Record<string, string[]> = {
      red: ["blue", "red"],
      one: ["two", "one"],
      street: ["street"],
      blue: ["blue"],
      two: ["two"],
    };
    for (const [i, text] of together.entries()) {
      const allowed = lines[i]!.split(" ").flatMap((word) => may[word] ?? []);
      expect(text.split(" ").filter((word) => word !== "" && word !== "<unk>" && !allowed.includes(word))).toEqual([]);
    }
    for (const options of [{ batchTokens: 4 }, { batching: "joining", batchTokens: 8 }] as const)
      expect(await translation.translate(lines, options)).toEqual(together);
  });

  test.each<[string, DecodingOptions]>([
    ["greedy search", { beams: 1 }],
    ["a beam", { beams: 3 }],
    ["a beam that lines join", { beams: 3, batching: "joining", batchTokens: 16 }],
    ["draws", { search: "sample", nbest: 2, seed: 4 }],
  ])("of the whole vocabulary changes nothing: %s", async (_, options) => {
    await makeShortlist(bare.folder, { corpus, common: tokenizer.vocabularySize });
    await using translation = await openTranslation(bare.folder, { decoding: { maxLength: 6, ...options } });
    const plain = textsOf(await translation.generate(lines));
    for (const shortlist of ["sentence", "batch"] as const)
      expect(textsOf(await translation.generate(lines, { shortlist }))).toEqual(plain);
  });

  test("lists phrases, prefixes and allowed outputs too, and works in streams", async () => {
    await using translation = await openTranslation(tiny.folder, { decoding: { ...wanted, shortlist: "sentence" } });
    const [[phrased], [begun]] = (await translation.generate(
      [
        { text: "red", phrases: ["street"] },
        { text: "red", prefix: "two one" },
      ],
      { beams: 8 },
    )) as [Translated[], Translated[]];
    expect(phrased!.text).toMatch(/street/);
    expect(begun!.text).toMatch(/^two one/);
    expect(await translation.translate("red", { oneOf: ["street two"] })).toBe("street two");
    let streamed = "";
    for await (const piece of translation.stream("red two")) streamed += piece;
    expect(streamed).toBe(await translation.translate("red two"));
  });

  test("is had in 8 bits, with an ensemble and by models without attention", async () => {
    const shortlist = "sentence";
    await using rounded = await openTranslation(tiny.folder, { precision: "int8", decoding: { ...wanted, shortlist } });
    expect(await rounded.translate(lines)).toHaveLength(lines.length);
    await using twice = await openTranslation(tiny.folder, { ensemble: [tiny.checkpoint], decoding: wanted });
    await using once = await openTranslation(tiny.folder, { decoding: wanted });
    expect(await twice.translate(lines, { shortlist })).toEqual(await once.translate(lines, { shortlist }));
    const model = new LstmTranslator({ vocabularySize: tokenizer.vocabularySize, dModel: 6, dHidden: 8 });
    await using other = new Translation({ model, tokenizer, weights: noisy(model), decoding: wanted });
    await expect(other.translate("red", { shortlist })).rejects.toThrow(/shortlist: there is none/);
  });
});

describe("heddle shortlist", () => {
  test("learns from a recipe's pairs, says what it covers, and refuses a list of other tokenizers", async () => {
    const run = await tinyRun();
    const { folder } = run;
    try {
      const asked = ["evaluate", "--model", folder, "--max-length", "6", "--shortlist", "batch"];
      const files = ["--source", join(folder, "a.txt"), "--reference", join(folder, "b.txt")];
      await writeFile(join(folder, "a.txt"), "red\nred street\n");
      await writeFile(join(folder, "b.txt"), "blue\nblue street\n");
      const { code, error } = await call(...asked, ...files);
      expect({ code, error }).toEqual({ code: 2, error: expect.stringMatching(/has none.*heddle shortlist --model/) });
      const recipe = join(folder, "pairs.yaml");
      await writeFile(recipe, JSON.stringify({ data: { train: { source: "a.txt", target: "b.txt" } } }));
      const { out } = await call("shortlist", "--model", folder, "--data", recipe, "--per-token", "2", "--json");
      expect(JSON.parse(out)).toMatchObject({ pairs: 2, coverage: 1, path: join(folder, "shortlist.safetensors") });
      expect((await call(...asked, ...files)).out).toMatch(/BLEU/);
      await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer.toJSON()).replace("▁street", "▁straet"));
      expect((await call(...asked, ...files)).error).toMatch(/was learnt for other vocabularies/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
