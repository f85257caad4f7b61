// Distilling into a file: order, going on where it was stopped, and refusing a file of something else.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jsonLines } from "../../src/data/index.node.ts";
import { distill, type Teacher } from "../../src/tasks/distillation.node.ts";

let folder: string;
const lines = ["one", "", 'two "and" a half', "drei ☃", "five"];
const sources = async function* (): AsyncGenerator<string> {
  yield* lines;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-distill-"));
});

afterAll(() => rm(folder, { recursive: true }));

/** Answers in capitals, and keeps what it was asked. */
class Capitals implements Teacher {
  readonly asked: string[] = [];

  async *generateEach(given: AsyncIterable<string>): AsyncGenerator<{ text: string }[]> {
    for await (const line of given) {
      this.asked.push(line);
      yield [{ text: line.toUpperCase() }];
    }
  }
}

const whole = lines.map((source) => `${JSON.stringify({ source, target: source.toUpperCase() })}\n`).join("");

test("each source stands with its translation, in order, and the corpus reader takes the file", async () => {
  const output = join(folder, "whole.jsonl");
  const done: number[] = [];
  const result = await distill({
    teacher: new Capitals(),
    sources,
    output,
    listener: (event) => void (event.type === "progress" && done.push(event.done)),
  });
  expect(result).toEqual({ lines: 5, kept: 0 });
  expect(done).toEqual([1, 2, 3, 4, 5]);
  expect(await readFile(output, "utf8")).toBe(whole);
  const pairs = await (await jsonLines(output)).collect();
  expect(pairs.map(({ source, target }) => [source, target])).toEqual(lines.map((line) => [line, line.toUpperCase()]));
});

test.each([
  ["after its last line", (text: string) => text.slice(0, text.indexOf("two") - 11), 2],
  ["after the last whole line", (text: string) => text.slice(0, text.indexOf("drei") + 9), 3],
  ["from nothing", () => "", 0],
  ["with nothing left to do", (text: string) => text, 5],
])("a file is gone on with %s", async (name, cut, kept) => {
  const output = join(folder, `${name.replaceAll(" ", "-")}.jsonl`);
  await writeFile(output, cut(whole));
  const teacher = new Capitals();
  expect(await distill({ teacher, sources, output })).toEqual({ lines: 5, kept });
  expect(await readFile(output, "utf8")).toBe(whole);
  expect(teacher.asked).toEqual(lines.slice(kept));
});

test("a file with other sources, or more of them, is refused and left alone", async () => {
  const output = join(folder, "other.jsonl");
  await writeFile(
    output,
    `${JSON.stringify({ source: "one", target: "ONE" })}\n{"source": "deux", "target": "DEUX"}\n`,
  );
  await expect(distill({ teacher: new Capitals(), sources, output })).rejects.toThrow(
    `${output}, line 2: its source is not line 2 of the data. Name another file, or remove this one.`,
  );
  const longer = join(folder, "longer.jsonl");
  await writeFile(longer, `${whole}${whole}`);
  await expect(distill({ teacher: new Capitals(), sources, output: longer })).rejects.toThrow(
    "its source is not line 6 of the data, which has fewer",
  );
  expect(await readFile(longer, "utf8")).toBe(`${whole}${whole}`);
});

test("a stopped distillation leaves whole lines", async () => {
  const output = join(folder, "stopped.jsonl");
  const stop = new AbortController();
  const listener = (event: { type: string; done?: number }): void => void (event.done === 2 && stop.abort());
  await expect(distill({ teacher: new Capitals(), sources, output, signal: stop.signal, listener })).rejects.toThrow(
    "This operation was aborted",
  );
  expect((await readFile(output, "utf8")).split("\n")).toHaveLength(3);
  expect(await distill({ teacher: new Capitals(), sources, output })).toEqual({ lines: 5, kept: 2 });
  expect(await readFile(output, "utf8")).toBe(whole);
});
