// A translation run in a folder: config.yaml, the tokenizers, checkpoints and logs. Begun, resumed, and opened for use.
import { mkdir, readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, FormatError, silent, version, type HostTensor, type Listener } from "../base/index.ts";
import { readConfig, writeConfig } from "../base/config-text.ts";
import { Batches, corpusOf, encodePairs, jsonLines, parallelText, tsv, verifyChecksum, type Corpus } from "../data/index.node.ts";
import type { SessionOptions } from "../engine/index.ts";
import { openSafetensors, writeAside } from "../formats/index.node.ts";
import { teacherForcing, Transformer } from "../models/index.ts";
import { initialize, namedParameters } from "../nn/index.ts";
import { readTokenizer, saveTokenizer, trainTokenizer, type Tokenizer, type TokenizerOptions } from "../text/index.node.ts";
import { adam, adamW, ModelLearner, RunDirectory, runWeights, schedules, train, vectorsWithoutDecay, warmStart, type TrainingResult } from "../train/index.node.ts";
import { dateExamples, dateTags, type DateSplit } from "./dates.ts";
import { translationConfig, type SplitConfig, type TranslationConfig } from "./translation-config.ts";
import { pairReader, Validator } from "./translation-training.ts";
import { Translation, type DecodingOptions } from "./translation.ts";

/** A split's pairs, read as its format says; checksums are verified first. */
export async function openSplit(split: SplitConfig, { listener = silent }: { listener?: Listener } = {}): Promise<Corpus> {
  const { format, file, source, target, checksums = {} } = split;
  const files = format === "parallel" ? { source: String(source), target: String(target) } : { file: file! };
  for (const [name, path] of Object.entries(files)) {
    const sum = checksums[name as keyof typeof checksums];
    if (sum !== undefined) await verifyChecksum(path, sum);
  }
  if (format === "parallel") return parallelText({ source: String(source), target: String(target), listener });
  if (format === "tsv") return tsv(file!, { source, target, listener });
  return jsonLines(file!, { source: String(source), target: String(target), listener });
}

/** The corpora of a configuration: from its files, or made by its generator. */
export async function corporaOf(
  { data }: TranslationConfig,
  options: { listener?: Listener } = {},
): Promise<{ train: Corpus; validation: Corpus | undefined; test: Corpus | undefined }> {
  if ("generator" in data) {
    const { seed, trainPairs, validationPairs, testPairs } = data;
    const made = (split: DateSplit, count: number): Corpus => corpusOf(dateExamples({ seed, count, split }).map(({ source, target }) => [source, target] as const), `generated dates (${split})`);
    return { train: made("train", trainPairs), validation: made("validation", validationPairs), test: made("test", testPairs) };
  }
  const { train, validation, test } = data;
  const opened = async (split: SplitConfig | undefined): Promise<Corpus | undefined> => (split === undefined ? undefined : openSplit(split, options));
  return { train: await openSplit(train, options), validation: await opened(validation), test: await opened(test) };
}

/** The model that a configuration describes, for vocabularies of these sizes. */
export function modelOf({ model, tokenizer }: TranslationConfig, source: Tokenizer, target: Tokenizer): Transformer {
  const { layers, encoderLayers = layers, decoderLayers = layers, ...options } = model;
  return new Transformer({
    ...options,
    layers: { encoder: encoderLayers, decoder: decoderLayers },
    vocabularySize: tokenizer.joint ? source.vocabularySize : { source: source.vocabularySize, target: target.vocabularySize },
    pad: source.special.pad,
  });
}

const tokenizerFiles = (joint: boolean): { source: string; target: string } =>
  joint ? { source: "tokenizer.json", target: "tokenizer.json" } : { source: "tokenizer.source.json", target: "tokenizer.target.json" };

/** The run's tokenizers: those in its folder, or newly learnt from the training pairs and saved there. */
async function tokenizersOf(config: TranslationConfig, directory: string, corpus: Corpus | undefined): Promise<{ source: Tokenizer; target: Tokenizer }> {
  const { joint, path, dropout: _, ...options } = config.tokenizer as TranslationConfig["tokenizer"] & { dropout?: number };
  const files = tokenizerFiles(joint);
  const tokenizerOf = async (side: "source" | "target"): Promise<Tokenizer> => {
    const file = join(directory, files[side]);
    if (existsSync(file)) return readTokenizer(file);
    if (corpus === undefined) throw new FormatError(file, "is missing; this is not a finished run's folder");
    const specialTokens = [...options.specialTokens, ...("generator" in config.data ? dateTags : [])];
    const tokenizer =
      path === undefined ? await trainTokenizer({ ...options, specialTokens } as TokenizerOptions, joint ? corpus.lines() : corpus.lines(side)) : await readTokenizer(path);
    await saveTokenizer(file, tokenizer);
    return tokenizer;
  };
  const source = await tokenizerOf("source");
  return { source, target: joint ? source : await tokenizerOf("target") };
}

export interface TranslationRunOptions {
  directory: string;
  /** Weights to begin a new run with: a checkpoint's folder or a safetensors file. */
  warmStartFrom?: string;
  stop?: AbortSignal;
  listener?: Listener;
  session?: SessionOptions;
}

/**
 * Trains what a configuration says, in a folder that holds everything the run needs to go on: called again with the same
 * folder it resumes. Gives the translation that came out, and how the run ended.
 */
export async function trainTranslation(
  config: TranslationConfig,
  { directory, warmStartFrom, stop, listener = silent, session: given = {} }: TranslationRunOptions,
): Promise<{ translation: Translation; result: TrainingResult }> {
  const { training } = config;
  const session = { ...(training.threads !== undefined && { threads: training.threads }), ...given };
  await mkdir(directory, { recursive: true });
  await rememberConfig(config, directory);
  const corpora = await corporaOf(config, { listener });
  const tokenizer = await tokenizersOf(config, directory, corpora.train);
  const limits = { maxSourceTokens: training.maxSourceTokens, maxTargetTokens: training.maxTargetTokens };
  const pairs = await encodePairs(corpora.train, { ...tokenizer, ...limits, listener });
  const model = modelOf(config, tokenizer.source, tokenizer.target);
  const parameters = namedParameters(model);
  const [beta1, beta2] = training.betas;
  const rates = { betas: [beta1, beta2] as const, epsilon: training.epsilon };
  const learner = await ModelLearner.create({
    parameters,
    loss: teacherForcing(model, { labelSmoothing: training.labelSmoothing }),
    optimizer: training.optimizer === "adamw" ? adamW({ ...rates, weightDecay: training.weightDecay }) : adam(rates),
    values: initialize(parameters, training.seed),
    groups: [vectorsWithoutDecay],
    seed: training.seed,
    accumulates: training.accumulate > 1,
    session,
  });
  if (warmStartFrom !== undefined) await warmStart(learner.store.values, warmStartFrom, { listener });
  const translation = new Translation({ model, tokenizer, decoding: config.decoding, session, listener });
  const validator = corpora.validation === undefined ? undefined : await validatorOf(corpora.validation, { config, tokenizer, learner, translation, session, listener });
  using run = await RunDirectory.open({
    path: directory,
    memory: learner.checkpointMemory,
    seed: training.seed,
    keepCheckpoints: training.keepCheckpoints,
    averageCheckpoints: training.averageCheckpoints,
    listener,
  });
  try {
    const result = await train({
      learner,
      batches: new Batches(pairs, { batchTokens: training.batchTokens, seed: training.seed }),
      reader: pairReader(pairs),
      state: run.state,
      steps: training.steps,
      ...(training.minutes !== undefined && { minutes: training.minutes }),
      schedule: schedules[training.schedule]({ learningRate: training.learningRate, warmup: training.warmup, steps: training.steps }),
      accumulate: training.accumulate,
      ...(training.clip !== undefined && { clip: training.clip }),
      logEvery: training.logEvery,
      saveEvery: training.validateEvery,
      ...(validator !== undefined && {
        validation: {
          validate: () => validator.validate(),
          every: training.validateEvery,
          metric: "loss",
          better: "smaller",
          ...(training.patience !== undefined && { patience: training.patience }),
        },
      }),
      recorder: run,
      ...(stop !== undefined && { stop }),
      listener,
    });
    if (result.reason !== "stopped") await run.finish();
    await translation.setWeights(await readWeights((await runWeights(directory))!));
    return { translation, result };
  } finally {
    await validator?.dispose();
    await learner.dispose();
  }
}

interface ValidatorParts {
  config: TranslationConfig;
  tokenizer: { source: Tokenizer; target: Tokenizer };
  learner: ModelLearner;
  translation: Translation;
  session: SessionOptions;
  listener: Listener;
}

async function validatorOf(corpus: Corpus, { config, tokenizer, learner, translation, session, listener }: ValidatorParts): Promise<Validator> {
  const records = await corpus.collect();
  return new Validator({
    model: translation.model,
    pairs: await encodePairs(corpus, { ...tokenizer, listener }),
    texts: { sources: records.map(({ source }) => source), references: records.map(({ target }) => target) },
    weights: () => learner.store.values,
    translation,
    tokenize: config.scoring.tokenize,
    session,
    listener,
  });
}

/** Keys that may change while a run goes on: they do not change what is learnt. */
const mayChange = /^(decoding|scoring|data\.test|training\.(threads|logEvery|minutes))(\.|$)/;

/** Writes config.yaml for a new run; for one that exists makes sure that it is still the same. */
async function rememberConfig(config: TranslationConfig, directory: string): Promise<void> {
  const file = join(directory, "config.yaml");
  if (existsSync(file)) {
    const before = flatten(await readRunConfig(directory));
    const now = flatten(config);
    const changed = [...new Set([...before.keys(), ...now.keys()])].filter((key) => before.get(key) !== now.get(key) && !mayChange.test(key));
    const [key] = changed;
    if (key !== undefined) {
      const others = changed.length > 1 ? ` (and ${changed.length - 1} more keys)` : "";
      throw new ConfigError(file, `this run was begun with ${key} ${before.get(key) ?? "not set"}, got ${now.get(key) ?? "not set"}${others}. Put it back, or start a new run in another folder.`);
    }
  }
  const title = `Written by heddle ${version}: the complete configuration of this run.`;
  await writeAside(file, [new TextEncoder().encode(writeConfig(translationConfig, config, { title }))]);
}

function flatten(value: unknown, path = ""): Map<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return new Map([[path, JSON.stringify(value)]]);
  return new Map(Object.entries(value).flatMap(([key, inner]) => (inner === undefined ? [] : [...flatten(inner, path === "" ? key : `${path}.${key}`)])));
}

async function readRunConfig(directory: string): Promise<TranslationConfig> {
  const file = join(directory, "config.yaml");
  if (!existsSync(file)) throw new ConfigError(directory, "is no run's folder: it has no config.yaml. Train one with heddle train, or name another.");
  return readConfig(translationConfig, await readFile(file, "utf8"), { place: file }).config;
}

/** Every float32 tensor of a safetensors file. */
export async function readWeights(path: string): Promise<Map<string, HostTensor<"float32">>> {
  await using file = await openSafetensors(path);
  const weights = new Map<string, HostTensor<"float32">>();
  for (const name of file.header.tensors.keys()) {
    const tensor = await file.read(name);
    if (tensor.dtype !== "float32") throw new FormatError(path, `${name} is ${tensor.dtype} where float32 is wanted`);
    weights.set(name, tensor as HostTensor<"float32">);
  }
  return weights;
}

export interface OpenTranslationOptions {
  /** A checkpoint's folder or a safetensors file to use instead of the run's own choice. */
  checkpoint?: string;
  decoding?: DecodingOptions;
  session?: SessionOptions;
  listener?: Listener;
}

/**
 * The translation of a run's folder, ready for use.
 * @example
 * const translation = await openTranslation("runs/en-de");
 * console.log(await translation.translate("A dog runs."));
 */
export async function openTranslation(
  directory: string,
  { checkpoint, decoding = {}, session = {}, listener = silent }: OpenTranslationOptions = {},
): Promise<Translation> {
  const config = await readRunConfig(directory);
  const tokenizer = await tokenizersOf(config, directory, undefined);
  const model = modelOf(config, tokenizer.source, tokenizer.target);
  const path = checkpoint === undefined ? await runWeights(directory, { listener }) : checkpoint.endsWith(".safetensors") ? checkpoint : join(checkpoint, "model.safetensors");
  if (path === undefined) throw new ConfigError(directory, "has no checkpoint yet. Let the training run until its first validation.");
  const weights = await readWeights(path);
  for (const [name, { shape }] of namedParameters(model)) {
    const dims = weights.get(name)?.dims;
    if (dims === undefined || dims.join() !== shape.join()) {
      throw new FormatError(path, `${name} must be [${shape.join(", ")}], got ${dims === undefined ? "nothing" : `[${dims.join(", ")}]`}`);
    }
  }
  return new Translation({ model, tokenizer, weights, decoding: { ...config.decoding, ...decoding }, session, listener });
}

