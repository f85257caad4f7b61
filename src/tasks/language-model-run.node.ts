// Runs that learn from plain text, in their folders: begun, resumed, and opened for use.
import { join } from "node:path";
import { silent, type Listener } from "../base/index.ts";
import { textFiles, verifyChecksum, type TextCorpus } from "../data/index.node.ts";
import type { SessionOptions } from "../engine/index.ts";
import { LanguageModel, MaskedLanguageModel, TextEncoder } from "../models/index.ts";
import { readTokenizer, trainTokenizer, type Tokenizer, type TokenizerOptions } from "../text/index.node.ts";
import type { TrainingResult } from "../train/index.node.ts";
import type { LanguageModelConfig, MaskedLanguageModelConfig, TextsConfig } from "./language-model-config.ts";
import { learnLanguageModel } from "./language-model-training.ts";
import type { TrainingOptions } from "./learning.ts";
import { MaskFilling } from "./mask-filling.ts";
import { maskToken } from "./masked-rows.ts";
import { learnMaskedLanguageModel } from "./masked-training.ts";
import {
  adapt,
  learnInFolder,
  openWeights,
  readRunConfigOf,
  refuseBaseless,
  rememberConfig,
  tokenizerIn,
} from "./run-folder.node.ts";
import type { LearnTextOptions } from "./text-batches.ts";
import { TextGeneration } from "./text-generation.ts";
import type { ScoringOptions } from "./text-scoring.ts";

type TextConfig = LanguageModelConfig | MaskedLanguageModelConfig;

/** The texts of a split; checksums are verified first. */
export async function openTexts(
  { files, format, maxCharacters, checksums = [] }: TextsConfig,
  { listener = silent }: { listener?: Listener } = {},
): Promise<TextCorpus> {
  const paths = [files].flat();
  for (const [i, sum] of checksums.entries()) await verifyChecksum(paths[i]!, sum);
  return textFiles(paths, { format, listener, ...(maxCharacters !== undefined && { maxCharacters }) });
}

/** The run's tokenizer: the one in its folder, or newly learnt from the training text and saved there. */
function tokenizerOf(
  { task, tokenizer: { path, ...options } }: TextConfig,
  directory: string,
  texts: TextCorpus | undefined,
): Promise<Tokenizer> {
  const specialTokens = [...options.specialTokens, ...(task === "masked-language-model" ? [maskToken] : [])];
  const make = (corpus: TextCorpus): Promise<Tokenizer> =>
    path === undefined
      ? trainTokenizer({ ...options, specialTokens } as TokenizerOptions, corpus.texts())
      : readTokenizer(path);
  return tokenizerIn(join(directory, "tokenizer.json"), texts && (() => make(texts)));
}

/** The language model that a configuration describes, for a vocabulary of this size. */
function languageModelOf({ model }: LanguageModelConfig, tokenizer: Tokenizer): LanguageModel {
  const { adapter, ...options } = model;
  const { vocabularySize, special } = tokenizer;
  const made = new LanguageModel({ ...options, vocabularySize, pad: special.pad });
  adapt(made, adapter);
  return made;
}

/** The same for a masked language model. */
function maskedLanguageModelOf({ model }: MaskedLanguageModelConfig, tokenizer: Tokenizer): MaskedLanguageModel {
  const { adapter, ...options } = model;
  const { vocabularySize, special } = tokenizer;
  const made = new MaskedLanguageModel(new TextEncoder({ ...options, vocabularySize, pad: special.pad }));
  adapt(made, adapter);
  return made;
}

export interface TextRunOptions {
  directory: string;
  /** Weights to begin a new run with: a checkpoint's folder or a safetensors file. */
  warmStartFrom?: string;
  stop?: AbortSignal;
  listener?: Listener;
  session?: SessionOptions;
}

/** What both kinds of run begin with. */
async function begin(
  config: TextConfig,
  { directory, listener = silent }: TextRunOptions,
): Promise<{ texts: TextCorpus; validation: TextCorpus | undefined; tokenizer: Tokenizer }> {
  await rememberConfig(config, directory);
  const texts = await openTexts(config.data.train, { listener });
  const validation = config.data.validation && (await openTexts(config.data.validation, { listener }));
  return { texts, validation, tokenizer: await tokenizerOf(config, directory, texts) };
}

/** Trains in the run's folder with what the configuration says of training. */
function train(
  config: { training: TextConfig["training"]; model: TextConfig["model"] },
  { directory, warmStartFrom, stop, listener = silent, session = {} }: TextRunOptions,
  learn: (options: Pick<LearnTextOptions, "keep" | "session"> & TrainingOptions) => Promise<{ result: TrainingResult }>,
): ReturnType<typeof learnInFolder> {
  refuseBaseless(config.model.adapter, { directory, warmStartFrom });
  const { minutes, patience, clip, averageCheckpoints, keepCheckpoints, threads: _, ...options } = config.training;
  return learnInFolder({
    directory,
    averageCheckpoints,
    keepCheckpoints,
    ...(warmStartFrom !== undefined && { warmStartFrom }),
    seed: options.seed,
    session,
    listener,
    learn: (keep) =>
      learn({
        ...options,
        ...(minutes !== undefined && { minutes }),
        ...(patience !== undefined && { patience }),
        ...(clip !== undefined && { clip }),
        ...(stop && { stop }),
        keep,
        session,
        listener,
      }),
  });
}

function sessionOf({ training: { threads } }: TextConfig, given: SessionOptions = {}): SessionOptions {
  return { ...(threads !== undefined && { threads }), ...given };
}

/**
 * Trains the language model that a configuration describes, in a folder that holds everything the run needs to go on: called
 * again with the same folder it resumes.
 * @example
 * const { generation } = await trainLanguageModel(config, { directory: "runs/characters" });
 */
export async function trainLanguageModel(
  config: LanguageModelConfig,
  given: TextRunOptions,
): Promise<{ generation: TextGeneration; result: TrainingResult }> {
  const options = { ...given, session: sessionOf(config, given.session) };
  const { texts, validation, tokenizer } = await begin(config, options);
  const model = languageModelOf(config, tokenizer);
  const scoring = scoringOf(config);
  const { contextTokens, batchTokens, labelSmoothing } = config.training;
  const rows = { contextTokens, batchTokens };
  const { result, weights } = await train(config, options, (learning) =>
    learnLanguageModel({ ...learning, ...rows, labelSmoothing, model, tokenizer, texts, validation, scoring }),
  );
  const { listener = silent, session } = options;
  const { decoding } = config;
  const generation = new TextGeneration({
    model,
    tokenizer,
    ...(weights && { weights }),
    decoding,
    scoring,
    session,
    listener,
  });
  return { generation, result };
}

/** The same for a masked language model. */
export async function trainMaskedLanguageModel(
  config: MaskedLanguageModelConfig,
  given: TextRunOptions,
): Promise<{ filling: MaskFilling; result: TrainingResult }> {
  const options = { ...given, session: sessionOf(config, given.session) };
  const { texts, validation, tokenizer } = await begin(config, options);
  const model = maskedLanguageModelOf(config, tokenizer);
  const { contextTokens, batchTokens, maskRate } = config.training;
  const rows = { contextTokens, batchTokens, maskRate };
  const { result, weights } = await train(config, options, (learning) =>
    learnMaskedLanguageModel({ ...learning, ...rows, model, tokenizer, texts, validation }),
  );
  const { listener = silent, session } = options;
  const filling = new MaskFilling({
    model,
    tokenizer,
    ...(weights && { weights }),
    candidates: config.decoding.candidates,
    masking: config.training,
    session,
    listener,
  });
  return { filling, result };
}

function scoringOf({ scoring, training }: LanguageModelConfig): ScoringOptions {
  return { contextTokens: training.contextTokens, ...scoring };
}

export interface OpenRunOptions {
  /** A checkpoint's folder or a safetensors file to use instead of the run's own choice. */
  checkpoint?: string;
  /** An adapter's folder, put on the run's model, or in place of the one that it was trained with. */
  adapter?: string;
  session?: SessionOptions;
  listener?: Listener;
}

/**
 * The language model of a run's folder, ready for use.
 * @example
 * const generation = await openTextGeneration("runs/characters");
 * console.log(await generation.complete("It is a truth"));
 */
export async function openTextGeneration(
  directory: string,
  { precision = "float32", ...options }: OpenRunOptions & { precision?: "float32" | "int8" } = {},
): Promise<TextGeneration> {
  const config = await readRunConfigOf(directory, "language-model");
  const { session = {}, listener = silent } = options;
  const tokenizer = await tokenizerOf(config, directory, undefined);
  const model = languageModelOf(config, tokenizer);
  const weights = await openWeights(directory, { ...options, model });
  return new TextGeneration({
    model,
    tokenizer,
    weights,
    decoding: config.decoding,
    scoring: scoringOf(config),
    precision,
    session,
    listener,
  });
}

/** The masked language model of a run's folder, ready for use. */
export async function openMaskFilling(directory: string, options: OpenRunOptions = {}): Promise<MaskFilling> {
  const config = await readRunConfigOf(directory, "masked-language-model");
  const { session = {}, listener = silent } = options;
  const tokenizer = await tokenizerOf(config, directory, undefined);
  const model = maskedLanguageModelOf(config, tokenizer);
  const weights = await openWeights(directory, { ...options, model });
  const { candidates } = config.decoding;
  return new MaskFilling({ model, tokenizer, weights, candidates, masking: config.training, session, listener });
}
