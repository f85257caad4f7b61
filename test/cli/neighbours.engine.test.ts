// heddle neighbours on a run of one's own making: whose embedding, which words, and what is said of a word that is none.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { run } from "../../src/cli/program.ts";
import { writeSafetensors } from "../../src/formats/index.node.ts";
import { Transformer } from "../../src/models/index.ts";
import { initialize, namedParameters } from "../../src/nn/index.ts";
import { saveTokenizer, WordTokenizer } from "../../src/text/index.node.ts";

let folder = "";
const tokenizer = WordTokenizer.train(["red blue street one two"]);
const id = (word: string): number => tokenizer.idOf(`▁${word}`)!;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-neighbours-"));
  const config = {
    model: { dModel: 8, heads: 2, layers: 1, dFeedForward: 8, tying: "two-way" },
    tokenizer: { type: "word", joint: true },
    data: { train: { source: "train.en", target: "train.de" } },
  };
  await writeFile(join(folder, "config.yaml"), JSON.stringify(config));
  await saveTokenizer(join(folder, "tokenizer.json"), tokenizer);
  const size = tokenizer.vocabularySize;
  const model = new Transformer({
    vocabularySize: size,
    dModel: 8,
    heads: 2,
    layers: 1,
    dFeedForward: 8,
    tying: "two-way",
  });
  const weights = initialize(namedParameters(model), 1);
  // Blue is almost red for the source, one is for the target; the end of a sequence is red itself and is never named.
  const place = (side: string, word: number, like: number): void => {
    const { data } = weights.get(`${side}.embedding.table`)!;
    for (let i = 0; i < 8; i++) data[word * 8 + i] = 2 * data[like * 8 + i]! + (i === 0 ? 0.01 : 0);
  };
  place("source", id("blue"), id("red"));
  place("target", id("one"), id("red"));
  place("source", tokenizer.special.end, id("red"));
  await writeSafetensors(join(folder, "model.safetensors"), weights);
});
afterAll(() => rm(folder, { recursive: true }));

async function call(...words: string[]): Promise<{ code: number; out: string; error: string }> {
  let [out, error] = ["", ""];
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  try {
    const code = await run(
      ["neighbours", "--model", folder, "--checkpoint", join(folder, "model.safetensors"), ...words],
      {
        writeError: (text) => void (error += text),
      },
    );
    return { code, out, error };
  } finally {
    spy.mockRestore();
  }
}

test.each([
  ["source", "▁blue"],
  ["target", "▁one"],
])("red's nearest in the %s is %s", async (side, nearest) => {
  const { code, out } = await call("red", "--side", side, "--count", "2", "--json");
  expect(code).toBe(0);
  const [found] = JSON.parse(out) as { token: string; neighbours: { token: string; similarity: number }[] }[];
  expect(found!.token).toBe("▁red");
  expect(found!.neighbours).toHaveLength(2);
  expect(found!.neighbours[0]!.token).toBe(nearest);
  expect(found!.neighbours[0]!.similarity).toBeGreaterThan(0.99);
});

test("several words make a table each", async () => {
  const { out } = await call("red", "▁two", "--count", "1");
  expect(out).toMatch(/^near ▁red +cosine\n.*\n▁blue +\d\.\d{3}\n\nnear ▁two +cosine\n/);
});

test("a word that is no entry is an error with what the tokenizer makes of it", async () => {
  const { code, error } = await call("purple");
  expect(code).toBe(2);
  expect(error).toBe(
    'heddle: "purple": is no entry of the source vocabulary: the tokenizer makes <unk> of it. Ask for another word, or for the other --side.\n',
  );
});
