// A file of lines that is written over hours and may be gone on with after a kill.
import { open, type FileHandle } from "node:fs/promises";

const newline = 0x0a;
const chunkBytes = 2 ** 20;

/**
 * Lines appended to a file, each with its line break in one write. With `resume` those that stand there whole are kept, and what a kill left of the
 * last one is cut off.
 */
export class LineFile {
  /** Whole lines that stood there. */
  readonly before: number;
  readonly #file: FileHandle;
  #bytes: number;

  private constructor(file: FileHandle, before: number, bytes: number) {
    this.#file = file;
    this.before = before;
    this.#bytes = bytes;
  }

  static async open(path: string, { resume = false }: { resume?: boolean } = {}): Promise<LineFile> {
    if (!resume) return new LineFile(await open(path, "w"), 0, 0);
    const file = await openExisting(path);
    try {
      const { lines, bytes } = await wholeLines(file);
      await file.truncate(bytes);
      return new LineFile(file, lines, bytes);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async write(line: string): Promise<void> {
    const bytes = Buffer.from(`${line}\n`);
    for (let written = 0; written < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, written, bytes.length - written, this.#bytes);
      written += bytesWritten;
      this.#bytes += bytesWritten;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** Opens a file to read and write, empty where there is none. */
async function openExisting(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return open(path, "w+");
  }
}

async function wholeLines(file: FileHandle): Promise<{ lines: number; bytes: number }> {
  const chunk = new Uint8Array(chunkBytes);
  let [lines, bytes] = [0, 0];
  for (let offset = 0; ;) {
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, offset);
    if (bytesRead === 0) return { lines, bytes };
    for (let i = 0; i < bytesRead; i++) {
      if (chunk[i] !== newline) continue;
      lines++;
      bytes = offset + i + 1;
    }
    offset += bytesRead;
  }
}
