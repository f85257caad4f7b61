// One checkpoint on the disk: step-00012000/{model.safetensors,optimizer.safetensors,state.json}. It appears by rename or not at all.
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FormatError, HeddleError, type HostTensor } from "../base/index.ts";
import {
  encodeSafetensors,
  openSafetensors,
  syncFolder,
  writeAside,
  type SafetensorsFile,
} from "../formats/index.node.ts";
import type { Environment } from "./environment.node.ts";
import type { TrainingState } from "./training-state.ts";

export type NamedTensors = Readonly<Record<string, HostTensor<"float32">>>;

/** The arrays that a checkpoint is written from and read into, by name; views of the memory that training uses. */
export interface CheckpointMemory {
  readonly model: NamedTensors;
  readonly optimizer: NamedTensors;
}

/** A checkpoint that was read and found whole. */
export interface Checkpoint {
  readonly path: string;
  readonly state: TrainingState;
  readonly environment: Environment;
  /** Whether only a stop request brought it, off the plan of the run. */
  readonly isInterim: boolean;
}

/** Files aside carry this prefix; whoever meets one after a kill may delete it. */
export const asidePrefix = ".tmp-";
const stateFormat = 1;
const weightFiles = ["model", "optimizer"] as const;

type WeightFile = (typeof weightFiles)[number];
type Checksums = Readonly<Record<WeightFile, string>>;

interface StateFile extends TrainingState {
  readonly format: number;
  readonly environment: Environment;
  readonly isInterim: boolean;
  /** SHA-256 of the two files. */
  readonly checksums: Checksums;
}

export function checkpointName(step: number): string {
  return `step-${String(step).padStart(8, "0")}`;
}

/** The step of a checkpoint's folder; undefined for another name. */
export function stepOfName(name: string): number | undefined {
  const digits = /^step-(\d{8,})$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export interface WriteCheckpointOptions {
  state: TrainingState;
  memory: CheckpointMemory;
  environment: Environment;
  isInterim?: boolean;
}

/**
 * Writes `<folder>/step-…`: aside first, each file flushed, then renamed. One of that name that lies there already is replaced.
 * Throws HeddleError where the disk is full; nothing of the checkpoint stays then, and the others are as they were.
 *
 * @example
 * const path = await writeCheckpoint("runs/en-de/checkpoints", { state, memory, environment });
 */
export async function writeCheckpoint(
  folder: string,
  { state, memory, environment, isInterim = false }: WriteCheckpointOptions,
): Promise<string> {
  const path = join(folder, checkpointName(state.step));
  const aside = join(folder, `${asidePrefix}${checkpointName(state.step)}-${randomUUID()}`);
  try {
    await mkdir(aside);
    const checksums: Record<WeightFile, string> = { model: "", optimizer: "" };
    for (const file of weightFiles) {
      const pieces = encodeSafetensors(Object.entries(memory[file]), { metadata: { format: "pt" } });
      const hash = createHash("sha256");
      for (const piece of pieces) hash.update(piece);
      checksums[file] = hash.digest("hex");
      await writeAside(join(aside, `${file}.safetensors`), pieces);
    }
    const text = stateText({ format: stateFormat, ...state, environment, isInterim, checksums });
    await writeAside(join(aside, "state.json"), [new TextEncoder().encode(text)]);
    await removeAside(path);
    await rename(aside, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    throw diskProblem(path, error);
  }
  return path;
}

/** Deletes a folder so that a kill on the way leaves it whole or out of sight. */
export async function removeAside(path: string): Promise<void> {
  const aside = join(dirname(path), `${asidePrefix}removed-${randomUUID()}`);
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

/**
 * Reads a checkpoint's state and checks every byte of it. Throws FormatError for one that is damaged or not whole, naming the
 * file and, where the damage lies in a tensor that can still be told, the tensor.
 *
 * @example
 * const { state } = await readCheckpoint("runs/en-de/checkpoints/step-00012000");
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const { format: _, checksums, environment, isInterim, ...state } = await readState(join(path, "state.json"));
  for (const file of weightFiles) {
    const place = join(path, `${file}.safetensors`);
    const found = await sha256(place);
    if (found === checksums[file]) continue;
    // The header's own check may say more, for example which tensor the file is too short for.
    await (await openSafetensors(place)).close();
    throw new FormatError(
      place,
      `is damaged: its SHA-256 is ${found}, it was written as ${checksums[file]}. Use another checkpoint.`,
    );
  }
  return { path, state, environment, isInterim };
}

/**
 * Fills `memory` from a checkpoint that `readCheckpoint` found whole. All names and shapes are compared before the first array
 * changes. Throws FormatError naming the tensor and both shapes where they differ.
 *
 * @example
 * await loadCheckpoint("runs/en-de/checkpoints/step-00012000", memory);
 */
export async function loadCheckpoint(path: string, memory: CheckpointMemory): Promise<void> {
  await using model = await openSafetensors(join(path, "model.safetensors"));
  await using optimizer = await openSafetensors(join(path, "optimizer.safetensors"));
  const files = { model, optimizer };
  for (const file of weightFiles) checkNamesAndShapes(files[file], memory[file]);
  for (const file of weightFiles) await readInto(files[file], memory[file]);
}

/** Copies the tensors of these names from a file whose names and shapes were compared. */
export async function readInto(file: SafetensorsFile, tensors: NamedTensors): Promise<void> {
  for (const [name, { data }] of Object.entries(tensors)) data.set((await file.read(name)).data as Float32Array);
}

/** What of a file does not fit these tensors; undefined where a tensor fits. */
export function misfit(file: SafetensorsFile, name: string, wanted: HostTensor | undefined): string | undefined {
  const stored = file.header.tensors.get(name);
  if (wanted === undefined) return `is ${shapeText(stored!)} in the file, and the model has no such tensor`;
  if (stored === undefined) return `is ${shapeText(wanted)} in the model and missing from the file`;
  if (shapeText(stored) === shapeText(wanted)) return undefined;
  return `is ${shapeText(stored)} in the file and ${shapeText(wanted)} in the model`;
}

function checkNamesAndShapes(file: SafetensorsFile, tensors: NamedTensors): void {
  for (const name of new Set([...Object.keys(tensors), ...file.header.tensors.keys()])) {
    const problem = misfit(file, name, tensors[name]);
    if (problem === undefined) continue;
    throw new FormatError(
      `${file.path}, tensor "${name}"`,
      `${problem}. Go on with the configuration that the run began with, or start a new run.`,
    );
  }
}

function shapeText({ dtype, dims }: Pick<HostTensor, "dtype" | "dims">): string {
  return `${dtype} [${dims.join(", ")}]`;
}

/** The state with a checksum of its own: a flipped digit of the step would be read without complaint. */
function stateText(state: StateFile): string {
  const checksum = createHash("sha256").update(JSON.stringify(state)).digest("hex");
  return `${JSON.stringify({ ...state, checksum }, undefined, 2)}\n`;
}

async function readState(place: string): Promise<StateFile> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(place, "utf8"));
  } catch (error) {
    if (codeOf(error) === "ENOENT")
      throw new FormatError(place, "is missing: this is no checkpoint, or not a whole one.");
    if (error instanceof SyntaxError)
      throw new FormatError(place, `is damaged: it is not JSON (${error.message}). Use another checkpoint.`);
    throw error;
  }
  if (typeof parsed !== "object" || parsed === null || !("format" in parsed) || !("checksum" in parsed)) {
    throw new FormatError(place, "is not the state of a checkpoint: format and checksum are missing.");
  }
  const { checksum, ...state } = parsed;
  if (checksum !== createHash("sha256").update(JSON.stringify(state)).digest("hex")) {
    throw new FormatError(place, "is damaged: it differs from what was written. Use another checkpoint.");
  }
  if (state.format !== stateFormat) {
    throw new FormatError(
      place,
      `has format ${String(state.format)}, this version of Heddle reads format ${stateFormat}.`,
    );
  }
  return state as StateFile;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Uint8Array);
  } catch (error) {
    if (codeOf(error) === "ENOENT") throw new FormatError(path, "is missing: the checkpoint is not whole.");
    throw error;
  }
  return hash.digest("hex");
}

/** A disk that takes no more, in words; any other error as it is. */
function diskProblem(path: string, error: unknown): unknown {
  const problem = {
    ENOSPC: "no space is left on the device",
    EDQUOT: "the disk quota is used up",
    EFBIG: "the file would be larger than is allowed",
  }[codeOf(error) ?? ""];
  if (problem === undefined) return error;
  const text = `${path}: could not be written: ${problem}. Earlier checkpoints are intact: make room and give the same command to go on.`;
  return new HeddleError(text, { cause: error });
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
