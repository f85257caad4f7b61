// heddle shortlist: which target tokens a source may become, learnt from sentence pairs, for decoding that scores these alone.
import { Command } from "commander";
import { ConfigError } from "../../base/index.ts";
import { corporaOf, makeShortlist } from "../../tasks/index.node.ts";
import { loadConfig } from "../config.ts";
import { ProgressLine } from "../progress.ts";
import { wholeNumber } from "./decoding-options.ts";

interface ShortlistFlags {
  model: string;
  data?: string;
  perToken: number;
  common: number;
  json?: boolean;
}

export function shortlistCommand(): Command {
  return new Command("shortlist")
    .requiredOption("--model <folder>", "the folder of a translation run, where shortlist.safetensors is written")
    .option("--data <recipe>", "a recipe (.yaml) whose data.train is learnt from; the run's own if not said")
    .option("--per-token <n>", "target tokens that go with each source token", wholeNumber, 20)
    .option("--common <n>", "most frequent target tokens, which every source may become", wholeNumber, 1000)
    .option("--json", "print the figures as JSON")
    .addHelpText(
      "after",
      "\nThen decode with it: heddle generate --model runs/en-de --shortlist batch < test.en > test.de",
    )
    .action(async ({ model, data, perToken, common, json }: ShortlistFlags) => {
      const progress = new ProgressLine();
      const { listener } = progress;
      const config = data === undefined ? undefined : await loadConfig(data);
      if (config !== undefined && config.task !== "translation")
        throw new ConfigError(data!, `is of task ${config.task}, and translation pairs are wanted here.`);
      const corpus = config && (await corporaOf(config, { listener })).train;
      const made = await makeShortlist(model, { perToken, common, ...(corpus && { corpus }), listener });
      progress.end();
      const { path, pairs, meanTokens, coverage } = made;
      process.stdout.write(
        json === true
          ? `${JSON.stringify(made)}\n`
          : `${path}: from ${pairs} pairs; ${meanTokens.toFixed(0)} tokens a source, with ${(100 * coverage).toFixed(2)} % of its target's\n`,
      );
    });
}
