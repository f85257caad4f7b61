// heddle generate: lines in, lines out, order kept, memory bounded.
import { Command } from "commander";
import { readRunConfig } from "../../tasks/index.node.ts";
import { decimal, withDecodingOptions } from "./decoding-options.ts";
import { generateTexts, type TextFlags } from "./text-runs.ts";
import { translateLines, type TranslateFlags } from "./translate-lines.ts";

export function generateCommand(): Command {
  return withDecodingOptions(new Command("generate"))
    .option("--scores", "put each output's score and a tab in front of it")
    .option(
      "--json",
      "one JSON object a line: source and translations, or prompt and continuations, with score and logProbability",
    )
    .option("--token-scores", "with --json: every token and its log-probability too")
    .option(
      "--align [layer.head]",
      "with --json: source tokens, and pairs of places, by attention; all heads if not said",
    )
    .option("--json-input", "lines are JSON objects: text, and phrases that must appear, and a prefix to begin with")
    .option("--score-targets <file>", "translate nothing: give the log-probability of each line of this file instead")
    .option("--rerank-model <folder>", "a second run that judges all beams: score + weight × its score")
    .option("--rerank-weight <x>", "what its score counts; 1 if not said", decimal)
    .option("--output <file>", "write there instead of to standard output")
    .option("--resume-output", "go on after the last whole line of --output, on the same input")
    .addHelpText(
      "after",
      "\nReads standard input, writes standard output. A language model goes on with each line, a masked one fills the <mask>s in it.\n" +
        "Example: heddle generate --model runs/en-de --beams 5 < test.en > test.de\n" +
        "         heddle generate --model runs/en-de --search sample --top-p 0.9 --mbr chrf < test.en > test.de\n" +
        "         heddle generate --model runs/en-de --output test.de --resume-output < test.en\n" +
        "         echo 'It was the' | heddle generate --model runs/characters --temperature 0.8 --seed 7",
    )
    .action(async (flags: TranslateFlags & TextFlags) => {
      const { task } = await readRunConfig(flags.model);
      await (task === "translation" ? translateLines(flags) : generateTexts(flags));
    });
}
