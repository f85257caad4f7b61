// heddle evaluate: how well a run's model does on a file: translations against references, or how it foretells text.
import { writeFile } from "node:fs/promises";
import { Command, Option } from "commander";
import { ConfigError, DataError, type Listener } from "../../base/index.ts";
import { fileLines } from "../../data/index.node.ts";
import { Bleu, bleuTokenizers, Chrf, type BleuTokenizer } from "../../metrics/index.ts";
import { readRunConfig, type Translated, type Translation } from "../../tasks/index.node.ts";
import { ProgressLine } from "../progress.ts";
import { decodingOf, openEnsemble, wholeNumber, withDecodingOptions, type DecodingFlags } from "./decoding-options.ts";
import { evaluateTexts, refuseFlags } from "./text-runs.ts";

interface EvaluateFlags extends DecodingFlags {
  source?: string;
  reference?: string[];
  tokenize?: BleuTokenizer;
  contextTokens?: number;
  overlapTokens?: number;
  lowercase?: boolean;
  output?: string;
  json?: boolean;
}

export function evaluateCommand(): Command {
  return withDecodingOptions(new Command("evaluate"), { except: ["nbest"] })
    .option(
      "--source <file>",
      "lines to translate; of a language model the text to foretell, else its data.test; may be .gz",
    )
    .option("--reference <file...>", "what lines should become; several files are several references")
    .addOption(
      new Option("--tokenize <name>", "how BLEU parts text into words; 13a if not said").choices(
        Object.keys(bleuTokenizers),
      ),
    )
    .option("--context-tokens <n>", "language models: tokens of a window in which text is scored", wholeNumber)
    .option("--overlap-tokens <n>", "language models: tokens that a window shares with the one before", wholeNumber)
    .option("--lowercase", "score without regard to case")
    .option("--output <file>", "write the translations there too")
    .option("--json", "print scores, signatures and counts as JSON")
    .action(async (flags: EvaluateFlags) => {
      const { task } = await readRunConfig(flags.model);
      if (task !== "translation") return evaluateTexts(flags);
      const { contextTokens, overlapTokens, source, reference, tokenize = "13a" } = flags;
      refuseFlags({ contextTokens, overlapTokens }, [], task);
      if (source === undefined || reference === undefined)
        throw new ConfigError(
          source === undefined ? "--source" : "--reference",
          "is missing: lines to translate, and what they should become.",
        );
      const { listener } = new ProgressLine();
      const sources = await linesOf(source, listener);
      const references = await Promise.all(reference.map((file) => linesOf(file, listener)));
      references.forEach((lines, i) => {
        if (lines.length !== sources.length) {
          throw new DataError(
            reference[i]!,
            undefined,
            `${lines.length} lines, and ${source} has ${sources.length}. Each line needs its reference.`,
          );
        }
      });
      const translation = await openEnsemble(flags, decodingOf(flags), listener);
      const startMs = performance.now();
      let hypotheses: string[];
      let outputs: Outputs;
      try {
        const found = (await translation.generate(sources, { nbest: 1 })).map(([best]) => best!);
        hypotheses = found.map(({ text }) => text);
        outputs = await describe(translation, sources, found, references[0]!);
      } finally {
        await translation.dispose();
      }
      const seconds = (performance.now() - startMs) / 1000;
      if (flags.output !== undefined) {
        await writeFile(flags.output, hypotheses.map((line) => `${line}\n`).join(""));
      }
      const lowercase = flags.lowercase === true;
      const scores = [
        new Bleu({ tokenize, lowercase, force: true }).corpus(hypotheses, references),
        new Chrf({ lowercase }).corpus(hypotheses, references),
      ];
      if (flags.json === true) {
        const metrics = scores.map(({ name, score, signature, counts }) => ({
          name,
          score,
          signature: signature.long,
          counts,
        }));
        process.stdout.write(`${JSON.stringify({ lines: sources.length, seconds, metrics, ...outputs })}\n`);
      } else {
        for (const score of scores) process.stdout.write(`${score.text}\n`);
        process.stdout.write(`${shown(outputs)}\n`);
      }
    });
}

/** What is told of outputs besides scores. */
interface Outputs {
  /** Share of the lines whose output came to its end; the others were cut. */
  readonly finished: number;
  /** Mean over lines of the output's tokens to the first reference's, END counted in both. */
  readonly lengthRatio: number;
  /** Of models that predict lengths: share of lines whose likeliest length misses the reference's by at most two tokens. */
  readonly lengthWithinTwo?: number;
}

async function describe(
  translation: Translation,
  sources: readonly string[],
  outputs: readonly Translated[],
  references: readonly string[],
): Promise<Outputs> {
  const tokens = (text: string): number => translation.target.encode(text).length + 1;
  const wanted = references.map(tokens);
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
  const figures = {
    finished: mean(outputs.map(({ finished }) => (finished ? 1 : 0))),
    lengthRatio: mean(outputs.map(({ text }, i) => tokens(text) / wanted[i]!)),
  };
  // An empty line is translated without the model.
  const asked = sources.map((_, i) => i).filter((i) => sources[i] !== "");
  const lengths = await translation.predictedLengths(asked.map((i) => sources[i]!));
  if (lengths === undefined) return figures;
  const isNear = lengths.map((length, at) => (Math.abs(length - wanted[asked[at]!]!) <= 2 ? 1 : 0));
  return { ...figures, lengthWithinTwo: mean(isNear) };
}

function shown({ finished, lengthRatio, lengthWithinTwo }: Outputs): string {
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  const lengths = lengthWithinTwo === undefined ? "" : `, lengths within two tokens = ${percent(lengthWithinTwo)}`;
  return `finished = ${percent(finished)}, length ratio = ${lengthRatio.toFixed(3)}${lengths}`;
}

async function linesOf(file: string, listener: Listener): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of fileLines(file, { listener })) lines.push(line);
  return lines;
}
