// heddle generate --batching joining: the same lines out, by whatever search it can be had with.
import { rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { call, tinyRun, type TinyRun } from "./tiny-run.ts";

const lines = ["red blue", "street", "", "one two one", "blue", "two red street", "", "one"];
let tiny: TinyRun;
beforeAll(async () => {
  tiny = await tinyRun();
});
afterAll(() => rm(tiny.folder, { recursive: true }));

async function generate(...flags: string[]): Promise<{ code: number; out: string; error: string }> {
  const stdin = vi.spyOn(process, "stdin", "get");
  // What is read of standard input is its bytes alone.
  stdin.mockReturnValue(Readable.from([Buffer.from(lines.map((line) => `${line}\n`).join(""))]) as never);
  try {
    const { folder, checkpoint } = tiny;
    return await call("generate", "--model", folder, "--checkpoint", checkpoint, "--max-length", "6", ...flags);
  } finally {
    stdin.mockRestore();
  }
}

test.each([
  ["greedy search", ["--beams", "1"]],
  ["beams", ["--beams", "3", "--nbest", "2", "--json"]],
  ["draws", ["--search", "sample", "--seed", "4", "--temperature", "2"]],
])("lines that join give what sorted lines give, by %s", async (_, flags) => {
  const textsOf = (out: string): string => out.replaceAll(/"(score|logProbability)":[^,]*,/g, "");
  const sorted = await generate(...flags);
  const joined = await generate(...flags, "--batching", "joining", "--batch-tokens", "8");
  expect(joined.code).toBe(0);
  expect(textsOf(joined.out)).toBe(textsOf(sorted.out));
});

test("what lines cannot join with is refused by name", async () => {
  const { code, error } = await generate("--batching", "joining", "--mbr", "chrf");
  expect(code).not.toBe(0);
  expect(error).toMatch(/batching.*cannot be joining with mbr/);
});
