// heddle evaluate on a run that translates: scores, and how the outputs ended.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTranslation } from "../../src/tasks/index.node.ts";
import { call, tinyRun, type TinyRun } from "./tiny-run.ts";

const sources = ["red blue", "street", "", "one two one"];
const references = ["blue red", "street one two", "", "one"];
let tiny: TinyRun;
let data: string[];
beforeAll(async () => {
  tiny = await tinyRun();
  const [source, reference] = [join(tiny.folder, "test.en"), join(tiny.folder, "test.de")];
  await writeFile(source, sources.map((line) => `${line}\n`).join(""));
  await writeFile(reference, references.map((line) => `${line}\n`).join(""));
  data = ["--model", tiny.folder, "--checkpoint", tiny.checkpoint, "--source", source, "--reference", reference];
});
afterAll(() => rm(tiny.folder, { recursive: true }));

interface Report {
  readonly lines: number;
  readonly metrics: readonly { readonly name: string }[];
  readonly finished: number;
  readonly lengthRatio: number;
}

test("says which share of the outputs came to its end, and how long they are beside the references", async () => {
  await using translation = await openTranslation(tiny.folder, { checkpoint: tiny.checkpoint });
  const tokens = (text: string): number => translation.target.encode(text).length + 1;
  const shares = new Set<number>();
  for (const flags of [
    ["--max-length", "3"],
    ["--max-length", "9", "--search", "sample", "--seed", "3"],
    ["--max-length", "2", "--min-length", "2"],
  ]) {
    const { code, out } = await call("evaluate", ...data, "--json", ...flags);
    expect(code).toBe(0);
    const report = JSON.parse(out) as Report;
    expect(Object.keys(report)).toEqual(["lines", "seconds", "metrics", "finished", "lengthRatio"]);
    const [maxLength, minLength] = [Number(flags[1]), flags[2] === "--min-length" ? 2 : 0];
    const drawn = flags.includes("sample") ? ({ search: "sample", seed: 3 } as const) : {};
    const found = (await translation.generate(sources, { maxLength, minLength, ...drawn })).map(([best]) => best!);
    const ended = found.filter(({ tokens: written }, i) => sources[i] === "" || written.at(-1) === "</s>");
    expect(report.finished).toBe(ended.length / 4);
    shares.add(report.finished);
    const ratios = found.map(({ text }, i) => tokens(text) / tokens(references[i]!));
    expect(report.lengthRatio).toBeCloseTo(ratios.reduce((a, b) => a + b, 0) / 4, 10);
  }
  expect(shares.size).toBeGreaterThan(1);
});

test("says the same in words", async () => {
  const { out } = await call("evaluate", ...data, "--max-length", "3");
  const lines = out.trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[2]).toMatch(/^finished = \d+\.\d\d %, length ratio = \d\.\d{3}$/);
});
