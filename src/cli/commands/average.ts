// heddle average: the mean of several checkpoints' weights.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { writeSafetensors } from "../../formats/index.node.ts";
import { averageWeights } from "../../train/index.node.ts";

export function averageCommand(): Command {
  return new Command("average")
    .argument("<checkpoint...>", "folders of checkpoints, or .safetensors files, of one model")
    .requiredOption("--output <file>", "the .safetensors file to write")
    .option("--json", "say what was written as JSON")
    .addHelpText(
      "after",
      "\nExample: heddle average runs/en-de/checkpoints/step-* --output mean.safetensors\n         heddle generate --model runs/en-de --checkpoint mean.safetensors < test.en",
    )
    .action(async (checkpoints: string[], { output, json }: { output: string; json?: boolean }) => {
      const files = await Promise.all(
        checkpoints.map(async (path) => ((await stat(path)).isDirectory() ? join(path, "model.safetensors") : path)),
      );
      const weights = await averageWeights(files);
      await writeSafetensors(output, weights, { metadata: { format: "pt" } });
      const summary = { output, checkpoints: files, tensors: weights.size };
      process.stdout.write(
        json === true
          ? `${JSON.stringify(summary)}\n`
          : `${output}: the mean of ${files.length} checkpoints, ${weights.size} tensors\n`,
      );
    });
}
