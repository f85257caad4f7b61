// Distilling: order, going on where it was stopped, and refusing what was written from other sources.
import { expect, test } from "vitest";
import { distill, type DistillOptions, type Teacher } from "../../src/tasks/index.ts";

const lines = ["one", "", 'two "and" a half', "drei ☃", "five"];
const sources = async function* (): AsyncGenerator<string> {
  yield* lines;
};
const whole = lines.map((source) => JSON.stringify({ source, target: source.toUpperCase() }));

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

async function distilled(written: readonly string[], options: Partial<DistillOptions> = {}) {
  const file = [...written];
  const teacher = new Capitals();
  const result = distill({
    teacher,
    sources,
    written: [...written],
    write: async (line) => void file.push(line),
    name: "distilled.jsonl",
    ...options,
  });
  return { result: await result.catch((error: unknown) => String(error)), file, asked: teacher.asked };
}

test("each source stands with its translation, in order, and every line is announced", async () => {
  const done: number[] = [];
  const { result, file } = await distilled([], {
    listener: (event) => void (event.type === "progress" && done.push(event.done)),
  });
  expect(result).toEqual({ lines: 5, kept: 0 });
  expect(file).toEqual(whole);
  expect(done).toEqual([1, 2, 3, 4, 5]);
});

test.each([0, 1, 3, 5])("what was written is gone on with after line %i; none is asked again", async (kept) => {
  const { result, file, asked } = await distilled(whole.slice(0, kept));
  expect(result).toEqual({ lines: 5, kept });
  expect(file).toEqual(whole);
  expect(asked).toEqual(lines.slice(kept));
});

test.each([
  [
    [whole[0]!, '{"source": "deux", "target": "DEUX"}'],
    "line 2: its source is not line 2 of the data. Name another file",
  ],
  [["one"], "line 1: its source is not line 1 of the data."],
  [[...whole, ...whole], "line 6: its source is not line 6 of the data, which has fewer."],
])("lines of other sources are refused: %j", async (written, message) => {
  const { result, file } = await distilled(written);
  expect(result).toContain(message);
  expect(file).toEqual(written);
});

test("once stopped, it ends after the line under way", async () => {
  const stop = new AbortController();
  const { result, file } = await distilled([], {
    signal: stop.signal,
    listener: (event) => void (event.type === "progress" && event.done === 2 && stop.abort()),
  });
  expect(result).toContain("distilled.jsonl: stopped after line 2");
  expect(file).toEqual(whole.slice(0, 2));
});
