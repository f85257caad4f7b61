// heddle distill: the sources of a corpus with a teacher's translations, for students to learn from.
import { Command } from "commander";
import { ConfigError, type Listener } from "../../base/index.ts";
import { fileLines } from "../../data/index.node.ts";
import { corporaOf, distill, readRunConfig } from "../../tasks/index.node.ts";
import type { TaskConfig } from "../../tasks/task-config.ts";
import { loadConfig } from "../config.ts";
import { LineFile } from "../line-file.ts";
import { ProgressLine } from "../progress.ts";
import { decodingOf, openEnsemble, withDecodingOptions, type DecodingFlags } from "./decoding-options.ts";

interface DistillFlags extends DecodingFlags {
  data?: string;
  output: string;
  json?: boolean;
}

export function distillCommand(): Command {
  return withDecodingOptions(new Command("distill"), { except: ["nbest"] })
    .description("Write training sources with a teacher's translations: the same command goes on where it was stopped.")
    .option(
      "--data <file>",
      "a recipe (.yaml), of which data.train is taken, or lines of text; the run's own if not said",
    )
    .requiredOption("--output <file>", "the JSON Lines file to write or to go on with")
    .option("--json", "print how many lines there are as JSON")
    .addHelpText(
      "after",
      "\nExample: heddle distill --model runs/en-de --output distilled.jsonl\n" +
        "Learn from it: --set data.train={format: jsonl, file: distilled.jsonl, source: source, target: target}",
    )
    .action(async (flags: DistillFlags) => {
      const progress = new ProgressLine();
      const { listener } = progress;
      const stop = new AbortController();
      const onInterrupt = (): void => stop.abort();
      process.once("SIGINT", onInterrupt);
      const { output: name } = flags;
      const sources = await sourcesOf(flags, listener);
      const teacher = await openEnsemble(flags, decodingOf(flags), listener);
      try {
        // Opened last, so that a mistake above leaves no empty file.
        await using output = await LineFile.open(name, { resume: true });
        const { lines, kept } = await distill({
          teacher,
          sources,
          write: (line) => output.write(line),
          ...(output.before > 0 && { written: fileLines(name) }),
          name,
          signal: stop.signal,
          listener,
        });
        progress.end();
        process.stdout.write(
          flags.json === true
            ? `${JSON.stringify({ output: name, lines, kept })}\n`
            : `${name}: ${lines} lines, ${kept} of them there before\n`,
        );
      } catch (error) {
        if (!stop.signal.aborted) throw error;
        process.stderr.write("stopped after the last whole line; the same command goes on\n");
        process.exitCode = 130;
      } finally {
        progress.end();
        process.off("SIGINT", onInterrupt);
        await teacher.dispose();
      }
    });
}

/** The sources of a recipe's training pairs, or of a file of lines. */
async function sourcesOf({ model, data }: DistillFlags, listener: Listener): Promise<() => AsyncIterable<string>> {
  if (data !== undefined && !/\.ya?ml$/.test(data)) return () => fileLines(data, { listener });
  const config: TaskConfig = data === undefined ? await readRunConfig(model) : await loadConfig(data);
  if (config.task !== "translation")
    throw new ConfigError(data ?? model, `is of task ${config.task}, and translation pairs are wanted here.`);
  const { train } = await corporaOf(config, { listener });
  return () => train.lines("source");
}
