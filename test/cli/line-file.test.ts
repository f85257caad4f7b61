import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LineFile } from "../../src/cli/line-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-lines-"));
});
afterAll(() => rm(folder, { recursive: true }));

test.each([
  ["nothing", "", 0],
  ["whole lines", "one\nzwei ü\n\n", 3],
  [
    "a line cut in the middle of a character",
    Buffer.concat([Buffer.from("one\n"), Buffer.from("ü").subarray(0, 1)]),
    1,
  ],
  ["a first line that is not whole", "half", 0],
])("going on after %s keeps the whole lines and counts them", async (_, standing, lines) => {
  const path = join(folder, "standing.txt");
  await writeFile(path, standing);
  {
    await using file = await LineFile.open(path, { resume: true });
    expect(file.before).toBe(lines);
    await file.write("next é");
    await file.write("last");
  }
  const whole = Buffer.from(standing).toString().split("\n").slice(0, lines);
  expect(await readFile(path, "utf8")).toBe([...whole, "next é", "last", ""].join("\n"));
});

test("a file that is not there is begun, and without resume an old one is begun anew", async () => {
  const path = join(folder, "new.txt");
  {
    await using file = await LineFile.open(path, { resume: true });
    expect(file.before).toBe(0);
    await file.write("a");
  }
  await appendFile(path, "half");
  {
    await using file = await LineFile.open(path);
    await file.write("b");
  }
  expect(await readFile(path, "utf8")).toBe("b\n");
});

test("a long file is read in pieces", async () => {
  const path = join(folder, "long.txt");
  await writeFile(path, `${"x".repeat(700_000)}\n`.repeat(3) + "y".repeat(10));
  await using file = await LineFile.open(path, { resume: true });
  expect(file.before).toBe(3);
  expect((await readFile(path)).length).toBe(3 * 700_001);
});
