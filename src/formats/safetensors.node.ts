// safetensors on the disk: single tensors read by position, files written whole or not at all.
import { open, type FileHandle } from "node:fs/promises";
import { FormatError, type HostTensor } from "../base/index.ts";
import { encodeSafetensors } from "./safetensors.ts";
import {
  lengthBytes,
  readSafetensorsHeader,
  safetensorsHeaderBytes,
  type SafetensorsHeader,
} from "./safetensors-header.ts";
import { tensorFromBytes } from "./tensor-bytes.ts";
import { writeAside } from "./write-aside.node.ts";

/** One read call takes less than 2 GiB. */
const bytesPerRead = 2 ** 30;

/** An open file whose header has been read and checked; tensors are read one at a time, when asked for. */
export class SafetensorsFile implements AsyncDisposable {
  readonly path: string;
  readonly header: SafetensorsHeader;
  readonly #file: FileHandle;

  /** Use openSafetensors. */
  constructor(path: string, header: SafetensorsHeader, file: FileHandle) {
    this.path = path;
    this.header = header;
    this.#file = file;
  }

  /** The tensor of this name, read from the disk into memory of its own. */
  async read(name: string): Promise<HostTensor> {
    const place = `${this.path}, tensor "${name}"`;
    const entry = this.header.tensors.get(name);
    if (entry === undefined)
      throw new FormatError(place, `is not in the file, which holds ${this.header.tensors.size} tensors`);
    const { dtype, dims, begin, end } = entry;
    return tensorFromBytes(dtype, dims, await readAt(this.#file, begin, end - begin, place), place);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens a file of any size and checks its header. Close it, or declare it with `await using`.
 *
 * @example
 * await using file = await openSafetensors("model.safetensors");
 * const weight = await file.read("encoder.layers.0.selfAttention.query.weight");
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await open(path, "r");
  try {
    const { size: fileBytes } = await file.stat();
    const start = await readAt(file, 0, Math.min(lengthBytes, fileBytes), path);
    const head = await readAt(file, 0, safetensorsHeaderBytes(start, fileBytes, path), path);
    return new SafetensorsFile(path, readSafetensorsHeader(head, { place: path, fileBytes }), file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readAt(file: FileHandle, begin: number, length: number, place: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, Math.min(bytesPerRead, length - done), begin + done);
    if (bytesRead === 0)
      throw new FormatError(place, `the file ended after ${done} of ${length} bytes: it shrank while it was read`);
    done += bytesRead;
  }
  return bytes;
}

/**
 * Writes the tensors, straight from their own memory. The file appears by rename: see writeAside.
 *
 * @example
 * await writeSafetensors("model.safetensors", [["weight", hostTensor("float32", [2], [1, 2])]], { metadata: { format: "pt" } });
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [name: string, tensor: HostTensor]>,
  { metadata = {} }: { metadata?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  await writeAside(path, encodeSafetensors(tensors, { metadata }));
}
