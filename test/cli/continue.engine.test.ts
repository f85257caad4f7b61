// heddle generate on a run of a language model, end to end but for standard input, which is a list of lines here.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { writeSafetensors } from "../../src/formats/index.node.ts";
import { LanguageModel } from "../../src/models/index.ts";
import { initialize, namedParameters } from "../../src/nn/index.ts";
import { saveTokenizer } from "../../src/text/index.node.ts";
import { call, tokenizer } from "./tiny-run.ts";

const sizes = { dModel: 8, heads: 2, layers: 1, dFeedForward: 8 } as const;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-run-"));
  const config = {
    task: "language-model",
    model: sizes,
    tokenizer: { type: "word" },
    data: { train: { files: "books.txt" } },
    decoding: { maxTokens: 6, temperature: 0.9 },
  };
  await writeFile(join(folder, "config.yaml"), JSON.stringify(config));
  await saveTokenizer(join(folder, "tokenizer.json"), tokenizer);
  const model = new LanguageModel({ ...sizes, vocabularySize: tokenizer.vocabularySize });
  await writeSafetensors(join(folder, "model.safetensors"), initialize(namedParameters(model), 1));
});
afterAll(() => rm(folder, { recursive: true }));

async function generate(...flags: string[]): Promise<{ code: number; out: string; error: string }> {
  const stdin = vi.spyOn(process, "stdin", "get");
  stdin.mockReturnValue(Readable.from([Buffer.from("red blue\none two\n")]) as never);
  try {
    const checkpoint = join(folder, "model.safetensors");
    return await call("generate", "--model", folder, "--checkpoint", checkpoint, ...flags);
  } finally {
    stdin.mockRestore();
  }
}

const linesOf = (out: string): string[] => out.split("\n").slice(0, -1);

describe("heddle generate on a language model", () => {
  test("puts each line in front of what follows it", async () => {
    const { code, out } = await generate();
    expect(code).toBe(0);
    expect(linesOf(out).map((line) => line.startsWith("red blue"))).toEqual([true, false]);
  });

  test("with --json says the n best as translations are said, their tokens too if asked", async () => {
    for (const search of [["--search", "beam"], ["--temperature", "0"], ["--search", "stochastic-beam"], []]) {
      const { out, error } = await generate("--json", "--token-scores", "--nbest", "3", "--max-length", "4", ...search);
      expect(error).toBe("");
      const [first] = linesOf(out).map((line) => JSON.parse(line));
      expect(first).toMatchObject({ prompt: "red blue", continuation: first.continuations[0].text });
      expect(first.continuations).toHaveLength(3);
      const { tokens, tokenLogProbabilities, logProbability, finished } = first.continuations[0];
      expect(tokens).toHaveLength(tokenLogProbabilities.length);
      expect(first).toMatchObject({ logProbability, finished });
    }
    const { out } = await generate("--json");
    expect(Object.keys(JSON.parse(linesOf(out)[0]!).continuations[0])).toEqual([
      "text",
      "score",
      "logProbability",
      "finished",
    ]);
  });

  test("gives one line an output with --nbest, with its score if asked", async () => {
    const { out } = await generate("--nbest", "2", "--scores");
    expect(linesOf(out)).toHaveLength(4);
    for (const line of linesOf(out)) expect(line).toMatch(/^-\d+\.\d{6}\t(red blue|one two)/);
  });

  test("heeds limits, bans and stop strings", async () => {
    const { out } = await generate(
      "--temperature",
      "0",
      "--avoid",
      "street",
      "--min-length",
      "6",
      "--block-ngram",
      "1",
    );
    expect(out).not.toMatch(/street/);
    for (const line of linesOf(out)) expect(new Set(line.split(" ")).size).toBe(line.split(" ").length);
  });

  test("draws within a beam, and keeps its dropout, by seed", async () => {
    const cold = ["--search", "beam", "--beams", "2", "--scores"];
    for (const flags of [
      [...cold, "--keep-dropout"],
      ["--search", "beam-sample", "--beams", "2", "--scores"],
    ]) {
      const [one, same, other] = [
        await generate(...flags, "--seed", "3"),
        await generate(...flags, "--seed", "3"),
        await generate(...flags, "--seed", "4"),
      ];
      expect(one.error).toBe("");
      expect(same.out).toBe(one.out);
      expect(other.out).not.toBe(one.out);
    }
    const plain = await generate(...cold, "--seed", "3");
    expect(plain.out).toBe((await generate(...cold, "--seed", "4", "--keep-dropout", "false")).out);
    expect(plain.out).not.toBe((await generate(...cold, "--seed", "3", "--keep-dropout")).out);
  });

  test.each([
    [["--coverage-penalty", "0.2"], /--coverage-penalty: has no effect on a run of task language-model/],
    [["--search", "beam-sample"], /beams: must be at least 2 with search beam-sample/],
    [["--mbr", "bleu"], /--mbr: has no effect on a run of task language-model/],
    [["--max-length-ratio", "2"], /--max-length-ratio: has no effect on a run of task language-model/],
    [["--token-scores"], /needs --json/],
    [["--temperature", "-1"], /--temperature: must be a number ≥ 0/],
    [["--temperature", "0", "--top-p", "0.5"], /topP: has no effect at temperature 0/],
    [["--beams", "4", "--top-k", "3"], /topK: has no effect with search beam/],
  ])("refuses %j", async (flags, message) => {
    const { code, error } = await generate(...flags);
    expect(code).not.toBe(0);
    expect(error).toMatch(message);
  });
});
