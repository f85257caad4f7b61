// A run's folder as tasks use it: its configuration remembered, its tokenizers and weights found, its training kept.
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import { writeConfig } from "../base/config-text.ts";
import { ConfigError, FormatError, silent, version, type HostTensor, type Listener } from "../base/index.ts";
import { readShortlist, type Shortlist } from "../data/index.node.ts";
import type { SessionOptions } from "../engine/index.ts";
import { openSafetensors, writeAside } from "../formats/index.node.ts";
import { fitAdapter, readAdapter } from "../hub/index.node.ts";
import {
  adapterOptions,
  addAdapter,
  freezeBase,
  isAdapterParameter,
  namedParameters,
  type AdapterOptions,
  type Module,
} from "../nn/index.ts";
import { readTokenizer, saveTokenizer, type Tokenizer } from "../text/index.node.ts";
import { currentEnvironment, RunDirectory, runWeights, warmStart, type TrainingResult } from "../train/index.node.ts";
import type { KeepRun, Weights } from "./learning.ts";
import { readTaskConfig, taskConfigs, type TaskConfig, type TaskConfigs, type TaskName } from "./task-config.ts";

/** Keys that may change while a run goes on: they do not change what is learnt. */
const mayChange = /^(decoding|scoring|data\.test|training\.(threads|logEvery|minutes))(\.|$)/;

/** Writes config.yaml for a new run; for one that exists makes sure that it is still the same. */
export async function rememberConfig(config: TaskConfig, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
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
  const text = writeConfig<z.ZodType<TaskConfig>>(taskConfigs[config.task], config, { title });
  await writeAside(file, [new TextEncoder().encode(text)]);
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

/** The configuration that a run's folder holds. */
export async function readRunConfig(directory: string): Promise<TaskConfig> {
  const file = join(directory, "config.yaml");
  if (!existsSync(file))
    throw new ConfigError(
      directory,
      "is no run's folder: it has no config.yaml. Train one with heddle train, or name another.",
    );
  return readTaskConfig(await readFile(file, "utf8"), { place: file }).config;
}

/** The same where only a run of this task will do. */
export async function readRunConfigOf<Name extends TaskName>(
  directory: string,
  task: Name,
): Promise<TaskConfigs[Name]> {
  const config = await readRunConfig(directory);
  if (config.task !== task)
    throw new ConfigError(directory, `is a run of task ${config.task}, and one of task ${task} is wanted here.`);
  // What the key says was compared just now.
  return config as TaskConfigs[Name];
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

/** The weights that were asked for of a run, all of the model's parameters among them. */
export async function openWeights(
  directory: string,
  {
    model,
    weights: given,
    checkpoint,
    adapter,
    listener = silent,
  }: {
    model: Module;
    /** Taken in place of the folder's. */
    weights?: Weights | undefined;
    checkpoint?: string | undefined;
    adapter?: string | undefined;
    listener?: Listener;
  },
): Promise<Map<string, HostTensor<"float32">>> {
  const path =
    given !== undefined
      ? "weights"
      : checkpoint === undefined
        ? await runWeights(directory, { listener })
        : checkpoint.endsWith(".safetensors")
          ? checkpoint
          : join(checkpoint, "model.safetensors");
  if (path === undefined)
    throw new ConfigError(directory, "has no checkpoint yet. Let the training run until its first validation.");
  const weights = given === undefined ? await readWeights(path) : new Map(given);
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
  return weights;
}

export function shortlistFile(directory: string): string {
  return join(directory, "shortlist.safetensors");
}

/** The shortlist in a run's folder. Throws ConfigError where there is none. */
export async function shortlistIn(
  directory: string,
  tokenizers: { readonly source: Tokenizer; readonly target: Tokenizer },
): Promise<Shortlist> {
  const path = shortlistFile(directory);
  if (!existsSync(path))
    throw new ConfigError(
      "shortlist",
      `${directory} has none. Learn it with heddle shortlist --model ${directory}, or leave the option out.`,
    );
  return readShortlist(path, tokenizers);
}

/** Puts a new adapter on a model, whose own weights then stay as they are; they must come from somewhere. */
export function adapt(model: Module, adapter: AdapterOptions | undefined): void {
  if (adapter === undefined) return;
  addAdapter(model, adapter);
  freezeBase(model);
}

/** Refuses to begin a run that trains an adapter without a base. */
export function refuseBaseless(
  adapter: AdapterOptions | undefined,
  { directory, warmStartFrom }: { directory: string; warmStartFrom?: string | undefined },
): void {
  if (adapter === undefined || warmStartFrom !== undefined || existsSync(join(directory, "checkpoints"))) return;
  throw new ConfigError(
    "model.adapter",
    "adds to a model that is trained already, and none is given. Say which: --warm-start RUN",
  );
}

/** How a run in a folder begins, and how many of its checkpoints stay. */
export interface FolderOptions {
  averageCheckpoints?: number;
  keepCheckpoints?: number;
  /** Weights to begin a new run with: a checkpoint's folder or a safetensors file. */
  warmStartFrom?: string;
}

export interface LearnInFolderOptions extends FolderOptions {
  directory: string;
  seed: number;
  session: SessionOptions;
  listener: Listener;
  /** Weights that a model and the base that it begins with need not both have, besides those of adapters. */
  isOwn?: (name: string) => boolean;
  /** Trains with the run kept, as `learn` does. */
  learn: (keep: KeepRun) => Promise<{ result: TrainingResult }>;
}

/** Trains in a folder, from what lies there on. Gives how it ended, and the run's weights if it has some. */
export async function learnInFolder({
  directory,
  averageCheckpoints = 0,
  keepCheckpoints = 3,
  warmStartFrom,
  seed,
  session,
  listener,
  isOwn = () => false,
  learn,
}: LearnInFolderOptions): Promise<{ result: TrainingResult; weights: Weights | undefined }> {
  let run: RunDirectory | undefined;
  try {
    const { result } = await learn(async (learner) => {
      if (warmStartFrom !== undefined) {
        const path = (await isRunFolder(warmStartFrom)) ? await runWeights(warmStartFrom) : warmStartFrom;
        // The weights of new adapters are not in a base.
        const mayLack = (name: string): boolean => isAdapterParameter(name) || isOwn(name);
        await warmStart(learner.store.values, path!, { mayLack, mayLeave: isOwn, listener });
      }
      const environment = currentEnvironment({
        ...(session.threads !== undefined && { threads: session.threads }),
        ...(session.provider !== undefined && { provider: session.provider }),
      });
      const memory = learner.checkpointMemory;
      const path = directory;
      run = await RunDirectory.open({ path, memory, seed, environment, keepCheckpoints, averageCheckpoints, listener });
      return { state: run.state, recorder: run };
    });
    if (result.reason !== "stopped") await run!.finish();
    const path = await runWeights(directory);
    return { result, weights: path === undefined ? undefined : await readWeights(path) };
  } finally {
    run?.[Symbol.dispose]();
  }
}

async function isRunFolder(path: string): Promise<boolean> {
  return existsSync(join(path, "checkpoints")) && (await runWeights(path)) !== undefined;
}

/** The tokenizer of a run's file, which a new run makes first. */
export async function tokenizerIn(file: string, make: (() => Promise<Tokenizer>) | undefined): Promise<Tokenizer> {
  if (existsSync(file)) return readTokenizer(file);
  if (make === undefined) throw new FormatError(file, "is missing; this is not a finished run's folder");
  const tokenizer = await make();
  await saveTokenizer(file, tokenizer);
  return tokenizer;
}
