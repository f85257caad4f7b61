// heddle tokenizer: learn a tokenizer from files, and use it on lines of standard input.
import { pipeline } from "node:stream/promises";
import { Command, Option } from "commander";
import { ConfigError, DataError, type Listener } from "../../base/index.ts";
import { fileLines, readLines } from "../../data/index.node.ts";
import {
  readTokenizer,
  saveTokenizer,
  trainTokenizer,
  type Tokenizer,
  type TokenizerOptions,
} from "../../text/index.node.ts";

/** Where a command reads and writes; the process's own streams unless a test says otherwise. */
export interface TokenizerStreams {
  input?: AsyncIterable<Uint8Array>;
  output?: NodeJS.WritableStream;
  messages?: NodeJS.WritableStream & { isTTY?: boolean };
}

interface TrainFlags {
  type: TokenizerOptions["type"];
  output: string;
  vocabularySize?: string;
  merges?: string;
  byteFallback?: boolean;
  characterCoverage?: string;
  specialToken?: string[];
  splitPunctuation?: boolean;
  minimumFrequency?: string;
  json?: boolean;
}

interface LineFlags {
  tokenizer: string;
  ids?: boolean;
  json?: boolean;
}

interface EncodeFlags extends LineFlags {
  start?: boolean;
  end?: boolean;
  specialAsText?: boolean;
}

/** `heddle tokenizer train|encode|decode`. */
export function tokenizerCommand(streams: TokenizerStreams = {}): Command {
  const { input = process.stdin, output = process.stdout, messages = process.stderr } = streams;
  const command = new Command("tokenizer").description("learn a tokenizer from text, or try one on lines");

  command
    .command("train")
    .description("learn a tokenizer from the lines of text files, plain or .gz")
    .argument("<files...>", "UTF-8 text, one sentence a line")
    .addOption(new Option("--type <type>", "what a token is").choices(["bpe", "character", "word"]).default("bpe"))
    .option("--vocabulary-size <n>", "tokens in all (bpe: 8000 unless --merges is given)")
    .option("--merges <n>", "bpe: merges to learn, in place of --vocabulary-size")
    .option("--output <file>", "where to write", "tokenizer.json")
    .option(
      "--byte-fallback",
      "bpe, character: give every byte a token, so that nothing is unknown (the default for bpe)",
    )
    .option("--no-byte-fallback", "bpe, character: what was never seen is unknown (the default for character)")
    .option("--character-coverage <share>", "bpe: share of the text whose characters get tokens of their own")
    .option(
      "--special-token <token>",
      "a token kept whole and skipped in decoding, such as <de>; give it once for each",
      collect,
    )
    .option("--no-split-punctuation", "bpe, word: cut at spaces only, for text that is tokenised already")
    .option("--minimum-frequency <n>", "bpe: merge no pair seen less often; word: take no word seen less often")
    .option("--json", "print what was done as JSON")
    .action((files: string[], flags: TrainFlags) => train(files, flags, output, messages));

  lineOptions(command.command("encode").description("lines of text on standard input → lines of tokens"))
    .option("--ids", "print ids instead of tokens")
    .option("--json", "print each line as a JSON list")
    .option("--start", "put the start token first")
    .option("--end", "put the end token last")
    .option("--special-as-text", "take names of special tokens in the text as text")
    .action(async (flags: EncodeFlags) => {
      const tokenizer = await readTokenizer(flags.tokenizer);
      const { start = false, end = false, specialAsText = false, ids: wantsIds = false, json = false } = flags;
      await writeLines(input, output, (line) => {
        const ids = tokenizer.encode(line, { start, end, specialTokens: specialAsText ? "text" : "match" });
        const shown = wantsIds ? ids : ids.map((id) => tokenizer.tokenOf(id));
        return json ? JSON.stringify(shown) : shown.join(" ");
      });
    });

  lineOptions(
    command.command("decode").description("lines of tokens on standard input, as encode prints them → lines of text"),
  )
    .option("--ids", "the lines hold ids")
    .option("--json", "the lines are JSON lists")
    .action(async (flags: LineFlags) => {
      const tokenizer = await readTokenizer(flags.tokenizer);
      await writeLines(input, output, (line, number) => tokenizer.decode(readIds(line, number, tokenizer, flags)));
    });

  return command;
}

function lineOptions(command: Command): Command {
  return command.requiredOption("--tokenizer <file>", "a tokenizer.json");
}

function collect(token: string, before: string[] = []): string[] {
  return [...before, token];
}

async function train(
  files: readonly string[],
  flags: TrainFlags,
  output: NodeJS.WritableStream,
  messages: NodeJS.WritableStream & { isTTY?: boolean },
): Promise<void> {
  const began = performance.now();
  const listener: Listener = (event) => {
    if (event.type === "log") messages.write(`${event.level}: ${event.message}\n`);
    else if (messages.isTTY)
      messages.write(`\r${event.task}: ${event.done}${event.total === undefined ? "" : ` of ${event.total}`}\x1b[K`);
  };
  const counted = { lines: 0 };
  const lines = async function* (): AsyncGenerator<string> {
    for (const file of files) {
      for await (const line of fileLines(file, { listener })) {
        counted.lines++;
        yield line;
      }
    }
  };
  const tokenizer = await trainTokenizer(optionsOf(flags, listener), lines());
  await saveTokenizer(flags.output, tokenizer);

  const seconds = (performance.now() - began) / 1000;
  const { vocabularySize } = tokenizer;
  if (flags.json)
    output.write(
      `${JSON.stringify({ output: flags.output, type: flags.type, vocabularySize, lines: counted.lines, seconds })}\n`,
    );
  if (messages.isTTY) messages.write("\r\x1b[K");
  messages.write(
    `${flags.output}: ${vocabularySize} tokens (${flags.type}) learnt from ${counted.lines} lines in ${seconds.toFixed(1)} s\n`,
  );
}

/** Flags that mean something with each type of tokenizer. */
const flagsOfType = {
  bpe: ["vocabularySize", "merges", "byteFallback", "characterCoverage", "splitPunctuation", "minimumFrequency"],
  character: ["vocabularySize", "byteFallback"],
  word: ["vocabularySize", "splitPunctuation", "minimumFrequency"],
} as const;

function optionsOf(flags: TrainFlags, listener: Listener): TokenizerOptions {
  const given = {
    ...(flags.vocabularySize === undefined
      ? {}
      : { vocabularySize: numberOf("--vocabulary-size", flags.vocabularySize) }),
    ...(flags.merges === undefined ? {} : { merges: numberOf("--merges", flags.merges) }),
    ...(flags.byteFallback === undefined ? {} : { byteFallback: flags.byteFallback }),
    ...(flags.characterCoverage === undefined
      ? {}
      : { characterCoverage: numberOf("--character-coverage", flags.characterCoverage) }),
    // Commander gives an option that only has a --no form the value true.
    ...(flags.splitPunctuation === false ? { splitPunctuation: false } : {}),
    ...(flags.minimumFrequency === undefined
      ? {}
      : { minimumFrequency: numberOf("--minimum-frequency", flags.minimumFrequency) }),
  };
  const meant: readonly string[] = flagsOfType[flags.type];
  for (const key of Object.keys(given)) {
    if (!meant.includes(key)) {
      const flag = `--${flags[key as keyof TrainFlags] === false ? "no-" : ""}${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      throw new ConfigError(flag, `has no effect with --type ${flags.type}. Leave it out.`);
    }
  }
  const specialTokens = flags.specialToken ?? [];
  return flags.type === "bpe"
    ? { type: "bpe", ...given, specialTokens, listener }
    : { type: flags.type, ...given, specialTokens };
}

function numberOf(flag: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value))
    throw new ConfigError(flag, `must be a number (got ${JSON.stringify(text)}).`);
  return value;
}

function readIds(
  line: string,
  number: number,
  tokenizer: Tokenizer,
  { ids: holdsIds = false, json = false }: LineFlags,
): number[] {
  const bad = (problem: string): DataError => new DataError("standard input", number, problem);
  let entries: unknown = line === "" ? [] : line.split(" ");
  if (json) {
    try {
      entries = JSON.parse(line);
    } catch {
      throw bad("not JSON. Leave out --json for tokens parted by spaces.");
    }
  }
  if (!Array.isArray(entries)) throw bad(`a list of ${holdsIds ? "ids" : "tokens"} was expected.`);
  return entries.map((entry: unknown) => {
    const id = holdsIds ? wholeNumber(entry) : typeof entry === "string" ? tokenizer.idOf(entry) : undefined;
    if (id === undefined || tokenizer.tokenOf(id) === undefined) {
      throw bad(
        `${JSON.stringify(entry)} is no ${holdsIds ? `id of the tokenizer (0 to ${tokenizer.vocabularySize - 1})` : "token of the tokenizer; for ids give --ids"}.`,
      );
    }
    return id;
  });
}

function wholeNumber(entry: unknown): number | undefined {
  if (typeof entry === "number") return entry;
  return typeof entry === "string" && /^[0-9]+$/.test(entry) ? Number(entry) : undefined;
}

/** Standard input → standard output, line by line, no faster than the reader takes them. */
async function writeLines(
  input: AsyncIterable<Uint8Array>,
  output: NodeJS.WritableStream,
  change: (line: string, number: number) => string,
): Promise<void> {
  const changed = async function* (): AsyncGenerator<string> {
    let number = 0;
    for await (const line of readLines(input)) yield `${change(line, ++number)}\n`;
  };
  try {
    await pipeline(changed, output, { end: false });
  } catch (error) {
    // The reader has seen enough, as in `… | head`.
    if (!(error instanceof Error && "code" in error && error.code === "EPIPE")) throw error;
  }
}
