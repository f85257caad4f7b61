// Files that appear whole or not at all: written under another name, flushed, then renamed.
import { randomUUID } from "node:crypto";
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** One write call takes less than 2 GiB, and a kill should not have to wait for it. */
const bytesPerWrite = 2 ** 26;

/**
 * Writes the pieces one after the other to `.tmp-…` in the same folder, flushes that to the disk and renames it to `path`.
 * Whatever happens on the way (an error, a full disk, a kill, a power cut), `path` holds the old content or the new.
 * After an error the file written aside is removed; after a kill it stays, under a name that no reader looks for.
 *
 * @example
 * await writeAside("state.json", [new TextEncoder().encode("{}")]);
 */
export async function writeAside(
  path: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const aside = join(dirname(path), `.tmp-${basename(path)}-${randomUUID()}`);
  try {
    const file = await open(aside, "wx");
    try {
      for await (const piece of pieces) await writeAll(file, piece);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

async function writeAll(file: FileHandle, piece: Uint8Array): Promise<void> {
  for (let position = 0; position < piece.byteLength;) {
    const { bytesWritten } = await file.write(piece, position, Math.min(bytesPerWrite, piece.byteLength - position));
    position += bytesWritten;
  }
}

/** Flushes a folder's list of names, so that a rename in it outlives a power cut. Windows has no such call and needs none. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
