// heddle neighbours on a run of one's own making: whose embedding, which words, and what is said of a word that is none.
import { rm } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { call, tinyRun, tokenizer, type TinyRun } from "./tiny-run.ts";

const id = (word: string): number => tokenizer.idOf(`▁${word}`)!;
let made: TinyRun;

beforeAll(async () => {
  made = await tinyRun((weights) => {
    // Blue is almost red for the source, one is for the target; the end of a sequence is red itself and is never named.
    const place = (side: string, word: number, like: number): void => {
      const { data } = weights.get(`${side}.embedding.table`)!;
      for (let i = 0; i < 8; i++) data[word * 8 + i] = 2 * data[like * 8 + i]! + (i === 0 ? 0.01 : 0);
    };
    place("source", id("blue"), id("red"));
    place("target", id("one"), id("red"));
    place("source", tokenizer.special.end, id("red"));
  });
});
afterAll(() => rm(made.folder, { recursive: true }));

const neighbours = (...words: string[]): ReturnType<typeof call> =>
  call("neighbours", "--model", made.folder, "--checkpoint", made.checkpoint, ...words);

test.each([
  ["source", "▁blue"],
  ["target", "▁one"],
])("red's nearest in the %s is %s", async (side, nearest) => {
  const { code, out } = await neighbours("red", "--side", side, "--count", "2", "--json");
  expect(code).toBe(0);
  const [found] = JSON.parse(out) as { token: string; neighbours: { token: string; similarity: number }[] }[];
  expect(found!.token).toBe("▁red");
  expect(found!.neighbours).toHaveLength(2);
  expect(found!.neighbours[0]!.token).toBe(nearest);
  expect(found!.neighbours[0]!.similarity).toBeGreaterThan(0.99);
});

test("several words make a table each", async () => {
  const { out } = await neighbours("red", "▁two", "--count", "1");
  expect(out).toMatch(/^near ▁red +cosine\n.*\n▁blue +\d\.\d{3}\n\nnear ▁two +cosine\n/);
});

test("a word that is no entry is an error with what the tokenizer makes of it", async () => {
  const { code, error } = await neighbours("purple");
  expect(code).toBe(2);
  expect(error).toBe(
    'heddle: "purple": is no entry of the source vocabulary: the tokenizer makes <unk> of it. Ask for another word, or for the other --side.\n',
  );
});
