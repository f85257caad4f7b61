// heddle generate on runs that translate: lines in, lines out, in a file that can be gone on with, or targets scored.
import { ConfigError, DataError } from "../../base/index.ts";
import { fileLines, readLines } from "../../data/index.node.ts";
import type { TaskConfig } from "../../tasks/task-config.ts";
import {
  openTranslation,
  readRunConfig,
  rerank,
  type AlignOptions,
  type DecodingChoices,
  type DecodingOptions,
  type Translated,
  type Translation,
  type TranslationLine,
} from "../../tasks/index.node.ts";
import { LineFile } from "../line-file.ts";
import { print } from "../output.ts";
import { ProgressLine } from "../progress.ts";
import { decodingOf, openEnsemble, type DecodingFlags } from "./decoding-options.ts";

export interface TranslateFlags extends DecodingFlags {
  scores?: boolean;
  tokenScores?: boolean;
  align?: string | true;
  json?: boolean;
  jsonInput?: boolean;
  output?: string;
  resumeOutput?: boolean;
  scoreTargets?: string;
  rerankModel?: string;
  rerankWeight?: number;
}

/** Lines that are judged by a second model together. */
const rerankedTogether = 64;

/** Translates standard input, or scores what its lines are said to become. */
export async function translateLines(flags: TranslateFlags): Promise<void> {
  const { json, tokenScores, jsonInput, output, resumeOutput, scoreTargets, rerankModel } = flags;
  const decoding = wideEnough(decodingOf(flags), await readRunConfig(flags.model));
  if (tokenScores === true && json !== true) throw new ConfigError("--token-scores", "needs --json to stand in.");
  const heads = flags.align === undefined ? undefined : headsOf(flags.align);
  if (heads !== undefined && json !== true) throw new ConfigError("--align", "needs --json to stand in.");
  if (flags.rerankWeight !== undefined && rerankModel === undefined)
    throw new ConfigError("--rerank-weight", "needs --rerank-model.");
  if (resumeOutput === true && output === undefined)
    throw new ConfigError("--resume-output", "needs --output to go on with.");
  const { listener } = new ProgressLine();
  const translation = await openEnsemble(flags, decoding, listener);
  const { nbest } = translation.decoding;
  const judge = rerankModel === undefined ? undefined : await openTranslation(rerankModel, { listener });
  try {
    if (resumeOutput === true && nbest > 1 && json !== true)
      throw new ConfigError("--resume-output", "with --nbest needs --json, where each line of input is one of output.");
    // Opened last, so that a mistake above leaves the file as it is.
    await using file =
      output === undefined ? undefined : await LineFile.open(output, { resume: resumeOutput === true });
    const write = (line: string): Promise<void> => (file === undefined ? print(`${line}\n`) : file.write(line));
    const before = file?.before ?? 0;
    const lines = skip(readLines(process.stdin, { name: "standard input", listener }), before);
    if (scoreTargets !== undefined) {
      const targets = skip(fileLines(scoreTargets, { listener }), before);
      for await (const [source, scored] of scoredPairs(translation, lines, targets, scoreTargets)) {
        await write(
          json === true ? JSON.stringify({ source, ...shown(scored, true) }) : scored.logProbability.toFixed(6),
        );
      }
      return;
    }
    const sources: string[] = [];
    const inputs = remember(jsonInput === true ? parsed(lines, before) : lines, sources);
    let lists = translation.generateEach(inputs, judge === undefined ? {} : { nbest: widest(translation.decoding) }, {
      firstLine: before,
    });
    if (judge !== undefined) lists = judged(lists, sources, judge, { weight: flags.rerankWeight ?? 1, nbest });
    for await (const translations of lists) {
      const source = sources.shift()!;
      if (json === true) {
        const outputs = translations.map((one) => shown(one, tokenScores === true));
        const aligned =
          heads === undefined
            ? { translations: outputs }
            : await alignedOf(translation, source, translations, outputs, heads);
        await write(JSON.stringify({ source, ...aligned }));
        continue;
      }
      for (const { text, score } of translations)
        await write(`${flags.scores === true ? `${score.toFixed(6)}\t` : ""}${onOneLine(text)}`);
    }
  } finally {
    await judge?.dispose();
    await translation.dispose();
  }
}

/** As many beams as outputs that are asked for, where nothing was said of beams and the model has them. */
function wideEnough(said: DecodingOptions, config: TaskConfig): DecodingOptions {
  if (config.task !== "translation" || config.model.architecture === "non-autoregressive") return said;
  const { nbest = 1, search = config.decoding.search } = said;
  const { groups = config.decoding.groups, beams = config.decoding.beams } = said;
  const isWide = search !== "sample" && said.beams === undefined && nbest > beams;
  return isWide ? { ...said, beams: groups * Math.ceil(nbest / groups) } : said;
}

/** As many outputs as a second model can choose among. */
function widest({ beams, nbest, lengthCandidates }: DecodingChoices): number {
  return lengthCandidates > 1 ? lengthCandidates : Math.max(beams, nbest);
}

function shown({ tokens, tokenLogProbabilities, ...rest }: Translated, withTokens: boolean): object {
  return withTokens ? { ...rest, tokens, tokenLogProbabilities } : rest;
}

/** The outputs with the pairs of places that attention gives, and the source tokens that they point to. */
async function alignedOf(
  translation: Translation,
  source: string,
  translations: readonly Translated[],
  outputs: readonly object[],
  heads: AlignOptions,
): Promise<object> {
  const aligned: object[] = [];
  for (const [i, { text }] of translations.entries())
    aligned.push({ ...outputs[i], alignment: source === "" ? [] : await translation.align(source, text, heads) });
  return { sourceTokens: translation.source.tokens(source), translations: aligned };
}

/** Which layer and head; "3.1" is head 1 of layer 3. */
function headsOf(text: string | true): AlignOptions {
  if (text === true) return {};
  const [, layer, head] = /^(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (layer === undefined) throw new ConfigError("--align", `must be like 3 or 3.1: layer, head (got ${text}).`);
  return { layer: Number(layer), ...(head !== undefined && { head: Number(head) }) };
}

/** A model may write a line break; it must not part one output into two. */
function onOneLine(text: string): string {
  return text.replace(/\r\n|[\n\r]/g, " ");
}

async function* skip<Item>(items: AsyncIterable<Item>, count: number): AsyncGenerator<Item> {
  let left = count;
  for await (const item of items)
    if (left > 0) left--;
    else yield item;
  if (left > 0) {
    throw new ConfigError(
      "--resume-output",
      `the output has ${left} lines more than the input. Was it written from another input? Leave --resume-output out to begin anew.`,
    );
  }
}

async function* remember<Line extends TranslationLine>(
  lines: AsyncIterable<Line>,
  into: string[],
): AsyncGenerator<Line> {
  for await (const line of lines) {
    into.push(typeof line === "string" ? line : line.text);
    yield line;
  }
}

/** Lines that are JSON objects: text, and perhaps phrases and prefix. */
async function* parsed(lines: AsyncIterable<string>, before: number): AsyncGenerator<TranslationLine> {
  let number = before;
  for await (const line of lines) {
    number++;
    const refuse = (problem: string): never => {
      throw new DataError(
        "standard input",
        number,
        `${problem}. With --json-input a line is like {"text": "…", "phrases": ["…"], "prefix": "…"}.`,
      );
    };
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      refuse("no JSON");
    }
    if (typeof value !== "object" || value === null || !("text" in value)) refuse("no text");
    const { text, phrases = [], prefix = "", ...others } = value as Record<string, unknown>;
    const [stranger] = Object.keys(others);
    if (stranger !== undefined) refuse(`unknown key ${stranger}`);
    const isText = (item: unknown): item is string => typeof item === "string" && item !== "";
    if (typeof text !== "string" || typeof prefix !== "string" || !Array.isArray(phrases) || !phrases.every(isText))
      refuse("text and prefix must be texts, phrases a list of texts");
    yield { text: text as string, phrases: phrases as string[], prefix: prefix as string };
  }
}

async function* judged(
  lists: AsyncIterable<Translated[]>,
  sources: readonly string[],
  judge: Translation,
  { weight, nbest }: { weight: number; nbest: number },
): AsyncGenerator<Translated[]> {
  const opinion = async (given: readonly string[], outputs: readonly string[]): Promise<number[]> =>
    (await judge.score(given, outputs)).map(({ score }) => score);
  let window: Translated[][] = [];
  const flush = async (): Promise<Translated[][]> => {
    // Those whose turn it is are the first that are still remembered.
    const better = await rerank(sources.slice(0, window.length), window, opinion, { weight });
    window = [];
    return better.map((list) => list.slice(0, nbest));
  };
  for await (const list of lists) {
    window.push(list);
    if (window.length === rerankedTogether) yield* await flush();
  }
  if (window.length > 0) yield* await flush();
}

/** Pairs of lines with what the model thinks of the second, in order. */
async function* scoredPairs(
  translation: Translation,
  sources: AsyncGenerator<string>,
  targets: AsyncGenerator<string>,
  file: string,
): AsyncGenerator<[source: string, scored: Translated]> {
  let done = false;
  while (!done) {
    const window: [string, string][] = [];
    while (window.length < 1024) {
      const [source, target] = [await sources.next(), await targets.next()];
      if (source.done !== target.done)
        throw new DataError(
          file,
          undefined,
          "has another number of lines than standard input. Each source needs its target.",
        );
      if (source.done === true || target.done === true) {
        done = true;
        break;
      }
      window.push([source.value, target.value]);
    }
    const scored = await translation.score(
      window.map(([source]) => source),
      window.map(([, target]) => target),
    );
    for (const [i, [source]] of window.entries()) yield [source, scored[i]!];
  }
}
