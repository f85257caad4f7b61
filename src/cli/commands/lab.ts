// heddle lab: put one claim of the notes to the test. The labs themselves live in lab/, compiled beside this program.
import { readFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { Command } from "commander";
import { ConfigError, nearest, type Listener } from "../../base/index.ts";
import { print } from "../output.ts";
import { ProgressLine } from "../progress.ts";
import { table } from "../table.ts";
import { wholeNumber } from "./decoding-options.ts";

/** What this command has to know of lab/, which no room may import. */
export interface LabRoom {
  readonly labs: readonly {
    readonly name: string;
    readonly claim: string;
    readonly source: string;
    readonly usesText?: boolean;
    run(context: {
      seed: number;
      isQuick: boolean;
      listener: Listener;
      signal: AbortSignal;
      text?: string;
    }): Promise<LabOutcome>;
  }[];
  svgFile(plot: LabOutcome["plot"], description: string): string;
}

interface LabOutcome {
  readonly tables: readonly {
    readonly title: string;
    readonly head: readonly string[];
    readonly rows: readonly (readonly string[])[];
  }[];
  readonly plot: { readonly width: number; readonly height: number; readonly body: string };
  readonly verdict: { readonly held: string; readonly because: string };
}

export interface LabCommandOptions {
  /** Opens lab/; from beside the compiled program unless a test says otherwise. */
  open?: () => Promise<LabRoom>;
  output?: NodeJS.WritableStream;
  messages?: NodeJS.WriteStream;
}

interface LabFlags {
  output: string;
  seed: number;
  quick?: boolean;
  text?: string;
}

/**
 * `heddle lab [NAME]`
 *
 * @example
 * await labCommand().parseAsync(["positional-encoding"], { from: "user" });
 */
export function labCommand({
  open = () => import(new URL("../../lab/index.js", import.meta.url).href) as Promise<LabRoom>,
  output = process.stdout,
  messages = process.stderr,
}: LabCommandOptions = {}): Command {
  return new Command("lab")
    .description("put one claim about Transformers to the test: a table, a plot, and whether it held")
    .argument("[name]", "which; without a name the labs are listed")
    .option("--output <folder>", "where the plot goes, as lab-NAME.svg", ".")
    .option("--seed <n>", "the same seed gives the same figures, measured times aside", wholeNumber, 1)
    .option("--quick", "only see that it runs, in seconds; the figures then say nothing")
    .option("--text <file>", "text to learn from, plain or .gz, where the lab uses text")
    .action(async (name: string | undefined, flags: LabFlags) => {
      const { labs, svgFile } = await open();
      if (name === undefined) return print(listOf(labs), output);
      const lab = labs.find((one) => one.name === name);
      if (lab === undefined) {
        const names = labs.map((one) => one.name);
        const near = nearest(name, names);
        const hint = near === undefined ? `The labs are ${names.join(", ")}.` : `Did you mean ${near}?`;
        throw new ConfigError("lab", `there is no "${name}". ${hint}`);
      }
      if (flags.text !== undefined && lab.usesText !== true)
        throw new ConfigError("--text", `has no effect on ${name}, which makes its own data.`);
      const text = flags.text === undefined ? undefined : await readText(flags.text);

      await print(`${lab.name}\n\n  The claim   ${lab.claim}.\n  Its source  ${lab.source}\n\n`, output);
      const stop = new AbortController();
      const onInterrupt = (): void => stop.abort();
      process.once("SIGINT", onInterrupt);
      const progress = new ProgressLine({ stream: messages });
      try {
        const { tables, plot, verdict } = await lab.run({
          seed: flags.seed,
          isQuick: flags.quick === true,
          listener: progress.listener,
          signal: stop.signal,
          ...(text !== undefined && { text }),
        });
        progress.end();
        for (const { title, head, rows } of tables) await print(`${title}\n\n${table(head, rows)}\n`, output);
        const file = join(flags.output, `lab-${lab.name}.svg`);
        await mkdir(flags.output, { recursive: true });
        await writeFile(file, svgFile(plot, `${lab.name}: ${lab.claim}`));
        const told =
          flags.quick === true
            ? "A quick run only shows that the lab works; its figures say nothing about the claim."
            : `The claim ${verdict.held}. ${verdict.because}`;
        await print(`${told}\nThe plot is in ${file}\n`, output);
      } catch (error) {
        progress.end();
        if (!stop.signal.aborted) throw error;
        process.exitCode = 130;
      } finally {
        process.off("SIGINT", onInterrupt);
      }
    });
}

function listOf(labs: LabRoom["labs"]): string {
  const width = Math.max(...labs.map(({ name }) => name.length));
  const lines = labs.map(({ name, claim }) => `  ${name.padEnd(width)}  ${claim}\n`);
  return `Claims to be put to the test by heddle lab NAME:\n\n${lines.join("")}`;
}

async function readText(file: string): Promise<string> {
  const bytes = await readFile(file);
  return (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
}
