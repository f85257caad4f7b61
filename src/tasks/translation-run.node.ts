// A translation run in a folder: config.yaml, the tokenizers, checkpoints and logs. Begun, resumed, and opened for use.
import { mkdir, readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, FormatError, silent, version, type HostTensor, type Listener } from "../base/index.ts";
import { readConfig, writeConfig } from "../base/config-text.ts";
import { corpusOf, jsonLines, parallelText, tsv, verifyChecksum, type Corpus } from "../data/index.node.ts";
import type { SessionOptions } from "../engine/index.ts";
import { openSafetensors, writeAside } from "../formats/index.node.ts";
import { fitAdapter, readAdapter } from "../hub/index.node.ts";
import { LstmTranslator, Transformer, type SequenceToSequence } from "../models/index.ts";
import {
  adapterOptions,
  addAdapter,
  coverageText,
  embedWords,
  freezeBase,
  initialize,
  isAdapterParameter,
  namedParameters,
} from "../nn/index.ts";
import {
  readTokenizer,
  saveTokenizer,
  trainTokenizer,
  wordVectorsFile,
  type Tokenizer,
  type TokenizerOptions,
} from "../text/index.node.ts";
import { currentEnvironment, RunDirectory, runWeights, warmStart, type TrainingResult } from "../train/index.node.ts";
import { dateExamples, dateTags, type DateSplit } from "./dates.ts";
import { translationConfig, type SplitConfig, type TranslationConfig } from "./translation-config.ts";
import { learnTranslation, type LearningOptions } from "./translation-training.ts";
import { Translation, type DecodingOptions } from "./translation.ts";

/** A split's pairs, read as its format says; checksums are verified first. */
export async function openSplit(
  split: SplitConfig,
  { listener = silent }: { listener?: Listener } = {},
): Promise<Corpus> {
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
    const made = (split: DateSplit, count: number): Corpus =>
      corpusOf(
        dateExamples({ seed, count, split }).map(({ source, target }) => [source, target] as const),
        `generated dates (${split})`,
      );
    return {
      train: made("train", trainPairs),
      validation: made("validation", validationPairs),
      test: made("test", testPairs),
    };
  }
  const { train, validation, test } = data;
  const opened = async (split: SplitConfig | undefined): Promise<Corpus | undefined> =>
    split === undefined ? undefined : openSplit(split, options);
  return { train: await openSplit(train, options), validation: await opened(validation), test: await opened(test) };
}

/** The model that a configuration describes, for vocabularies of these sizes. */
export function modelOf(
  { model, tokenizer }: TranslationConfig,
  source: Tokenizer,
  target: Tokenizer,
): SequenceToSequence {
  const {
    architecture,
    layers,
    encoderLayers = layers,
    decoderLayers = layers,
    adapter,
    embeddings,
    ...options
  } = model;
  const vocabularySize = tokenizer.joint
    ? source.vocabularySize
    : { source: source.vocabularySize, target: target.vocabularySize };
  const { pad } = source.special;
  if (architecture !== "transformer") {
    const { dModel, dropout, tying, maxPositions } = options;
    const attention = architecture === "lstm" ? "luong" : "none";
    return new LstmTranslator({ vocabularySize, dModel, layers, dropout, attention, tying, maxPositions, pad });
  }
  const transformer = new Transformer({
    ...options,
    layers: { encoder: encoderLayers, decoder: decoderLayers },
    vocabularySize,
    pad,
  });
  if (embeddings?.frozen === true) {
    const tables = { source: transformer.source, target: transformer.target };
    for (const side of ["source", "target"] as const)
      if (embeddings[side] !== undefined) tables[side].embedding.table.setTrainable(false);
  }
  if (adapter !== undefined) {
    addAdapter(transformer, adapter);
    freezeBase(transformer);
  }
  return transformer;
}

/** First values of a new run where word vectors are given; undefined where they are not. */
async function firstValues(
  { model: { embeddings, dModel }, training: { seed } }: TranslationConfig,
  model: SequenceToSequence,
  tokenizer: { readonly source: Tokenizer; readonly target: Tokenizer },
  listener: Listener,
): Promise<Map<string, HostTensor<"float32">> | undefined> {
  if (embeddings === undefined) return undefined;
  const values = initialize(namedParameters(model), seed);
  for (const side of ["source", "target"] as const) {
    const file = embeddings[side];
    if (file === undefined) continue;
    const vectors = await wordVectorsFile(file, { listener });
    const { table, coverage } = embedWords(tokenizer[side], vectors, { dModel, seed });
    values.set(`${side}.embedding.table`, table);
    listener({ type: "log", level: "info", message: `${file}: ${side} embeddings, ${coverageText(coverage)}` });
  }
  return values;
}

const tokenizerFiles = (joint: boolean): { source: string; target: string } =>
  joint
    ? { source: "tokenizer.json", target: "tokenizer.json" }
    : { source: "tokenizer.source.json", target: "tokenizer.target.json" };

/** The run's tokenizers: those in its folder, or newly learnt from the training pairs and saved there. */
async function tokenizersOf(
  config: TranslationConfig,
  directory: string,
  corpus: Corpus | undefined,
): Promise<{ source: Tokenizer; target: Tokenizer }> {
  const {
    joint,
    path,
    dropout: _,
    ...options
  } = config.tokenizer as TranslationConfig["tokenizer"] & { dropout?: number };
  const files = tokenizerFiles(joint);
  const tokenizerOf = async (side: "source" | "target"): Promise<Tokenizer> => {
    const file = join(directory, files[side]);
    if (existsSync(file)) return readTokenizer(file);
    if (corpus === undefined) throw new FormatError(file, "is missing; this is not a finished run's folder");
    const specialTokens = [...options.specialTokens, ...("generator" in config.data ? dateTags : [])];
    const tokenizer =
      path === undefined
        ? await trainTokenizer(
            { ...options, specialTokens } as TokenizerOptions,
            joint ? corpus.lines() : corpus.lines(side),
          )
        : await readTokenizer(path);
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
): Promise<{ translation: FolderTranslation; result: TrainingResult }> {
  const { training } = config;
  const session = { ...(training.threads !== undefined && { threads: training.threads }), ...given };
  await mkdir(directory, { recursive: true });
  await rememberConfig(config, directory);
  const { train: corpus, validation } = await corporaOf(config, { listener });
  const tokenizer = await tokenizersOf(config, directory, corpus);
  const model = modelOf(config, tokenizer.source, tokenizer.target);
  if (
    config.model.adapter !== undefined &&
    warmStartFrom === undefined &&
    !existsSync(join(directory, "checkpoints"))
  ) {
    throw new ConfigError(
      "model.adapter",
      "adds to a model that is trained already, and none is given. Say which: --warm-start RUN",
    );
  }
  const weights = await firstValues(config, model, tokenizer, listener);
  const translation = new FolderTranslation({
    model,
    tokenizer,
    ...(weights && { weights }),
    decoding: config.decoding,
    session,
    listener,
  });
  const { minutes, patience, clip, ...options } = training;
  const result = await translation.train(corpus, {
    ...options,
    ...(minutes !== undefined && { minutes }),
    ...(patience !== undefined && { patience }),
    ...(clip !== undefined && { clip }),
    ...(validation && { validation }),
    ...(stop && { stop }),
    ...(warmStartFrom !== undefined && { warmStartFrom }),
    ...("dropout" in config.tokenizer && { bpeDropout: config.tokenizer.dropout }),
    tokenize: config.scoring.tokenize,
    directory,
  });
  return { translation, result };
}

export interface FolderLearningOptions extends LearningOptions {
  validation?: Corpus;
  /** Where checkpoints and logs are kept; training goes on from what lies there. Without it all stays in memory. */
  directory?: string;
  /** Checkpoints averaged at the end; 0 for none. */
  averageCheckpoints?: number;
  keepCheckpoints?: number;
  /** Weights to begin a new run with: a checkpoint's folder or a safetensors file. */
  warmStartFrom?: string;
}

/** A translation that can keep its training in a folder. */
export class FolderTranslation extends Translation {
  override async train(
    corpus: Corpus,
    {
      directory,
      averageCheckpoints = 0,
      keepCheckpoints = 3,
      warmStartFrom,
      validation,
      ...options
    }: FolderLearningOptions,
  ): Promise<TrainingResult> {
    if (directory === undefined) return super.train(corpus, { ...options, ...(validation && { validation }) });
    const { seed = 1, listener = this.listener } = options;
    let run: RunDirectory | undefined;
    try {
      const { result } = await learnTranslation({
        ...this.learningParts(),
        ...options,
        corpus,
        validation,
        keep: async (learner) => {
          if (warmStartFrom !== undefined) {
            const path = (await isRunFolder(warmStartFrom)) ? await runWeights(warmStartFrom) : warmStartFrom;
            // The weights of new adapters are not in a base.
            await warmStart(learner.store.values, path!, { mayLack: isAdapterParameter, listener });
          }
          const memory = learner.checkpointMemory;
          const environment = currentEnvironment({
            ...(this.session.threads !== undefined && { threads: this.session.threads }),
            ...(this.session.provider !== undefined && { provider: this.session.provider }),
          });
          run = await RunDirectory.open({
            path: directory,
            memory,
            seed,
            environment,
            keepCheckpoints,
            averageCheckpoints,
            listener,
          });
          return { state: run.state, recorder: run };
        },
      });
      if (result.reason !== "stopped") await run!.finish();
      const path = await runWeights(directory);
      if (path !== undefined) await this.setWeights(await readWeights(path));
      return result;
    } finally {
      run?.[Symbol.dispose]();
    }
  }
}

async function isRunFolder(path: string): Promise<boolean> {
  return existsSync(join(path, "checkpoints")) && (await runWeights(path)) !== undefined;
}

/** Keys that may change while a run goes on: they do not change what is learnt. */
const mayChange = /^(decoding|scoring|data\.test|training\.(threads|logEvery|minutes))(\.|$)/;

/** Writes config.yaml for a new run; for one that exists makes sure that it is still the same. */
async function rememberConfig(config: TranslationConfig, directory: string): Promise<void> {
  const file = join(directory, "config.yaml");
  if (existsSync(file)) {
    const before = flatten(await readRunConfig(directory));
    const now = flatten(config);
    const changed = [...new Set([...before.keys(), ...now.keys()])].filter(
      (key) => before.get(key) !== now.get(key) && !mayChange.test(key),
    );
    const [key] = changed;
    if (key !== undefined) {
      const others = changed.length > 1 ? ` (and ${changed.length - 1} more keys)` : "";
      throw new ConfigError(
        file,
        `this run was begun with ${key} ${before.get(key) ?? "not set"}, got ${now.get(key) ?? "not set"}${others}. Put it back, or start a new run in another folder.`,
      );
    }
  }
  const title = `Written by heddle ${version}: the complete configuration of this run.`;
  await writeAside(file, [new TextEncoder().encode(writeConfig(translationConfig, config, { title }))]);
}

function flatten(value: unknown, path = ""): Map<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return new Map([[path, JSON.stringify(value)]]);
  return new Map(
    Object.entries(value).flatMap(([key, inner]) =>
      inner === undefined ? [] : [...flatten(inner, path === "" ? key : `${path}.${key}`)],
    ),
  );
}

async function readRunConfig(directory: string): Promise<TranslationConfig> {
  const file = join(directory, "config.yaml");
  if (!existsSync(file))
    throw new ConfigError(
      directory,
      "is no run's folder: it has no config.yaml. Train one with heddle train, or name another.",
    );
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
  /** An adapter's folder, put on the run's model, or in place of the one that it was trained with. */
  adapter?: string;
  decoding?: DecodingOptions;
  /** "int8" decodes in whole numbers of 8 bits: faster, a little less exact. */
  precision?: "float32" | "int8";
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
  {
    checkpoint,
    adapter,
    decoding = {},
    precision = "float32",
    session = {},
    listener = silent,
  }: OpenTranslationOptions = {},
): Promise<FolderTranslation> {
  const config = await readRunConfig(directory);
  const tokenizer = await tokenizersOf(config, directory, undefined);
  const model = modelOf(config, tokenizer.source, tokenizer.target);
  const path =
    checkpoint === undefined
      ? await runWeights(directory, { listener })
      : checkpoint.endsWith(".safetensors")
        ? checkpoint
        : join(checkpoint, "model.safetensors");
  if (path === undefined)
    throw new ConfigError(directory, "has no checkpoint yet. Let the training run until its first validation.");
  const weights = await readWeights(path);
  for (const [name, { shape }] of namedParameters(model)) {
    const dims = weights.get(name)?.dims;
    if (dims === undefined || dims.join() !== shape.join()) {
      throw new FormatError(
        path,
        `${name} must be [${shape.join(", ")}], got ${dims === undefined ? "nothing" : `[${dims.join(", ")}]`}`,
      );
    }
  }
  if (adapter !== undefined) {
    const stored = await readAdapter(adapter);
    if (adapterOptions(model) === undefined) addAdapter(model, stored.options);
    for (const [name, value] of fitAdapter(model, stored, adapter)) weights.set(name, value);
  }
  return new FolderTranslation({
    model,
    tokenizer,
    weights,
    decoding: { ...config.decoding, ...decoding },
    precision,
    session,
    listener,
  });
}
