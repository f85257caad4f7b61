// heddle adapter: the small trained part of a run by itself, or folded into its base.
import { Command } from "commander";
import { ConfigError } from "../../base/index.ts";
import { writeSafetensors } from "../../formats/index.node.ts";
import { loadAdapter, readAdapter, saveAdapter } from "../../hub/index.node.ts";
import { adapterOptions, addAdapter, mergeLora } from "../../nn/index.ts";
import { openRun, type OpenedRun } from "../../tasks/index.node.ts";

interface AdapterFlags {
  model: string;
  checkpoint?: string;
  adapter?: string;
  output: string;
  json?: boolean;
}

export function adapterCommand(): Command {
  return new Command("adapter").addCommand(saveCommand()).addCommand(mergeCommand());
}

function saveCommand(): Command {
  return new Command("save")
    .description("Write the adapter of a run that was trained with one, without its base, to a folder of its own.")
    .requiredOption("--model <folder>", "the folder of a run that was trained with an adapter")
    .option("--checkpoint <path>", "another checkpoint's folder or .safetensors file than the run's own choice")
    .requiredOption("--output <folder>", "the folder to write; PEFT's names in it")
    .option("--json", "say what was written as JSON")
    .addHelpText("after", "\nExample: heddle adapter save --model runs/weather --output adapters/weather")
    .action(async ({ output, json, ...flags }: AdapterFlags) => {
      const { model, weights } = await opened(flags);
      const options = adapterOptions(model);
      if (options === undefined)
        throw new ConfigError(
          flags.model,
          "its model has no adapter. Train one with model.adapter, or name another run.",
        );
      await saveAdapter(output, { options, values: weights });
      const { targets = [] } = options;
      say(
        { output, kind: options.kind, layers: targets.length },
        json,
        `${output}: ${options.kind} adapters of ${targets.length} layers\n`,
      );
    });
}

function mergeCommand(): Command {
  return new Command("merge")
    .description("Fold a low-rank adapter into its base: weights that are as fast as the base's and need no adapter.")
    .requiredOption("--model <folder>", "the folder of the base's run, or of one that was trained with an adapter")
    .option("--checkpoint <path>", "another checkpoint's folder or .safetensors file than the run's own choice")
    .option("--adapter <folder>", "the adapter's folder; the run's own adapter if not said")
    .requiredOption("--output <file>", "the .safetensors file to write, for --checkpoint of the base's run")
    .option("--json", "say what was written as JSON")
    .addHelpText(
      "after",
      "\nExample: heddle adapter merge --model runs/en-de --adapter adapters/weather --output weather.safetensors\n" +
        "         heddle generate --model runs/en-de --checkpoint weather.safetensors < test.en",
    )
    .action(async ({ adapter: folder, output, json, ...flags }: AdapterFlags) => {
      const { model, weights } = await opened(flags);
      const values = new Map(weights);
      if (folder !== undefined) {
        addAdapter(model, (await readAdapter(folder)).options);
        for (const [name, tensor] of await loadAdapter(folder, model)) values.set(name, tensor);
      }
      const options = adapterOptions(model);
      if (options?.kind !== "lora") {
        throw new ConfigError(
          folder ?? flags.model,
          options === undefined
            ? "its model has no adapter of its own. Name one with --adapter."
            : `only low-rank adapters can be merged, and these are of kind ${options.kind}`,
        );
      }
      const { alpha = 2 * options.rank, targets } = options;
      await writeSafetensors(output, mergeLora(values, { alpha }), { metadata: { format: "pt" } });
      say(
        { output, layers: targets.length },
        json,
        `${output}: the weights with adapters of ${targets.length} layers merged\n`,
      );
    });
}

async function opened({ model, checkpoint }: Pick<AdapterFlags, "model" | "checkpoint">): Promise<OpenedRun["run"]> {
  return (await openRun(model, checkpoint === undefined ? {} : { checkpoint })).run;
}

function say(summary: object, json: boolean | undefined, text: string): void {
  process.stdout.write(json === true ? `${JSON.stringify(summary)}\n` : text);
}
