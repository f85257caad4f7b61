// heddle score: how good translations are, with sacreBLEU's options, numbers, signatures and printed forms.
import { Command, Option } from "commander";
import { ConfigError, DataError, type Listener } from "../../base/index.ts";
import { fileLines, readLines } from "../../data/index.node.ts";
import { bleuSmoothings, bleuTokenizers, trimEnd, type References } from "../../metrics/index.ts";
import { chooseMetrics, jsonOf, textOf, type MetricEntry, type ScoreFlags } from "./score-metrics.ts";

/** Where the command reads and writes; the process's own streams unless a test says otherwise. */
export interface ScoreStreams {
  input?: AsyncIterable<Uint8Array>;
  output?: NodeJS.WritableStream;
  messages?: NodeJS.WritableStream;
}

interface System {
  readonly name: string;
  readonly lines: readonly string[];
}

/** As far as JavaScript can print, with one more to see which way to round. */
const mostDecimals = 99;

/** sacreBLEU's short flags of more than one letter, which commander does not know. */
const longFlags: Readonly<Record<string, string>> = {
  "-nr": "--num-refs",
  "-sl": "--sentence-level",
  "-sv": "--smooth-value",
  "-tok": "--tokenize",
  "-lc": "--lowercase",
  "-cc": "--chrf-char-order",
  "-cw": "--chrf-word-order",
  "-ci": "--confidence",
  "-cin": "--confidence-n",
  "-pbs": "--paired-bs",
  "-pbsn": "--paired-bs-n",
  "-par": "--paired-ar",
  "-parn": "--paired-ar-n",
  "-sh": "--short",
};

class ScoreCommand extends Command {
  override parseOptions(words: string[]): { operands: string[]; unknown: string[] } {
    return super.parseOptions(words.map((word) => longFlags[word] ?? word));
  }
}

/**
 * `heddle score HYPOTHESIS... --reference FILE...`
 *
 * @example
 * await scoreCommand().parseAsync(["test.de", "--reference", "ref.de", "--metrics", "bleu,chrf"], { from: "user" });
 */
export function scoreCommand({
  input = process.stdin,
  output = process.stdout,
  messages = process.stderr,
}: ScoreStreams = {}): Command {
  return new ScoreCommand("score")
    .description("score translations against references: BLEU, chrF, chrF++ and TER, equal to sacreBLEU's")
    .argument("[hypotheses...]", "files of translations, one a line, plain or .gz; standard input when none is given")
    .option("-r, --reference <files...>", "files of references, line by line; several files are several references")
    .option("-i, --input <files...>", "files of translations, as the arguments")
    .option(
      "--num-refs <n>",
      "references, parted by tabs, on every line of the one reference file (-nr)",
      whole("--num-refs", 1),
      1,
    )
    .option("-m, --metrics <names...>", "bleu, chrf, ter; parted by spaces or commas", ["bleu"])
    .option("--sentence-level", "score every line by itself (-sl)")
    .addOption(
      new Option("--tokenize <name>", "BLEU: how to cut into words (-tok)")
        .choices(Object.keys(bleuTokenizers))
        .default("13a"),
    )
    .option("--lowercase", "BLEU: take capitals as small letters (-lc)")
    .addOption(
      new Option("-s, --smooth-method <name>", "BLEU: what to do where nothing matches")
        .choices(bleuSmoothings)
        .default("exp"),
    )
    .option("--smooth-value <x>", "BLEU: value for floor (0.1) and add-k (1) (-sv)", decimal("--smooth-value"))
    .option("--max-ngram-order <n>", "BLEU: longest n-gram", whole("--max-ngram-order", 1), 4)
    .option("--effective-order", "BLEU: leave out orders that no line reaches; always so with --sentence-level")
    .option("--force", "BLEU: do not warn of text that looks tokenized")
    .option("--chrf-char-order <n>", "chrF: longest n-gram of characters (-cc)", whole("--chrf-char-order", 0), 6)
    .option(
      "--chrf-word-order <n>",
      "chrF: longest n-gram of words; 2 is chrF++ (-cw)",
      whole("--chrf-word-order", 0),
      0,
    )
    .option("--chrf-beta <n>", "chrF: weight of recall", decimal("--chrf-beta"), 2)
    .option("--chrf-whitespace", "chrF: white space counts as a character")
    .option("--chrf-lowercase", "chrF: take capitals as small letters")
    .option("--chrf-eps-smoothing", "chrF: average over all orders, as chrF++.py, NLTK and Moses do")
    .option("--ter-case-sensitive", "TER: tell capitals from small letters")
    .option("--ter-asian-support", "TER: treat East Asian characters by themselves, with the next two")
    .option("--ter-no-punct", "TER: remove punctuation")
    .option("--ter-normalized", "TER: undo entities and set punctuation apart")
    .option("--confidence", "give a 95 % interval by bootstrap resampling (-ci)")
    .option("--confidence-n <n>", "resamples for --confidence (-cin)", whole("--confidence-n", 2), 1000)
    .option("--paired-bs", "compare with the first file by paired bootstrap resampling (-pbs)")
    .option("--paired-bs-n <n>", "resamples for --paired-bs (-pbsn)", whole("--paired-bs-n", 2), 1000)
    .option("--paired-ar", "compare with the first file by approximate randomization (-par)")
    .option("--paired-ar-n <n>", "trials for --paired-ar (-parn)", whole("--paired-ar-n", 2), 10_000)
    .option("--seed <n>", "seed of the resampling", whole("--seed", 0), 12345)
    .addOption(new Option("-f, --format <name>", "form of the output").choices(["text", "json"]).default("text"))
    .option("--json", "the same as --format json; scores are not rounded there")
    .option("--short", "short signatures (-sh)")
    .option("-b, --score-only", "print only the numbers")
    .option("-w, --width <n>", "decimals", whole("--width", 0), 1)
    .option("-q, --quiet", "no warnings")
    .action(async (files: string[], flags: ScoreFlags) => {
      const listener: Listener = (event) => {
        if (event.type === "log" && !flags.quiet) messages.write(`${event.level}: ${event.message}\n`);
      };
      output.write(`${await score([...files, ...(flags.input ?? [])], flags, input, listener)}\n`);
    });
}

/** The whole answer, without its last line end. */
async function score(
  files: readonly string[],
  flags: ScoreFlags,
  input: AsyncIterable<Uint8Array>,
  listener: Listener,
): Promise<string> {
  const metrics = chooseMetrics(flags, listener);
  checkFlags(flags, files, metrics);
  const systems = files.length === 0 ? [await readSystem(undefined, input, listener)] : [];
  for (const file of files) systems.push(await readSystem(file, input, listener));
  const [first] = systems;
  if (first === undefined || first.lines.length === 0)
    throw new DataError(first?.name ?? "standard input", undefined, "holds no line to score.");
  for (const system of systems.slice(1)) checkLength(system, first);
  const references = await readReferences(flags, first, listener);

  if (flags.sentenceLevel) {
    const shown = first.lines.map((line, i) =>
      metrics[0]!.sentence(
        line,
        references.map((stream) => stream[i] ?? null),
      ),
    );
    if (isJson(flags)) return `[\n${shown.map((one) => JSON.stringify(jsonOf(one, flags))).join(",\n")}\n]`;
    return shown.map((one) => textOf(one, flags)).join("\n");
  }
  if (systems.length > 1) return scoreSystems(systems, references, metrics, flags);
  const confidence = flags.confidence ? { trials: flags.confidenceN, seed: flags.seed } : undefined;
  const shown = metrics.map((metric) => metric.corpus(first.lines, references, confidence));
  if (isJson(flags)) {
    const objects = shown.map((one) => jsonOf(one, flags));
    return JSON.stringify(objects.length === 1 ? objects[0] : objects, undefined, 1);
  }
  return alignEquals(shown.map((one) => textOf(one, flags)));
}

function scoreSystems(
  systems: readonly System[],
  references: References,
  metrics: readonly MetricEntry[],
  flags: ScoreFlags,
): string {
  const isPaired = flags.pairedBs || flags.pairedAr;
  const test = flags.pairedBs
    ? { kind: "bs" as const, trials: flags.pairedBsN, seed: flags.seed }
    : { kind: "ar" as const, trials: flags.pairedArN, seed: flags.seed };
  const lines = systems.map((system) => system.lines);
  const columns = metrics.map((metric) =>
    isPaired ? metric.paired(lines, references, test) : lines.map((own) => metric.corpus(own, references)),
  );
  const names = systems.map(({ name }, i) => (isPaired && i === 0 ? `Baseline: ${name}` : name));

  if (isJson(flags)) {
    const rows = names.map((system, i) => {
      const scores = columns.map((column) => [column[i]!.score.name, jsonOf(column[i]!, flags)]);
      return { system, ...Object.fromEntries(scores) };
    });
    return JSON.stringify(rows, undefined, 1);
  }
  const cells = columns.map((column, i) => [
    metrics[i]!.name,
    ...column.map((one) => textOf(one, { ...flags, scoreOnly: true })),
  ]);
  const table = alignColumns([["System", ...names], ...cells]);
  const signatures = columns.map((column) => {
    const { name, signature } = column[0]!.score;
    return ` - ${name.padEnd(10)} ${flags.short ? signature.short : signature.long}`;
  });
  const legend = isPaired ? ["* differs from the baseline, p < 0.05", ""] : [];
  return [...table, "", ...legend, "Signatures", ...signatures].join("\n");
}

function checkFlags(flags: ScoreFlags, files: readonly string[], metrics: readonly MetricEntry[]): void {
  const isPaired = flags.pairedBs || flags.pairedAr;
  const refuse = (flag: string, problem: string): never => {
    throw new ConfigError(flag, problem);
  };
  if (flags.reference === undefined) refuse("--reference", "at least one file of references is needed.");
  if (flags.numRefs > 1 && flags.reference!.length > 1) {
    refuse("--num-refs", `splits the lines of one reference file (got ${flags.reference!.length} files).`);
  }
  if (flags.pairedBs && flags.pairedAr) refuse("--paired-bs", "cannot be combined with --paired-ar. Choose one test.");
  if (isPaired && files.length < 2)
    refuse("--paired-bs, --paired-ar", `compare at least two files of translations (got ${files.length}).`);
  if (flags.confidence && files.length > 1)
    refuse("--confidence", "is for one file of translations. Use --paired-bs for several.");
  if (flags.scoreOnly && isJson(flags)) refuse("--score-only", "cannot be combined with JSON.");
  if (flags.width > mostDecimals) refuse("--width", `must be at most ${mostDecimals} (got ${flags.width}).`);
  if (flags.sentenceLevel) {
    if (metrics.length > 1)
      refuse("--sentence-level", `takes one metric (got ${metrics.map(({ name }) => name).join(", ")}).`);
    if (files.length > 1) refuse("--sentence-level", `takes one file of translations (got ${files.length}).`);
    if (flags.confidence || isPaired) refuse("--sentence-level", "cannot be combined with a statistical test.");
  }
  const twice = files.find((file, i) => files.indexOf(file) !== i);
  if (twice !== undefined) refuse(twice, "given twice. Give every file of translations once.");
}

async function readSystem(
  file: string | undefined,
  input: AsyncIterable<Uint8Array>,
  listener: Listener,
): Promise<System> {
  const lines: string[] = [];
  const source = file === undefined || file === "-" ? readLines(input, { listener }) : fileLines(file, { listener });
  // Like sacreBLEU's own command line: what ends a line is not part of it, spaces before the line end included.
  for await (const line of source) lines.push(trimEnd(line));
  return { name: file === undefined || file === "-" ? "standard input" : file, lines };
}

async function readReferences(
  { reference = [], numRefs }: ScoreFlags,
  hypotheses: System,
  listener: Listener,
): Promise<References> {
  const streams: (readonly string[])[] = [];
  for (const file of reference) {
    const lines: string[] = [];
    for await (const line of fileLines(file, { listener })) lines.push(trimEnd(line));
    checkLength({ name: file, lines }, hypotheses);
    streams.push(lines);
  }
  if (numRefs === 1) return streams;
  const split = streams[0]!.map((line, i) => {
    const fields = line.split("\t");
    if (fields.length < numRefs) {
      throw new DataError(
        reference[0]!,
        i + 1,
        `${fields.length} of ${numRefs} references, parted by tabs, are there. Mend the line.`,
      );
    }
    return [...fields.slice(0, numRefs - 1), fields.slice(numRefs - 1).join("\t")];
  });
  return Array.from({ length: numRefs }, (_, stream) => split.map((fields) => fields[stream]!));
}

/** Names the first line that only one of the two has. */
function checkLength(system: System, hypotheses: System): void {
  const [own, wanted] = [system.lines.length, hypotheses.lines.length];
  if (own === wanted) return;
  const problem = `${own < wanted ? "missing" : "one too many"}: ${own} lines where ${hypotheses.name} has ${wanted}. Both must have the same number.`;
  throw new DataError(system.name, Math.min(own, wanted) + 1, problem);
}

function isJson({ json, format }: ScoreFlags): boolean {
  return json === true || format === "json";
}

/** Several lines moved to the right so that their first `=` stand below one another. */
function alignEquals(lines: readonly string[]): string {
  const longest = Math.max(...lines.map((line) => line.indexOf("=")));
  return lines.map((line) => " ".repeat(longest - line.indexOf("=")) + line).join("\n");
}

/** Rows of text from columns of cells. */
function alignColumns(columns: readonly (readonly string[])[]): string[] {
  const widths = columns.map((column) => Math.max(...column.map((cell) => cell.length)));
  return columns[0]!.map((_, row) =>
    columns
      .map((column, i) => column[row]!.padEnd(widths[i]!))
      .join("  ")
      .trimEnd(),
  );
}

function whole(flag: string, least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isSafeInteger(value) || value < least) {
      throw new ConfigError(flag, `must be a whole number of at least ${least} (got ${JSON.stringify(text)}).`);
    }
    return value;
  };
}

function decimal(flag: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value))
      throw new ConfigError(flag, `must be a number (got ${JSON.stringify(text)}).`);
    return value;
  };
}
