import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { scoreCommand } from "../../src/cli/commands/score.ts";
import { HeddleError } from "../../src/base/index.ts";
import { shared, sharedFile } from "../shared.ts";

const folder = mkdtempSync(join(tmpdir(), "heddle-score-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

class Sink extends Writable {
  text = "";
  override _write(chunk: unknown, _: BufferEncoding, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

async function run(words: string[], stdin = ""): Promise<{ output: string; messages: string }> {
  const [output, messages] = [new Sink(), new Sink()];
  const input = (async function* () {
    yield new TextEncoder().encode(stdin);
  })();
  await scoreCommand({ input, output, messages })
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .parseAsync(words, { from: "user" });
  return { output: output.text, messages: messages.text };
}

const hypothesis = file("hypothesis.txt", "the the cat sat\na b c d\n");
const reference = file("reference.txt", "the cat sat on\r\na b c d  \n");
const other = file("other.txt", "the cat\na b c x\n");
// Matches 3+4, 2+3, 1+2, 0+1 of 8, 6, 4, 2: the first line's are worked in test/metrics/bleu.test.ts.
const bleu = 100 * (((((((7 / 8) * 5) / 6) * 3) / 4) * 1) / 2) ** 0.25;

describe("heddle score", () => {
  it("prints sacreBLEU's line with one decimal", async () => {
    const { output } = await run([hypothesis, "--reference", reference]);
    expect(output).toBe(
      `BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0 = ${bleu.toFixed(1)} 87.5/83.3/75.0/50.0 (BP = 1.000 ratio = 1.000 hyp_len = 8 ref_len = 8)\n`,
    );
  });

  it("aligns several metrics at the equals sign, in alphabetical order", async () => {
    const { output } = await run([
      hypothesis,
      "--reference",
      reference,
      "--metrics",
      "ter,chrf",
      "bleu",
      "-sh",
      "-w",
      "3",
    ]);
    const lines = output.trimEnd().split("\n");
    expect(lines.map((line) => line.trim().split("|")[0])).toEqual(["BLEU", "chrF2", "TER"]);
    expect(new Set(lines.map((line) => line.indexOf("="))).size).toBe(1);
    expect(lines[2]).toMatch(/TER\|#:1\|c:lc\|t:tercom\|nr:no\|pn:yes\|as:no\|v:2\.6\.0 = 25\.000$/);
  });

  it("gives one JSON object for one metric, with the unrounded score, counts and signature", async () => {
    const { output } = await run([hypothesis, "--reference", reference, "--json", "--width", "2"]);
    const object = JSON.parse(output) as Record<string, unknown>;
    expect(object).toMatchObject({
      name: "BLEU",
      signature: "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
      counts: [7, 5, 3, 1],
      totals: [8, 6, 4, 2],
      bp: 1,
      sys_len: 8,
      ref_len: 8,
      tok: "13a",
    });
    expect(object.score).toBeCloseTo(bleu, 9);
    expect(object.text).toMatch(new RegExp(`^BLEU = ${bleu.toFixed(2)} 87`));
  });

  it("gives a JSON list for several metrics and for sentences", async () => {
    const several = JSON.parse(
      (await run([hypothesis, "-r", reference, "-m", "bleu,chrf,ter", "--format", "json"])).output,
    ) as { name: string }[];
    expect(several.map(({ name }) => name)).toEqual(["BLEU", "chrF2", "TER"]);
    const sentences = JSON.parse((await run([hypothesis, "-r", reference, "-sl", "-m", "ter", "--json"])).output) as {
      score: number;
    }[];
    expect(sentences.map(({ score }) => score)).toEqual([50, 0]);
  });

  it("scores sentences with effective order", async () => {
    const { output } = await run([hypothesis, "--reference", reference, "--sentence-level"]);
    const lines = output.trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(/\|eff:yes\|.* = 100\.0 /);
  });

  it("reads standard input, gzip, several references, and tabs between references", async () => {
    const zipped = file("reference.txt.gz", gzipSync("the cat sat on\na b c d\n"));
    const wanted = (await run([hypothesis, "--reference", reference, "--reference", other, "--score-only", "-w", "9"]))
      .output;
    const text = readFileSync(hypothesis, "utf8");
    expect((await run(["--reference", zipped, other, "-b", "-w", "9"], text)).output).toBe(wanted);
    const tabbed = file("tabbed.txt", "the cat sat on\tthe cat\na b c d\ta b c x\n");
    expect((await run(["-i", hypothesis, "-r", tabbed, "-nr", "2", "-b", "-w", "9"])).output).toBe(wanted);
    expect(wanted).toMatch(/^\d+\.\d{9}\n$/);
  });

  it("adds a confidence interval and names its seed", async () => {
    const { output } = await run([hypothesis, "-r", reference, "-ci", "-cin", "50", "--seed", "3"]);
    expect(output).toMatch(/^BLEU\|nrefs:1\|bs:50\|seed:3\|.* = [\d.]+ \(μ = [\d.]+ ± [\d.]+\) 87\.5/);
  });

  it.each([
    ["-pbs", "-pbsn", "bs"],
    ["-par", "-parn", "ar"],
  ])("compares with the first file by %s", async (test, trials, kind) => {
    const words = [hypothesis, other, "-r", reference, test, trials, "20", "-m", "bleu", "chrf"];
    const { output } = await run(words);
    expect(output.split("\n")[0]).toMatch(/^System +BLEU +chrF2$/);
    expect(output).toMatch(/\nBaseline: .*hypothesis\.txt +/);
    expect(output).toMatch(/other\.txt +[\d.]+ .*\(p = 0\.\d{4}\)/);
    expect(output).toContain(` - BLEU       nrefs:1|${kind}:20|seed:12345|case:mixed|`);
    const rows = JSON.parse((await run([...words, "--json"])).output) as {
      system: string;
      BLEU: { p_value?: number };
    }[];
    expect(rows.map((row) => row.BLEU.p_value === undefined)).toEqual([true, false]);
  });

  it("shows several files side by side without a test", async () => {
    const { output } = await run([hypothesis, other, "-r", reference, "-m", "ter"]);
    expect(output).toMatch(/^System .*\n.*hypothesis\.txt +25\.0\n.*other\.txt +37\.5\n/);
  });

  it("warns of tokenized text on standard error unless told otherwise", async () => {
    const tokenized = file("tokenized.txt", "a b c .\n".repeat(100));
    expect((await run([tokenized, "-r", tokenized])).messages).toMatch(/^warning: BLEU: .*detached period/);
    expect((await run([tokenized, "-r", tokenized, "--force"])).messages).toBe("");
    expect((await run([tokenized, "-r", tokenized, "--quiet"])).messages).toBe("");
  });

  const broken = file("broken.txt", new Uint8Array([0x61, 0x0a, 0x62, 0xff, 0x0a]));
  const short = file("short.txt", "a\n");
  const mistakes: [string, string[], RegExp][] = [
    [
      "a shorter reference",
      [hypothesis, "-r", short],
      /short\.txt, line 2: missing: 1 lines where .*hypothesis\.txt has 2/,
    ],
    [
      "a longer reference",
      [short, "-r", reference],
      /reference\.txt, line 2: one too many: 2 lines where .*short\.txt has 1/,
    ],
    ["a missing file", [join(folder, "nowhere"), "-r", reference], /nowhere/],
    ["what is not UTF-8", [broken, "-r", reference], /broken\.txt, line 2: not UTF-8/],
    [
      "an unknown metric",
      [hypothesis, "-r", reference, "-m", "meteor"],
      /--metrics: unknown metric "meteor"\. There are bleu, chrf, ter/,
    ],
    [
      "chrf++ as a name",
      [hypothesis, "-r", reference, "-m", "chrf++"],
      /chrF\+\+ is --metrics chrf --chrf-word-order 2/,
    ],
    ["no reference", [hypothesis], /--reference: at least one file/],
    [
      "a width in words",
      [hypothesis, "-r", reference, "-w", "two"],
      /--width: must be a whole number of at least 0 \(got "two"\)/,
    ],
    [
      "more decimals than can be printed",
      [hypothesis, "-r", reference, "-w", "100"],
      /--width: must be at most 99 \(got 100\)/,
    ],
    [
      "two tests",
      [hypothesis, other, "-r", reference, "-pbs", "-par"],
      /--paired-bs: cannot be combined with --paired-ar/,
    ],
    ["a paired test of one", [hypothesis, "-r", reference, "-pbs"], /compare at least two/],
    [
      "sentences of several metrics",
      [hypothesis, "-r", reference, "-sl", "-m", "bleu,ter"],
      /--sentence-level: takes one metric \(got BLEU, TER\)/,
    ],
    ["a file given twice", [hypothesis, hypothesis, "-r", reference], /hypothesis\.txt: given twice/],
    ["too few fields", [hypothesis, "-r", reference, "-nr", "2"], /reference\.txt, line 1: 1 of 2 references/],
    ["no lines at all", ["-r", reference], /standard input: holds no line/],
  ];
  it.each(mistakes)("refuses %s in one line", async (_, words, message) => {
    const failed = run(words);
    await expect(failed).rejects.toThrow(HeddleError);
    await expect(failed).rejects.toThrow(message);
    await failed.catch((error: Error) => expect(error.message).not.toContain("\n"));
  });
});

/** sacreBLEU's API arguments as flags; the command line has one for every one of them. */
const flagNames: Record<string, Record<string, string>> = {
  bleu: {},
  chrf: {
    char_order: "chrf-char-order",
    word_order: "chrf-word-order",
    beta: "chrf-beta",
    lowercase: "chrf-lowercase",
    whitespace: "chrf-whitespace",
    eps_smoothing: "chrf-eps-smoothing",
  },
  ter: {
    normalized: "ter-normalized",
    no_punct: "ter-no-punct",
    asian_support: "ter-asian-support",
    case_sensitive: "ter-case-sensitive",
  },
};
const fixtures = shared === undefined ? undefined : sharedFile("fixtures", "metrics");

describe.skipIf(fixtures === undefined)("heddle score on sacreBLEU's numbers [skipped: set HEDDLE_SHARED]", () => {
  const names = fixtures === undefined ? [] : readdirSync(fixtures).filter((name) => name.endsWith(".json"));
  it.each(names)("%s", async (name) => {
    interface Expected {
      args: Record<string, unknown>;
      score: number;
      text: string;
      signature: { long: string };
    }
    const fixture = JSON.parse(readFileSync(join(fixtures!, name), "utf8")) as {
      hypotheses: string[];
      references: string[][];
    } & Record<string, Expected[]>;
    const lines = file("fixture-hypotheses.txt", `${fixture.hypotheses.join("\n")}\n`);
    const streams = fixture.references.map((stream, i) =>
      file(`fixture-references-${i}.txt`, `${stream.join("\n")}\n`),
    );
    for (const [metric, flags] of Object.entries(flagNames)) {
      for (const { args, score, text, signature } of fixture[metric]!) {
        const words = Object.entries(args).flatMap(([key, value]) => {
          const flag = `--${flags[key] ?? key.replaceAll("_", "-")}`;
          return value === true ? [flag] : value === false ? [] : [flag, String(value)];
        });
        const { output } = await run([
          lines,
          "--reference",
          ...streams,
          "--metrics",
          metric,
          "--json",
          "--width",
          "2",
          ...words,
        ]);
        const object = JSON.parse(output) as { score: number; text: string; signature: string };
        expect(Math.abs(object.score - score)).toBeLessThan(1e-9);
        expect(object).toMatchObject({ text, signature: signature.long });
      }
    }
  });
});
