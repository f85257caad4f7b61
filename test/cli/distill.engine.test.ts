// heddle distill on a run of one layer: the file it writes, and what goes on after a kill.
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jsonLines } from "../../src/data/index.node.ts";
import { call, tinyRun, type TinyRun } from "./tiny-run.ts";

const lines = ["red blue", "street", "", "one two one"];
let tiny: TinyRun;

beforeAll(async () => {
  tiny = await tinyRun();
});
afterAll(() => rm(tiny.folder, { recursive: true }));

function distil(output: string, ...flags: string[]): ReturnType<typeof call> {
  const { folder, checkpoint } = tiny;
  const model = ["--model", folder, "--checkpoint", checkpoint, "--max-length", "6"];
  return call("distill", ...model, "--output", output, ...flags);
}

test("lines of a file come out with translations, and a killed run goes on after the last whole line", async () => {
  const [data, output] = [join(tiny.folder, "lines.txt"), join(tiny.folder, "distilled.jsonl")];
  await writeFile(data, lines.map((line) => `${line}\n`).join(""));
  expect(await distil(output, "--data", data)).toMatchObject({
    code: 0,
    out: `${output}: 4 lines, 0 of them there before\n`,
  });
  const whole = await readFile(output, "utf8");
  const pairs = await (await jsonLines(output)).collect();
  expect(pairs.map(({ source }) => source)).toEqual(lines);
  expect(pairs[2]!.target).toBe("");

  await truncate(output, whole.indexOf("street") + 9);
  const resumed = await distil(output, "--data", data, "--json");
  expect(JSON.parse(resumed.out)).toEqual({ output, lines: 4, kept: 1 });
  expect(await readFile(output, "utf8")).toBe(whole);

  await writeFile(data, "blue\n");
  const { code, error } = await distil(output, "--data", data);
  expect([code, error]).toEqual([
    2,
    `heddle: ${output}, line 1: its source is not line 1 of the data. Name another file, or remove this one.\n`,
  ]);
  expect(await readFile(output, "utf8")).toBe(whole);
});

test("without --data it is the training pairs of the run itself", async () => {
  // The run's configuration names them relative to where it was made.
  const config = join(tiny.folder, "config.yaml");
  const text = await readFile(config, "utf8");
  await writeFile(config, text.replaceAll("train.", `${tiny.folder}/train.`));
  await writeFile(join(tiny.folder, "train.en"), "red\nblue\n");
  await writeFile(join(tiny.folder, "train.de"), "rot\nblau\n");
  const output = join(tiny.folder, "own.jsonl");
  expect(JSON.parse((await distil(output, "--json", "--beams", "2")).out)).toEqual({ output, lines: 2, kept: 0 });
  const pairs = await (await jsonLines(output)).collect();
  expect(pairs.map(({ source }) => source)).toEqual(["red", "blue"]);
});
