import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { ConfigError, version } from "../../src/base/index.ts";
import { run, type CommandEntry } from "../../src/cli/program.ts";

let loaded: string[] = [];

/** A command `fail` that throws what it is told to, and `group list` to see nested commands. */
const commands: Record<string, CommandEntry> = {
  fail: {
    summary: "fails in many ways",
    load: async () => {
      loaded.push("fail");
      return new Command("fail")
        .description("Fails.")
        .argument("<how>")
        .option("--beams <count>", "hypotheses")
        .action(async (how: string) => {
          if (how === "config")
            throw new ConfigError("en-de.yaml:2:3", "model.heads must divide dModel (got 7 and 512)");
          if (how === "missing") throw Object.assign(new Error("ENOENT"), { code: "ENOENT", path: "train.en" });
          if (how === "pipe") throw Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
          if (how === "bug") throw new TypeError("x is undefined");
        });
    },
  },
  group: {
    summary: "holds commands",
    load: async () => {
      loaded.push("group");
      return new Command("group").addCommand(new Command("list").option("--json").action(() => {}));
    },
  },
};

async function call(...words: string[]): Promise<{ code: number; out: string; error: string }> {
  loaded = [];
  const result = { out: "", error: "" };
  const writeOut = (text: string): void => void (result.out += text);
  const writeError = (text: string): void => void (result.error += text);
  return { code: await run(words, { commands, writeOut, writeError }), ...result };
}

test("--version prints the version and nothing else", async () => {
  expect(await call("--version")).toEqual({ code: 0, out: `${version}\n`, error: "" });
});

test("--help lists every command with its summary and loads none", async () => {
  const { code, out } = await call("--help");
  expect(code).toBe(0);
  expect(out).toMatch(/fail .*fails in many ways/);
  expect(out).toMatch(/group .*holds commands/);
  expect(loaded).toEqual([]);
});

test.each([
  ["fail", "--help"],
  ["help", "fail"],
])("%s %s loads that command and prints its own help", async (...words) => {
  const { code, out } = await call(...words);
  expect(code).toBe(0);
  expect(out).toContain("--beams <count>");
  expect(loaded).toEqual(["fail"]);
});

test("a command without a description of its own says its summary in its help", async () => {
  const { out } = await call("group", "--help");
  expect(out).toMatch(/^Usage: heddle group .*\n\nHolds commands\.\n/);
});

describe("the exit code", () => {
  const cases: [words: string[], code: number, error: string | RegExp][] = [
    [["fail", "not"], 0, ""],
    [["fail", "config"], 2, "heddle: en-de.yaml:2:3: model.heads must divide dModel (got 7 and 512)\n"],
    [["fail", "missing"], 2, "heddle: train.en: no such file or folder\n"],
    [["fail", "pipe"], 0, ""],
    [["fail", "bug"], 1, /^heddle: unexpected error.*\nTypeError: x is undefined\n {4}at /],
    [["fail"], 2, "error: missing required argument 'how'\n(heddle fail --help explains)\n"],
    [["fail", "not", "--beam", "3"], 2, /unknown option '--beam'[^]*Did you mean --beams\?/],
    [["fail", "not", "more"], 2, /too many arguments/],
    [["fial"], 2, /unknown command 'fial'[^]*Did you mean fail\?/],
    [["group", "lsit"], 2, /unknown command 'lsit'[^]*Did you mean list\?/],
    [["group", "list", "--jsn"], 2, /unknown option '--jsn'[^]*Did you mean --json\?/],
  ];
  test.each(cases)("of %j is %i", async (words, code, error) => {
    const result = await call(...words);
    expect(result).toEqual({ code, out: "", error: typeof error === "string" ? error : expect.stringMatching(error) });
  });

  test("of no command at all is 2, with the help on standard error", async () => {
    const { code, out, error } = await call();
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(error).toContain("Usage: heddle");
  });
});
