// heddle generate on a run that translates, end to end but for standard input, which is a list of lines here.
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { call, tinyRun, type TinyRun } from "./tiny-run.ts";

const lines = ["red blue", "street", "", "one two one", "blue", "two red street"];
let tiny: TinyRun;
let other: TinyRun;
beforeAll(async () => {
  tiny = await tinyRun();
  other = await tinyRun((weights) => {
    for (const { data } of weights.values()) for (let i = 0; i < data.length; i++) data[i]! += 0.3 * Math.sin(i);
  });
});
afterAll(async () => {
  for (const { folder } of [tiny, other]) await rm(folder, { recursive: true });
});

async function generate(
  input: readonly string[],
  ...flags: string[]
): Promise<{ code: number; out: string; error: string }> {
  const stdin = vi.spyOn(process, "stdin", "get");
  // What is read of standard input is its bytes alone.
  stdin.mockReturnValue(Readable.from([Buffer.from(input.map((line) => `${line}\n`).join(""))]) as never);
  try {
    const { folder, checkpoint } = tiny;
    return await call("generate", "--model", folder, "--checkpoint", checkpoint, "--max-length", "6", ...flags);
  } finally {
    stdin.mockRestore();
  }
}

const linesOf = (out: string): string[] => out.split("\n").slice(0, -1);

describe("heddle generate", () => {
  test("gives a line for every line, an empty one for an empty one", async () => {
    const { code, out } = await generate(lines);
    expect(code).toBe(0);
    expect(linesOf(out)).toHaveLength(lines.length);
    expect(linesOf(out)[2]).toBe("");
  });

  test("killed in the middle of a line and run again writes what an uninterrupted run writes, drawn or not", async () => {
    for (const search of [[], ["--search", "sample", "--seed", "5", "--temperature", "2"]]) {
      const whole = linesOf((await generate(lines, ...search)).out);
      const output = join(tiny.folder, "out.txt");
      await generate(lines, ...search, "--output", output);
      expect(linesOf(await readFile(output, "utf8"))).toEqual(whole);
      for (const cut of [0, 3, (await readFile(output)).length - 2]) {
        await truncate(output, cut);
        const { out, code } = await generate(lines, ...search, "--output", output, "--resume-output");
        expect({ out, code }).toEqual({ out: "", code: 0 });
        expect(linesOf(await readFile(output, "utf8"))).toEqual(whole);
      }
    }
  });

  test("refuses to go on with an output of more lines than there are, or where lines are not one for one", async () => {
    const output = join(tiny.folder, "long.txt");
    await writeFile(output, "x\n".repeat(9));
    const long = await generate(lines, "--output", output, "--resume-output");
    expect(long.code).toBe(2);
    expect(long.error).toMatch(/the output has 3 lines more than the input/);
    const several = await generate(lines, "--output", output, "--resume-output", "--nbest", "2");
    expect(several.error).toMatch(/needs --json/);
    expect((await generate(lines, "--resume-output")).error).toMatch(/needs --output/);
  });

  test("with --json says scores and, asked for, tokens; --nbest beyond the beams raises them", async () => {
    const { out } = await generate(lines, "--json", "--token-scores", "--nbest", "7");
    const [first] = linesOf(out).map((line) => JSON.parse(line));
    expect(first.source).toBe("red blue");
    expect(first.translations).toHaveLength(7);
    const { tokens, tokenLogProbabilities, logProbability } = first.translations[0];
    for (const one of first.translations) expect(one.finished).toBe(one.tokens.at(-1) === "</s>");
    expect(tokens).toHaveLength(tokenLogProbabilities.length);
    const grouped = await generate(lines, "--nbest", "7", "--groups", "2", "--diversity-penalty", "1");
    expect(linesOf(grouped.out)).toHaveLength((lines.length - 1) * 7 + 1);
    expect(tokenLogProbabilities.reduce((a: number, b: number) => a + b, 0)).toBeCloseTo(logProbability, 5);
  });

  test("reads JSON lines with phrases and prefixes of their own, and says which line is wrong", async () => {
    const given = ['{"text":"red blue","phrases":["street"]}', '{"text":"one","prefix":"blue two"}'];
    const { out } = await generate(given, "--json-input", "--phrases", "red", "--beams", "8");
    const [first, second] = linesOf(out);
    expect(first).toMatch(/red/);
    expect(first).toMatch(/street/);
    expect(second).toMatch(/^blue two/);
    for (const [wrong, problem] of [
      ["red", /line 2: no JSON/],
      ['{"txt":"red"}', /line 2: no text/],
      ['{"text":"red","phrase":[]}', /line 2: unknown key phrase/],
      ['{"text":3}', /line 2: text and prefix must be texts/],
    ] as const) {
      const { code, error } = await generate([given[0]!, wrong], "--json-input");
      expect(code).toBe(2);
      expect(error).toMatch(problem);
    }
  });

  test("scores targets as it scores what it writes itself", async () => {
    const written = linesOf((await generate(["red blue", "street one"], "--json")).out).map(
      (line) => JSON.parse(line).translations[0],
    );
    const targets = join(tiny.folder, "targets.txt");
    await writeFile(targets, "red two\nblue\n");
    const { out } = await generate(["red blue", "street one"], "--score-targets", targets);
    expect(linesOf(out)).toHaveLength(2);
    for (const line of linesOf(out)) expect(Number(line)).toBeLessThan(0);
    const { out: detailed } = await generate(["red blue", "street one"], "--score-targets", targets, "--json");
    const [first] = linesOf(detailed).map((line) => JSON.parse(line));
    expect(first).toMatchObject({ source: "red blue", text: "red two", tokens: ["▁red", "▁two", "</s>"] });
    expect(written[0].logProbability).toBeLessThan(0);
    const { error } = await generate(["red blue"], "--score-targets", targets);
    expect(error).toMatch(/another number of lines/);
  });

  test("takes the mean with an ensemble, of checkpoints as of runs", async () => {
    const scores = async (...flags: string[]): Promise<number[]> =>
      linesOf((await generate(lines, "--json", ...flags)).out).map((line) => JSON.parse(line).translations[0].score);
    const alone = await scores();
    const twice = await scores("--ensemble", tiny.checkpoint);
    for (const [i, score] of twice.entries()) expect(score).toBeCloseTo(alone[i]!, 4);
    expect(await scores("--ensemble", other.checkpoint)).not.toEqual(alone);
  });

  test("pairs places of source and output tokens by attention, of one head or the mean of all", async () => {
    for (const heads of [["--align"], ["--align", "0.1"]]) {
      const { out } = await generate(lines, "--json", ...heads);
      for (const line of linesOf(out)) {
        const { source, sourceTokens, translations } = JSON.parse(line);
        expect(sourceTokens).toHaveLength(source === "" ? 0 : source.split(" ").length);
        for (const [from, to] of translations[0].alignment) {
          expect(from).toBeLessThan(sourceTokens.length);
          expect(to).toBeLessThan(6);
        }
      }
    }
    expect((await generate(lines, "--json", "--align", "7")).error).toMatch(/layer: must be below 1 \(got 7\)/);
    expect((await generate(lines, "--json", "--align", "x")).error).toMatch(/--align: must be like 3 or 3.1/);
    expect((await generate(lines, "--align")).error).toMatch(/needs --json/);
  });

  test("lets a second run choose among all beams, and says the sum of both scores", async () => {
    const listed = linesOf((await generate(lines, "--json", "--beams", "4", "--nbest", "4")).out).map(
      (line) => JSON.parse(line).translations,
    );
    const { out } = await generate(lines, "--json", "--beams", "4", "--rerank-model", other.folder);
    for (const [i, line] of linesOf(out).entries()) {
      const { translations } = JSON.parse(line);
      expect(translations).toHaveLength(1);
      if (lines[i] === "") continue;
      const texts = listed[i].map(({ text }: { text: string }) => text);
      expect(texts).toContain(translations[0].text);
      expect(translations[0].score).toBeLessThan(listed[i][texts.indexOf(translations[0].text)].score);
    }
  });

  test.each<[string[], RegExp]>([
    [["--coverage-penalty", "0.2", "--beams", "1"], /coveragePenalty: has no effect with one beam/],
    [["--coverage-penalty", "0.2", "--coverage-layer", "4"], /layer: must be below 1 \(got 4\)/],
    [["--coverage-head", "0"], /coverageHead: has no effect without a coverage penalty/],
    [["--top-p", "2"], /--top-p: must be a number above 0, below 1 \(got 2\)/],
    [["--top-k", "5"], /topK: has no effect with search beam/],
    [["--search", "beams"], /Allowed choices are beam, sample, stochastic-beam/],
    [["--token-scores"], /needs --json/],
    [["--rerank-weight", "2"], /needs --rerank-model/],
    [["--early-stopping", "perhaps"], /Allowed choices are true, false, never/],
  ])("refuses %j", async (flags, message) => {
    const { code, error } = await generate(lines, ...flags);
    expect(code).toBe(2);
    expect(error).toMatch(message);
  });

  test("its help names every key of decoding once", async () => {
    const { out } = await call("generate", "--help");
    for (const flag of ["--early-stopping <name>", "--block-ngram <n>", "--phrases <text...>", "--min-p <x>"])
      expect(out.split(flag)).toHaveLength(2);
  });
});
