// A folder with an adapter and nothing of its base: adapter_config.json and adapter_model.safetensors, as PEFT names them.
import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { FormatError, type HostTensor } from "../base/index.ts";
import { openSafetensors, syncFolder, toFloat32, writeAside, writeSafetensors } from "../formats/index.node.ts";
import { isAdapterParameter, type AdapterOptions, type Module } from "../nn/index.ts";
import {
  adapterConfig,
  adapterOptionsOf,
  adapterValues,
  fitAdapter,
  storedTensors,
  type Adapter,
} from "./adapter-format.ts";
import type { Weights } from "./conversion.ts";
import { readObject } from "./json-object.node.ts";

const configFile = "adapter_config.json";
const weightsFile = "adapter_model.safetensors";

/**
 * Writes the adapters among a model's values into a folder of their own, which appears whole or not at all.
 * Throws FormatError where there are none, and for a folder that holds something already.
 *
 * @example
 * await saveAdapter("adapters/weather", { options: { kind: "lora", targets: ["query", "value"], rank: 8 }, values });
 */
export async function saveAdapter(
  folder: string,
  { options, values }: { options: AdapterOptions; values: ReadonlyMap<string, HostTensor> },
): Promise<void> {
  const own: Weights = new Map(
    [...values].filter(([name]) => isAdapterParameter(name)).map(([name, tensor]) => [name, toFloat32(tensor, name)]),
  );
  if (own.size === 0)
    throw new FormatError(folder, "no adapter is among the values to be saved: add one and train it.");
  const path = resolve(folder);
  if ((await namesIn(path)).length > 0)
    throw new FormatError(folder, "holds files already. Name another folder, or remove it.");
  await mkdir(dirname(path), { recursive: true });
  const aside = join(dirname(path), `.tmp-${basename(path)}-${randomUUID()}`);
  try {
    await mkdir(aside);
    await writeSafetensors(join(aside, weightsFile), storedTensors(own), { metadata: { format: "pt" } });
    const text = `${JSON.stringify(adapterConfig({ options, values: own }), undefined, 2)}\n`;
    await writeAside(join(aside, configFile), [new TextEncoder().encode(text)]);
    await rename(aside, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Reads an adapter's folder. Throws FormatError for a folder that is none, and for options that cannot be honoured.
 *
 * @example
 * const adapter = await readAdapter("adapters/weather");
 * addAdapter(model, adapter.options);
 * const values = new Map([...base, ...fitAdapter(model, adapter)]);
 */
export async function readAdapter(folder: string): Promise<Adapter> {
  const options = adapterOptionsOf(
    await readObject(join(folder, configFile), "The folder of an adapter"),
    join(folder, configFile),
  );
  const path = join(folder, weightsFile);
  await using file = await openSafetensors(path);
  const tensors: Weights = new Map();
  for (const name of file.header.tensors.keys())
    tensors.set(name, toFloat32(await file.read(name), `${path}, tensor "${name}"`));
  return { options, values: adapterValues(tensors, path) };
}

/**
 * The values of a folder for a model that has adapters of its kind already: see `fitAdapter`.
 *
 * @example
 * await decoder.swapAdapter(await loadAdapter("adapters/sport", model));
 */
export async function loadAdapter(folder: string, model: Module): Promise<Weights> {
  return fitAdapter(model, await readAdapter(folder), folder);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return [];
    throw error;
  }
}
