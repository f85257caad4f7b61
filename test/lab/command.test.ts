import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { afterAll, expect, test } from "vitest";
import { labCommand, type LabRoom } from "../../src/cli/commands/lab.ts";
import { linePlot } from "../../lab/plots/line-plot.ts";
import { svgFile } from "../../lab/plots/drawing.ts";

const folder = mkdtempSync(join(tmpdir(), "heddle-lab-"));
afterAll(() => rmSync(folder, { recursive: true }));

class Sink extends Writable {
  text = "";
  override _write(chunk: unknown, _: BufferEncoding, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

/** Two labs that need no model: what the command does with them is what it does with the real ones. */
const room: LabRoom = {
  svgFile,
  labs: [
    {
      name: "gravity",
      claim: "Things fall",
      source: "Galilei 1638",
      async run({ seed, isQuick }) {
        return {
          tables: [{ title: "Falls", head: ["seed", "quick"], rows: [[`${seed}`, String(isQuick)]] }],
          plot: linePlot({
            title: "t",
            x: { label: "s" },
            y: { label: "m" },
            lines: [{ name: "a", points: [[0, 1]] }],
          }),
          verdict: { held: "held", because: "They fell." },
        };
      },
    },
    {
      name: "endless",
      claim: "It never ends",
      source: "nobody",
      run: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
          setImmediate(() => process.emit("SIGINT"));
        }),
    },
  ],
};

async function run(...words: string[]): Promise<string> {
  const output = new Sink();
  await labCommand({ open: async () => room, output, messages: new Sink() as never })
    .exitOverride()
    .parseAsync(words, { from: "user" });
  return output.text;
}

test("without a name the labs are listed with their claims", async () => {
  expect(await run()).toMatch(/gravity {2}Things fall\n.*endless {2}It never ends/);
});

test("a lab prints its claim, its table and its verdict, and leaves its plot in the folder", async () => {
  const said = await run("gravity", "--output", join(folder, "new"), "--seed", "7");
  expect(said).toContain("Things fall");
  expect(said).toMatch(/7 +false/);
  expect(said).toContain("The claim held. They fell.");
  expect(readFileSync(join(folder, "new", "lab-gravity.svg"), "utf8")).toMatch(/^<svg [^]*<\/svg>\n$/);
});

test("a quick run does not pretend to a verdict", async () => {
  const said = await run("gravity", "--quick", "--output", folder);
  expect(said).not.toContain("They fell.");
  expect(said).toContain("say nothing");
});

test("a name with a slip is answered with the nearest one", async () => {
  await expect(run("gravty")).rejects.toThrow('lab: there is no "gravty". Did you mean gravity?');
});

test("an option that has no effect is refused", async () => {
  await expect(run("gravity", "--text", "book.txt")).rejects.toThrow("--text: has no effect on gravity");
});

test("an interrupted lab ends quietly and leaves nothing", async () => {
  const before = process.exitCode;
  await run("endless", "--output", folder);
  expect(process.exitCode).toBe(130);
  process.exitCode = before;
  expect(existsSync(join(folder, "lab-endless.svg"))).toBe(false);
});
