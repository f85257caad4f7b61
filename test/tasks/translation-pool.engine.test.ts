// Replicas in worker threads against one copy in this thread. Workers run JavaScript, so the pool is compiled first.
import { execFile } from "node:child_process";
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTranslation, type DecodingOptions, type OpenTranslationPoolOptions } from "../../src/tasks/index.node.ts";
import type { TranslationPool } from "../../src/tasks/translation-pool.node.ts";
import { call, tinyRun, type TinyRun } from "../cli/tiny-run.ts";
import { compileChild } from "../train/compiled-child.ts";

const words = ["red", "blue", "street", "one", "two"];
/** Sentences of up to 9 words, some empty, the same each time. */
const lines = Array.from({ length: 300 }, (_, i) =>
  Array.from({ length: (i * 7) % 10 }, (__, j) => words[(i * i + 3 * j + i * j) % words.length]!).join(" "),
);

let tiny: TinyRun;
let other: TinyRun;
let folder: string;
let main: string;
let openTranslationPool: (directory: string, options?: OpenTranslationPoolOptions) => Promise<TranslationPool>;
beforeAll(async () => {
  tiny = await tinyRun();
  other = await tinyRun((weights) => {
    for (const { data } of weights.values()) for (let i = 0; i < data.length; i++) data[i]! += 0.3 * Math.sin(i);
  });
  const compiled = await compileChild(resolve("src/cli/main.ts"), [resolve("src/tasks/translation-replica.node.ts")]);
  folder = compiled.folder;
  main = compiled.script;
  const pool = pathToFileURL(join(folder, "src/tasks/translation-pool.node.js")).href;
  ({ openTranslationPool } = await import(/* @vite-ignore */ pool));
});
afterAll(async () => {
  for (const path of [tiny.folder, other.folder, folder]) await rm(path, { recursive: true });
});

const wanted = { maxLength: 6 };
/** Outputs of the plain translation and of two replicas. */
async function both(
  options: OpenTranslationPoolOptions,
  decoding: DecodingOptions = {},
): Promise<[plain: { text: string; score: number }[][], shared: { text: string; score: number }[][]]> {
  const opened = { checkpoint: tiny.checkpoint, ...options, decoding: wanted };
  await using plain = await openTranslation(tiny.folder, opened);
  await using pool = await openTranslationPool(tiny.folder, { ...opened, replicas: 2 });
  return [await plain.generate(lines, decoding), await pool.generate(lines, decoding)];
}

async function* each<T>(items: readonly T[], failAt = Infinity): AsyncGenerator<T> {
  for (const [i, item] of items.entries()) {
    if (i === failAt) throw new Error("the input broke");
    yield item;
  }
}

describe("replicas of a translation", () => {
  test.each<[string, () => OpenTranslationPoolOptions, DecodingOptions]>([
    ["greedy search", () => ({}), { beams: 1 }],
    ["a beam of five", () => ({}), { beams: 5, nbest: 3 }],
    ["draws", () => ({}), { search: "sample", temperature: 2, seed: 5, nbest: 2 }],
    ["an ensemble", () => ({ ensemble: [other.folder, other.checkpoint] }), { beams: 2 }],
  ])("write what one copy writes: %s", async (_, options, decoding) => {
    const [plain, shared] = await both(options(), decoding);
    expect(shared.map((list) => list.map(({ text }) => text))).toEqual(
      plain.map((list) => list.map(({ text }) => text)),
    );
    for (const [i, list] of shared.entries())
      for (const [j, { score }] of list.entries()) expect(Math.abs(score - plain[i]![j]!.score)).toBeLessThan(1e-5);
  });

  test("with 8 bits every line has its output", async () => {
    const [, shared] = await both({ precision: "int8" }, { beams: 1 });
    expect(shared).toHaveLength(lines.length);
    expect(shared.every((list, i) => (list[0]!.text === "") >= (lines[i] === ""))).toBe(true);
  });

  test("a stream of lines comes back in order, windows and all, and its draws do not depend on where it is begun", async () => {
    const many = Array.from({ length: 2500 }, (_, i) => lines[(i * 13) % lines.length]!);
    const options: DecodingOptions = { search: "sample", seed: 3, temperature: 2 };
    await using plain = await openTranslation(tiny.folder, { decoding: wanted });
    await using pool = await openTranslationPool(tiny.folder, { decoding: wanted, replicas: 2 });
    const expected: string[] = [];
    for await (const [best] of plain.generateEach(many, options)) expected.push(best!.text);
    for (const firstLine of [0, 1100]) {
      const texts: string[] = [];
      for await (const [best] of pool.generateEach(each(many.slice(firstLine)), options, { firstLine }))
        texts.push(best!.text);
      expect(texts).toEqual(expected.slice(firstLine));
    }
  });

  test("leaving the loop, a raised signal or a broken input ends it, and the replicas can be asked again", async () => {
    await using pool = await openTranslationPool(tiny.folder, { decoding: wanted, replicas: 2 });
    const many = Array.from({ length: 4000 }, (_, i) => lines[i % lines.length]!);
    for await (const _ of pool.generateEach(many)) break;
    const stop = new AbortController();
    const raised = (async () => {
      for await (const _ of pool.generateEach(many, { signal: stop.signal })) stop.abort();
    })();
    await expect(raised).rejects.toMatchObject({ name: "AbortError" });
    const broken = (async () => {
      for await (const _ of pool.generateEach(each(many, 1500)));
    })();
    await expect(broken).rejects.toThrow("the input broke");
    expect(await pool.translate(lines.slice(0, 3))).toHaveLength(3);
  });

  test("what a replica refuses or warns of is said in this thread", async () => {
    const warnings: string[] = [];
    await using pool = await openTranslationPool(tiny.folder, {
      replicas: 2,
      decoding: wanted,
      listener: (event) => void (event.type === "log" && warnings.push(event.message)),
    });
    await expect(pool.generate(lines, { beams: 2, nbest: 3 })).rejects.toMatchObject({
      name: "ConfigError",
      message: expect.stringMatching(/^nbest: must not exceed beams/),
    });
    await expect(pool.generate(lines, { processors: [{ apply: () => {} } as never] })).rejects.toThrow(/processors/);
    await pool.translate(["red", new Array<string>(1100).fill("red").join(" ")]);
    expect(warnings).toEqual(["line 2: 1101 tokens, of which the first 1023 are translated"]);
    for (const replicas of [0, 1.5])
      await expect(openTranslationPool(tiny.folder, { replicas })).rejects.toThrow(/replicas: must be a whole number/);
  });

  test("scores, streams and attention are had beside; weights stay as they were opened", async () => {
    await using plain = await openTranslation(tiny.folder, { decoding: wanted });
    await using pool = await openTranslationPool(tiny.folder, { decoding: wanted, replicas: 2 });
    expect(await pool.score(["red"], ["blue"])).toEqual(await plain.score(["red"], ["blue"]));
    expect(await pool.align("red two", "blue")).toEqual(await plain.align("red two", "blue"));
    let streamed = "";
    for await (const piece of pool.stream("red blue")) streamed += piece;
    expect(streamed).toBe(await pool.translate("red blue", { beams: 1 }));
    await expect(pool.setWeights(tiny.weights)).rejects.toThrow(/openTranslationPool/);
    // Its workers ended, it starts others when it is asked again.
    await pool.dispose();
    expect(await pool.translate("red blue", { beams: 1 })).toBe(streamed);
  });
});

describe("--replicas", () => {
  const run = async (input: string, ...flags: string[]): Promise<{ stdout: string; code: number; stderr: string }> => {
    const child = promisify(execFile)(process.execPath, [main, ...flags], { timeout: 50_000 });
    child.child.stdin!.end(input);
    return child.then(
      ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
      (error: { stdout: string; stderr: string; code: number }) => error,
    );
  };
  const text = lines.map((line) => `${line}\n`).join("");

  test("heddle generate writes the same with them, goes on with an output, and says what is wrong", async () => {
    const flags = ["generate", "--model", tiny.folder, "--max-length", "6"];
    await using plain = await openTranslation(tiny.folder, { decoding: wanted });
    const expected = (await plain.translate(lines)).map((line) => `${line}\n`).join("");
    expect(await run(text, ...flags, "--replicas", "2")).toMatchObject({ stdout: expected, code: 0 });
    const output = join(tiny.folder, "shared.txt");
    await writeFile(output, expected);
    await truncate(output, Math.floor(expected.length / 2));
    expect((await run(text, ...flags, "--replicas", "2", "--output", output, "--resume-output")).code).toBe(0);
    expect(await readFile(output, "utf8")).toBe(expected);
    const refused = await run(text, ...flags, "--replicas", "2", "--beams", "2", "--nbest", "3");
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/^heddle: nbest: must not exceed beams/) });
  });

  test("heddle evaluate and heddle distill find the same with them", async () => {
    const [source, output] = [join(tiny.folder, "source.txt"), join(tiny.folder, "distilled.jsonl")];
    await writeFile(source, text);
    const common = ["--model", tiny.folder, "--max-length", "6"];
    const evaluate = ["evaluate", ...common, "--source", source, "--reference", source];
    const { out: figures } = await call(...evaluate);
    expect(figures).toMatch(/BLEU/);
    expect((await run("", ...evaluate, "--replicas", "2")).stdout).toBe(figures);
    const distill = ["distill", ...common, "--data", source, "--output", output];
    await call(...distill);
    const distilled = await readFile(output, "utf8");
    await rm(output);
    await run("", ...distill, "--replicas", "2");
    expect(await readFile(output, "utf8")).toBe(distilled);
  });
});
