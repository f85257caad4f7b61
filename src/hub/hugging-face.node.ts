// Folders in Hugging Face's layout, in and out: config.json, generation_config.json, and weights in one file or in shards.
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { FormatError, type HostTensor } from "../base/index.ts";
import { openSafetensors, writeSafetensors, type SafetensorsFile } from "../formats/index.node.ts";
import type { Module } from "../nn/index.ts";
import { checkDuplicate, Conversion, toHub, type HubModel, type ModelClass, type Weights } from "./conversion.ts";
import type { HubConfig } from "./family.ts";
import { generationKeys } from "./generation-keys.ts";
import { readObject, writeObject } from "./json-object.node.ts";

/** A folder's contents; `generationConfig` is what `generate` of decode/ takes. */
export interface HuggingFaceModel<Model extends Module = Module> extends HubModel<Model> {
  readonly generationConfig: HubConfig;
}

const hubFolder = "A folder in Hugging Face's layout";
const configFile = "config.json";
const generationFile = "generation_config.json";
const weightsFile = "model.safetensors";
const indexFile = "model.safetensors.index.json";

/**
 * Reads a folder, whatever 16- or 32-bit floats it stores, into float32. The model is of the class that config.json stands for:
 * `as` says which one is wanted. Names and shapes are compared before weights are read.
 * A folder without generation_config.json has those settings in its config.json.
 * Throws ConfigError for a model that is not supported or of another class, and FormatError, naming the tensor, for weights that
 * do not fit.
 *
 * @example
 * const { model, weights, generationConfig } = await loadHuggingFace("opus-mt-en-de", { as: Transformer });
 * const decoder = new TransformerDecoder(model, weights);
 */
export async function loadHuggingFace<Model extends Module = Module>(
  folder: string,
  { as }: { as?: ModelClass<Model> } = {},
): Promise<HuggingFaceModel<Model>> {
  const config = await readObject(join(folder, configFile), hubFolder);
  const conversion = new Conversion(config, as);
  const names = await readdir(folder);
  const generationConfig = names.includes(generationFile)
    ? await readObject(join(folder, generationFile), hubFolder)
    : Object.fromEntries(Object.entries(config).filter(([key]) => generationKeys.has(key)));
  await using files = await openWeights(folder, names);
  const tensors = conversion.named(files.tensors);
  const read = (name: string): Promise<HostTensor> => tensors.get(name)!.read();

  const duplicates = conversion.check(tensors, folder);
  const weights: Weights = new Map();
  const unusedRows: Weights = new Map();
  for (const pairing of conversion.pairings) {
    const { weight, unused } = conversion.read(pairing, await read(pairing.stored.name), folder);
    weights.set(pairing.ours, weight);
    if (unused !== undefined) unusedRows.set(pairing.ours, unused);
  }
  for (const [name, spare] of duplicates)
    checkDuplicate(name, await read(name), "of" in spare ? await read(spare.of) : spare.values(), folder);
  return { model: conversion.model, weights, config, generationConfig, unusedRows };
}

/** The tensors of one or of several files. */
interface WeightFiles extends AsyncDisposable {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

interface StoredTensor {
  readonly dims: readonly number[];
  readonly read: () => Promise<HostTensor>;
}

async function openWeights(folder: string, names: readonly string[]): Promise<WeightFiles> {
  if (names.includes(weightsFile)) {
    const file = await openSafetensors(join(folder, weightsFile));
    const tensors = [...file.header.tensors].map(
      ([name, { dims }]) => [name, { dims, read: () => file.read(name) }] as const,
    );
    return { tensors: new Map(tensors), [Symbol.asyncDispose]: () => file.close() };
  }
  if (names.includes(indexFile)) return openShards(folder);
  const others = names.filter((name) => /\.(bin|h5|msgpack|ot)$/.test(name));
  const hint = others.length > 0 ? ` It has ${others.join(", ")}: convert the weights to safetensors first.` : "";
  throw new FormatError(folder, `holds neither ${weightsFile} nor ${indexFile}.${hint}`);
}

async function openShards(folder: string): Promise<WeightFiles> {
  const place = join(folder, indexFile);
  const { weight_map: map } = await readObject(place, hubFolder);
  if (typeof map !== "object" || map === null)
    throw new FormatError(place, `weight_map, from tensors to files, was wanted, got ${JSON.stringify(map)}`);
  const fileOf = new Map<string, string>(Object.entries(map));
  const open = new Map<string, SafetensorsFile>();
  const close = async (): Promise<void> => {
    for (const file of open.values()) await file.close();
  };
  try {
    const tensors = new Map<string, StoredTensor>();
    for (const [name, file] of fileOf) {
      // A path would let an index read files outside its folder.
      if (typeof file !== "string" || /[/\\]/.test(file))
        throw new FormatError(place, `tensor "${name}" must name a file in this folder (got ${JSON.stringify(file)})`);
      if (!open.has(file)) open.set(file, await openSafetensors(join(folder, file)));
      const shard = open.get(file)!;
      const entry = shard.header.tensors.get(name);
      if (entry === undefined)
        throw new FormatError(place, `says that tensor "${name}" is in ${file}, which does not hold it`);
      tensors.set(name, { dims: entry.dims, read: () => shard.read(name) });
    }
    for (const [file, { header }] of open) {
      const stray = [...header.tensors.keys()].find((name) => fileOf.get(name) !== file);
      if (stray !== undefined) throw new FormatError(place, `does not list tensor "${stray}", which is in ${file}`);
    }
    return { tensors, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

export interface SaveHuggingFaceOptions {
  /** config.json, from which the model must have been built. */
  config: HubConfig;
  weights: ReadonlyMap<string, HostTensor>;
  generationConfig?: HubConfig;
  /** What `loadHuggingFace` gave under this name. */
  unusedRows?: ReadonlyMap<string, HostTensor>;
  /** Weights of more bytes than this go into several files and an index. */
  maxShardBytes?: number;
}

/**
 * Writes a folder that `loadHuggingFace` and Hugging Face's library read. Weights are stored as float32, tied ones once.
 * Throws FormatError for weights that do not fit the configuration, and for a folder that holds weights already.
 *
 * @example
 * const { config, generationConfig, weights, unusedRows } = await loadHuggingFace("opus-mt-en-de");
 * await saveHuggingFace("fine-tuned", { config, generationConfig, weights, unusedRows });
 */
export async function saveHuggingFace(
  folder: string,
  { config, weights, generationConfig, unusedRows = new Map(), maxShardBytes = 5e9 }: SaveHuggingFaceOptions,
): Promise<void> {
  const tensors = toHub({ config, weights, unusedRows });
  await mkdir(folder, { recursive: true });
  const there = (await readdir(folder)).filter((name) => /^model.*\.safetensors(\.index\.json)?$/.test(name));
  if (there.length > 0)
    throw new FormatError(folder, `holds ${there.join(", ")} already. Name another folder, or remove them.`);
  const shards = shardsOf(tensors, maxShardBytes);
  const metadata = { format: "pt" };
  if (shards.length === 1) await writeSafetensors(join(folder, weightsFile), tensors, { metadata });
  else {
    const weightMap: Record<string, string> = {};
    for (const [i, shard] of shards.entries()) {
      const name = `model-${String(i + 1).padStart(5, "0")}-of-${String(shards.length).padStart(5, "0")}.safetensors`;
      await writeSafetensors(join(folder, name), shard, { metadata });
      for (const tensor of shard.keys()) weightMap[tensor] = name;
    }
    const totalSize = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
    await writeObject(join(folder, indexFile), { metadata: { total_size: totalSize }, weight_map: weightMap });
  }
  if (generationConfig !== undefined) await writeObject(join(folder, generationFile), generationConfig);
  await writeObject(join(folder, configFile), { ...config, torch_dtype: "float32" });
}

/** Tensors in their order, a new shard where the next one would exceed the limit; one that exceeds it alone stands alone. */
function shardsOf<T extends HostTensor>(tensors: ReadonlyMap<string, T>, maxShardBytes: number): Map<string, T>[] {
  const shards = [new Map<string, T>()];
  let bytes = 0;
  for (const [name, tensor] of tensors) {
    if (bytes > 0 && bytes + tensor.data.byteLength > maxShardBytes) {
      shards.push(new Map());
      bytes = 0;
    }
    bytes += tensor.data.byteLength;
    shards.at(-1)!.set(name, tensor);
  }
  return shards;
}
