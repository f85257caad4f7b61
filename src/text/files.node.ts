// tokenizer.json on disk: it appears complete or not at all.
import { open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { DataError, FormatError } from "../base/index.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Writes `tokenizer.json`: written aside, flushed, then renamed over what was there. */
export async function saveTokenizer(path: string, tokenizer: Tokenizer): Promise<void> {
  const aside = `${path}.${process.pid}.partial`;
  try {
    const file = await open(aside, "w");
    try {
      await file.writeFile(`${JSON.stringify(tokenizer, undefined, 1)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw new DataError(path, undefined, `cannot be written (${(error as Error).message}).`);
  }
  await syncFolder(dirname(path));
}

/** The rename itself is on disk only once the folder is; not every system lets a folder be flushed. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Reads a `tokenizer.json`.
 *
 * @throws DataError when there is no such file; FormatError when it is truncated, damaged, or not implemented
 */
export async function readTokenizer(path: string): Promise<Tokenizer> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new DataError(path, undefined, `cannot be read (${(error as Error).message}).`);
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new FormatError(path, `is not whole JSON (${(error as Error).message}). Is it truncated, or another kind of file?`);
  }
  return loadTokenizer(json, path);
}
