// heddle generate: lines in, lines out, order kept, memory bounded.
import { Command } from "commander";
import { readLines } from "../../data/index.node.ts";
import { openTranslation, readRunConfig } from "../../tasks/index.node.ts";
import { print } from "../output.ts";
import { ProgressLine } from "../progress.ts";
import {
  decimal,
  decodingOf,
  weightsOf,
  wholeNumber,
  withDecodingOptions,
  type DecodingFlags,
} from "./decoding-options.ts";
import { generateTexts, refuseFlags, type DrawingFlags } from "./text-runs.ts";

interface GenerateFlags extends DecodingFlags, DrawingFlags {
  candidates?: number;
  nbest?: number;
  scores?: boolean;
  json?: boolean;
}

export function generateCommand(): Command {
  return withDecodingOptions(new Command("generate"))
    .option("--temperature <x>", "language models: scores are divided by it before the draw; 0 draws nothing", decimal)
    .option("--top-k <n>", "language models: draw among this many likeliest tokens", wholeNumber)
    .option("--top-p <x>", "language models: draw among the likeliest that together have this probability", decimal)
    .option("--seed <n>", "language models: of the draw; same seed, same text", wholeNumber)
    .option("--candidates <n>", "masked language models, with --json: tokens to name for each mask", wholeNumber)
    .option("--nbest <n>", "translations a line, best first, one below the other", wholeNumber)
    .option("--scores", "put each translation's score and a tab in front of it")
    .option("--json", "one JSON object a line: source, and translations with score and logProbability")
    .addHelpText(
      "after",
      "\nReads standard input, writes standard output. A language model goes on with each line, a masked one fills the <mask>s in it.\n" +
        "Example: heddle generate --model runs/en-de --beams 5 < test.en > test.de\n" +
        "         echo 'It was the' | heddle generate --model runs/characters --temperature 0.8 --seed 7",
    )
    .action(async (flags: GenerateFlags) => {
      const { task } = await readRunConfig(flags.model);
      if (task !== "translation") return generateTexts(flags);
      const { temperature, topK, topP, seed, candidates } = flags;
      refuseFlags({ temperature, topK, topP, seed, candidates }, [], task);
      const { listener } = new ProgressLine();
      const { nbest } = flags;
      const isWide = nbest !== undefined && nbest > 5 && flags.lengthCandidates === undefined;
      const beams = flags.beams ?? (isWide ? nbest : undefined);
      const translation = await openTranslation(flags.model, {
        ...weightsOf(flags),
        decoding: decodingOf({ ...flags, ...(beams !== undefined && { beams }) }),
        listener,
      });
      try {
        const sources: string[] = [];
        const lines = remember(readLines(process.stdin, { name: "standard input", listener }), sources);
        for await (const translations of translation.generateEach(lines, nbest === undefined ? {} : { nbest })) {
          const source = sources.shift()!;
          const text =
            flags.json === true
              ? JSON.stringify({ source, translations })
              : translations
                  .map(({ text, score }) => (flags.scores === true ? `${score.toFixed(6)}\t${text}` : text))
                  .join("\n");
          await print(`${text}\n`);
        }
      } finally {
        await translation.dispose();
      }
    });
}

async function* remember(lines: AsyncIterable<string>, into: string[]): AsyncGenerator<string> {
  for await (const line of lines) {
    into.push(line);
    yield line;
  }
}
