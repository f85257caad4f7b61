// A translation run in a folder: config.yaml, the tokenizers, checkpoints and logs. Begun, resumed, and opened for use.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { silent, type HostTensor, type Listener } from "../base/index.ts";
import { corpusOf, jsonLines, parallelText, tsv, verifyChecksum, type Corpus } from "../data/index.node.ts";
import type { SessionOptions } from "../engine/index.ts";
import { LstmTranslator, NonAutoregressiveTransformer, Transformer } from "../models/index.ts";
import { coverageText, embedWords, initialize, namedParameters } from "../nn/index.ts";
import {
  readTokenizer,
  trainTokenizer,
  wordVectorsFile,
  type Tokenizer,
  type TokenizerOptions,
} from "../text/index.node.ts";
import type { TrainingResult } from "../train/index.node.ts";
import { dateExamples, dateTags, type DateSplit } from "./dates.ts";
import {
  adapt,
  learnInFolder,
  openWeights,
  readRunConfigOf,
  refuseBaseless,
  rememberConfig,
  shortlistIn,
  tokenizerIn,
  type FolderOptions,
} from "./run-folder.node.ts";
import { refuseUnheeded } from "./decoding-choices.ts";
import type { TranslationModel } from "./non-autoregressive.ts";
import type { SplitConfig, TranslationConfig } from "./translation-config.ts";
import { learnTranslation, type LearningOptions } from "./translation-training.ts";
import type { DecodingOptions } from "./decoding-options.ts";
import type { Weights } from "./learning.ts";
import { Translation } from "./translation.ts";

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
): TranslationModel {
  const {
    architecture,
    layers,
    encoderLayers = layers,
    decoderLayers = layers,
    adapter,
    embeddings,
    length,
    decoderInput,
    upsampling,
    lengthReach,
    ...options
  } = model;
  const vocabularySize = tokenizer.joint
    ? source.vocabularySize
    : { source: source.vocabularySize, target: target.vocabularySize };
  const { pad } = source.special;
  if (architecture === "lstm" || architecture === "lstm-without-attention") {
    const { dModel, dropout, tying, maxPositions } = options;
    const attention = architecture === "lstm" ? "luong" : "none";
    return new LstmTranslator({ vocabularySize, dModel, layers, dropout, attention, tying, maxPositions, pad });
  }
  const layersOf = { encoder: encoderLayers, decoder: decoderLayers };
  const common = { ...options, layers: layersOf, vocabularySize, pad };
  const transformer =
    architecture === "transformer"
      ? new Transformer(common)
      : new NonAutoregressiveTransformer({
          ...common,
          ...(length && { length }),
          ...(decoderInput && { decoderInput }),
          upsampling,
          lengthReach,
          start: target.special.start,
          end: target.special.end,
        });
  if (embeddings?.frozen === true) {
    const tables = { source: transformer.source, target: transformer.target };
    for (const side of ["source", "target"] as const)
      if (embeddings[side] !== undefined) tables[side].embedding.table.setTrainable(false);
  }
  adapt(transformer, adapter);
  return transformer;
}

/** First values of a new run where word vectors are given; undefined where they are not. */
async function firstValues(
  { model: { embeddings, dModel }, training: { seed } }: TranslationConfig,
  model: TranslationModel,
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
export async function tokenizersOf(
  config: TranslationConfig,
  directory: string,
  corpus: Corpus | undefined,
): Promise<{ source: Tokenizer; target: Tokenizer }> {
  const { joint, path, dropout: _, ...options } = config.tokenizer;
  const files = tokenizerFiles(joint);
  const specialTokens = [...options.specialTokens, ...("generator" in config.data ? dateTags : [])];
  const make = (lines: AsyncIterable<string>): Promise<Tokenizer> =>
    path === undefined ? trainTokenizer({ ...options, specialTokens } as TokenizerOptions, lines) : readTokenizer(path);
  const tokenizerOf = (side: "source" | "target"): Promise<Tokenizer> =>
    tokenizerIn(join(directory, files[side]), corpus && (() => make(joint ? corpus.lines() : corpus.lines(side))));
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
  await rememberConfig(config, directory);
  const { train: corpus, validation } = await corporaOf(config, { listener });
  const tokenizer = await tokenizersOf(config, directory, corpus);
  const model = modelOf(config, tokenizer.source, tokenizer.target);
  refuseBaseless(config.model.adapter, { directory, warmStartFrom });
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
    ...(config.tokenizer.dropout !== undefined && { bpeDropout: config.tokenizer.dropout }),
    tokenize: config.scoring.tokenize,
    directory,
  });
  return { translation, result };
}

export interface FolderLearningOptions extends LearningOptions, FolderOptions {
  validation?: Corpus;
  /** Where checkpoints and logs are kept; training goes on from what lies there. Without it all stays in memory. */
  directory?: string;
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
    const { result, weights } = await learnInFolder({
      directory,
      averageCheckpoints,
      keepCheckpoints,
      ...(warmStartFrom !== undefined && { warmStartFrom }),
      seed,
      session: this.session,
      listener,
      // A student that writes in one pass may begin with its teacher's weights, or with another student's.
      isOwn: (name) => this.model instanceof NonAutoregressiveTransformer && name.startsWith("lengths."),
      learn: (keep) => learnTranslation({ ...this.learningParts(), ...options, corpus, validation, keep }),
    });
    if (weights !== undefined) await this.setWeights(weights);
    return result;
  }
}

export interface OpenTranslationOptions {
  /** A checkpoint's folder or a safetensors file to use instead of the run's own choice. */
  checkpoint?: string;
  /** Parameters by name to use instead of those that the folder holds. */
  weights?: Weights;
  /** An adapter's folder, put on the run's model, or in place of the one that it was trained with. */
  adapter?: string;
  decoding?: DecodingOptions;
  /** Folders of runs, or checkpoints of this run, whose models take part in every step. */
  ensemble?: readonly string[];
  /** "int8" decodes in whole numbers of 8 bits: faster, a little less exact. */
  precision?: "float32" | "int8";
  session?: SessionOptions;
  listener?: Listener;
}

/** What one model of an ensemble is opened with. */
export type MemberOptions = Omit<OpenTranslationOptions, "ensemble"> & { readonly directory: string };

/** The run itself, and the others of its ensemble, in order. */
export function membersOf(
  directory: string,
  { ensemble = [], ...options }: OpenTranslationOptions,
): [MemberOptions, ...MemberOptions[]] {
  const { checkpoint: _, adapter: __, weights: ___, decoding: ____, ...common } = options;
  const others = ensemble.map((path): MemberOptions => {
    const isRun = existsSync(join(path, "config.yaml"));
    return isRun ? { ...common, directory: path } : { ...common, directory, checkpoint: path };
  });
  return [{ ...options, directory }, ...others];
}

/**
 * The translation of a run's folder, ready for use.
 * @example
 * const translation = await openTranslation("runs/en-de");
 * console.log(await translation.translate("A dog runs."));
 */
export async function openTranslation(
  directory: string,
  options: OpenTranslationOptions = {},
): Promise<FolderTranslation> {
  return openMembers(membersOf(directory, options));
}

/** The first, with the others as its ensemble. */
export async function openMembers([own, ...others]: readonly [
  MemberOptions,
  ...MemberOptions[],
]): Promise<FolderTranslation> {
  const translation = await openMember(own);
  for (const other of others) translation.ensembleWith(await openMember(other));
  return translation;
}

/** One model of an ensemble, or the only one. */
export async function openMember({
  directory,
  checkpoint,
  weights: given,
  adapter,
  decoding = {},
  precision = "float32",
  session = {},
  listener = silent,
}: MemberOptions): Promise<FolderTranslation> {
  const config = await readRunConfigOf(directory, "translation");
  const tokenizer = await tokenizersOf(config, directory, undefined);
  const model = modelOf(config, tokenizer.source, tokenizer.target);
  refuseUnheeded(model, { ...decoding });
  const weights = await openWeights(directory, { model, weights: given, checkpoint, adapter, listener });
  return new FolderTranslation({
    model,
    tokenizer,
    weights,
    decoding: { ...config.decoding, ...decoding },
    shortlist: () => shortlistIn(directory, tokenizer),
    precision,
    session,
    listener,
  });
}
