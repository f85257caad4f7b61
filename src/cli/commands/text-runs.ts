// heddle generate and heddle evaluate on runs that learnt from plain text.
import { describeConfig } from "../../base/config.ts";
import { ConfigError, type Listener } from "../../base/index.ts";
import { readLines, textFiles, type TextCorpus } from "../../data/index.node.ts";
import {
  openMaskFilling,
  openTexts,
  openTextGeneration,
  readRunConfig,
  type CompletionOptions,
} from "../../tasks/index.node.ts";
import { completionKeys } from "../../tasks/completion-config.ts";
import type { TaskConfig } from "../../tasks/task-config.ts";
import { print } from "../output.ts";
import { ProgressLine } from "../progress.ts";
import { saidOf, weightsOf, type DecodingFlags } from "./decoding-options.ts";

export interface TextFlags extends DecodingFlags {
  source?: string;
  contextTokens?: number;
  overlapTokens?: number;
  scores?: boolean;
  tokenScores?: boolean;
  json?: boolean;
}

/** Flags that choose weights and the form of what is printed. */
const common = ["model", "checkpoint", "adapter", "json"];

/** The flags that were given and are none of these are refused, by the names that the user gave them. */
export function refuseFlags(flags: object, heeded: readonly string[], task: TaskConfig["task"]): void {
  const needless = Object.entries(flags).find(([name, value]) => value !== undefined && !heeded.includes(name));
  if (needless === undefined) return;
  const flag = `--${needless[0].replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new ConfigError(flag, `has no effect on a run of task ${task}. Leave it out.`);
}

/** Goes on with each line of standard input, or fills the masks in it. */
export async function generateTexts(flags: TextFlags): Promise<void> {
  const { listener } = new ProgressLine();
  const lines = readLines(process.stdin, { name: "standard input", listener });
  const { task } = await readRunConfig(flags.model);
  if (task === "masked-language-model") return fillMasks(flags, lines, listener);
  const decoding = describeConfig(completionKeys).map(({ path }) => path);
  refuseFlags(flags, [...common, "int8", "scores", "tokenScores", ...decoding], task);
  const { json, scores, tokenScores } = flags;
  if (tokenScores === true && json !== true) throw new ConfigError("--token-scores", "needs --json to stand in.");
  await using generation = await openTextGeneration(flags.model, { ...weightsOf(flags), listener });
  const options = wideEnough(saidOf(completionKeys, flags), generation.decoding);
  for await (const { continuations, ...best } of generation.generateEach(lines, options)) {
    if (json === true) {
      const all = continuations.map(({ tokens, tokenLogProbabilities, ...rest }) =>
        tokenScores === true ? { ...rest, tokens, tokenLogProbabilities } : rest,
      );
      await print(`${JSON.stringify({ ...best, continuations: all })}\n`);
    } else
      for (const { text, score } of continuations)
        await print(`${scores === true ? `${score.toFixed(6)}\t` : ""}${best.prompt}${text}\n`);
  }
}

/** As many beams as outputs that are asked for, where nothing was said of beams and there are beams at all. */
function wideEnough(said: CompletionOptions, { search: configured, temperature, beams = 1 }: CompletionOptions) {
  const {
    nbest = 1,
    search = said.temperature === 0 ? "beam" : (configured ?? (temperature === 0 ? "beam" : "sample")),
  } = said;
  return search !== "sample" && said.beams === undefined && nbest > beams ? { ...said, beams: nbest } : said;
}

async function fillMasks(flags: TextFlags, lines: AsyncIterable<string>, listener: Listener): Promise<void> {
  refuseFlags(flags, [...common, "candidates"], "masked-language-model");
  const { candidates } = flags;
  const { precision: _, ...weights } = weightsOf(flags);
  await using filling = await openMaskFilling(flags.model, { ...weights, listener });
  for await (const source of lines) {
    const filled = await filling.fill(source, candidates === undefined ? {} : { candidates });
    await print(`${flags.json === true ? JSON.stringify({ source, ...filled }) : filled.text}\n`);
  }
}

/** Says how well a run's model foretells a file, or the test text of its configuration. */
export async function evaluateTexts(flags: TextFlags): Promise<void> {
  const { listener } = new ProgressLine();
  const config = await readRunConfig(flags.model);
  const { task } = config;
  if (task === "translation") return;
  const windows = task === "language-model" ? ["contextTokens", "overlapTokens"] : [];
  refuseFlags(flags, [...common, "source", ...windows], task);
  const texts = await testTexts(config.data, flags, listener);
  const { precision: _, ...weights } = weightsOf(flags);
  const startMs = performance.now();
  const figures = await scores(task, { ...flags, weights }, texts, listener);
  const seconds = (performance.now() - startMs) / 1000;
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ texts: texts.name, seconds, ...figures })}\n`);
    return;
  }
  const shown = Object.entries(figures).map(([name, value]) => `${name} ${Number(value.toPrecision(6))}`);
  process.stdout.write(`${shown.join("\n")}\n`);
}

async function testTexts(
  { train, test }: Exclude<TaskConfig, { task: "translation" }>["data"],
  { source, model }: TextFlags,
  listener: Listener,
): Promise<TextCorpus> {
  if (source !== undefined) return textFiles(source, { format: train.format, listener });
  if (test === undefined)
    throw new ConfigError(model, "its configuration has no data.test. Name a text with --source.");
  return openTexts(test, { listener });
}

async function scores(
  task: "language-model" | "masked-language-model",
  { model, weights, contextTokens, overlapTokens }: TextFlags & { weights: object },
  texts: TextCorpus,
  listener: Listener,
): Promise<Record<string, number>> {
  if (task === "masked-language-model") {
    await using filling = await openMaskFilling(model, { ...weights, listener });
    return { ...(await filling.score(texts)) };
  }
  await using generation = await openTextGeneration(model, { ...weights, listener });
  const said = Object.entries({ contextTokens, overlapTokens }).filter(([, value]) => value !== undefined);
  return { ...(await generation.score(texts, Object.fromEntries(said))) };
}
