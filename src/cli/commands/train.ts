// heddle train: a configuration and a folder in, a trained model out; the same command resumes.
import { Command } from "commander";
import { trainRun } from "../../tasks/index.node.ts";
import { configurationHelp, loadConfig, setOption } from "../config.ts";
import { ProgressLine } from "../progress.ts";

interface TrainFlags {
  run: string;
  set: readonly string[];
  warmStart?: string;
  json?: boolean;
}

export function trainCommand(): Command {
  return new Command("train")
    .argument("<config>", "the recipe, a YAML file")
    .requiredOption(
      "--run <folder>",
      "where the run lives; called again with the same folder, training goes on from its last checkpoint",
    )
    .addOption(setOption())
    .option("--warm-start <path>", "begin with the weights of this run, checkpoint or .safetensors file")
    .option("--json", "print how the run ended as JSON")
    .addHelpText("after", () => configurationHelp())
    .action(async (file: string, { run: directory, set, warmStart, json }: TrainFlags) => {
      const config = await loadConfig(file, { set });
      const progress = new ProgressLine();
      const stop = new AbortController();
      const onInterrupt = (): void => {
        // The first Ctrl-C saves; a second one takes the default way out, which loses nothing that was saved.
        process.off("SIGINT", onInterrupt);
        progress.listener({
          type: "log",
          level: "info",
          message: "saving after this step; press Ctrl-C again to leave at once",
        });
        stop.abort();
      };
      process.on("SIGINT", onInterrupt);
      try {
        const result = await trainRun(config, {
          directory,
          stop: stop.signal,
          listener: progress.listener,
          ...(warmStart !== undefined && { warmStartFrom: warmStart }),
        });
        progress.end();
        const { step, best, seconds } = result.state;
        if (json === true)
          process.stdout.write(`${JSON.stringify({ reason: result.reason, step, best, seconds, directory })}\n`);
        else
          process.stderr.write(
            `${result.reason} at step ${step} after ${(seconds / 60).toFixed(1)} minutes; the model is in ${directory}\n`,
          );
        if (result.reason === "stopped") {
          process.stderr.write(
            `To go on: heddle train ${file} --run ${directory}${set.map((assignment) => ` --set ${assignment}`).join("")}\n`,
          );
          process.exitCode = 130;
        }
      } finally {
        progress.end();
        process.off("SIGINT", onInterrupt);
      }
    });
}
