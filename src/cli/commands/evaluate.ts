// heddle evaluate: translate a file and score it against references.
import { writeFile } from "node:fs/promises";
import { Command, Option } from "commander";
import { DataError, type Listener } from "../../base/index.ts";
import { fileLines } from "../../data/index.node.ts";
import { Bleu, bleuTokenizers, Chrf, type BleuTokenizer } from "../../metrics/index.ts";
import { openTranslation } from "../../tasks/index.node.ts";
import { ProgressLine } from "../progress.ts";
import { decodingOf, weightsOf, withDecodingOptions, type DecodingFlags } from "./decoding-options.ts";

interface EvaluateFlags extends DecodingFlags {
  source: string;
  reference: string[];
  tokenize: BleuTokenizer;
  lowercase?: boolean;
  output?: string;
  json?: boolean;
}

export function evaluateCommand(): Command {
  return withDecodingOptions(new Command("evaluate"))
    .requiredOption("--source <file>", "lines to translate; may be .gz")
    .requiredOption("--reference <file...>", "what they should become; several files are several references")
    .addOption(
      new Option("--tokenize <name>", "how BLEU parts text into words")
        .choices(Object.keys(bleuTokenizers))
        .default("13a"),
    )
    .option("--lowercase", "score without regard to case")
    .option("--output <file>", "write the translations there too")
    .option("--json", "print scores, signatures and counts as JSON")
    .action(async (flags: EvaluateFlags) => {
      const progress = new ProgressLine();
      const { listener } = progress;
      const sources = await linesOf(flags.source, listener);
      const references = await Promise.all(flags.reference.map((file) => linesOf(file, listener)));
      references.forEach((lines, i) => {
        if (lines.length !== sources.length) {
          throw new DataError(
            flags.reference[i]!,
            undefined,
            `${lines.length} lines, and ${flags.source} has ${sources.length}. Each line needs its reference.`,
          );
        }
      });
      const translation = await openTranslation(flags.model, {
        ...weightsOf(flags),
        decoding: decodingOf(flags),
        listener,
      });
      const startMs = performance.now();
      let hypotheses: string[];
      try {
        hypotheses = await translation.translate(sources);
      } finally {
        await translation.dispose();
      }
      const seconds = (performance.now() - startMs) / 1000;
      if (flags.output !== undefined) {
        await writeFile(flags.output, hypotheses.map((line) => `${line}\n`).join(""));
      }
      const lowercase = flags.lowercase === true;
      const scores = [
        new Bleu({ tokenize: flags.tokenize, lowercase, force: true }).corpus(hypotheses, references),
        new Chrf({ lowercase }).corpus(hypotheses, references),
      ];
      if (flags.json === true) {
        const metrics = scores.map(({ name, score, signature, counts }) => ({
          name,
          score,
          signature: signature.long,
          counts,
        }));
        process.stdout.write(`${JSON.stringify({ lines: sources.length, seconds, metrics })}\n`);
      } else {
        for (const score of scores) process.stdout.write(`${score.text}\n`);
      }
    });
}

async function linesOf(file: string, listener: Listener): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of fileLines(file, { listener })) lines.push(line);
  return lines;
}
