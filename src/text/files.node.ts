// tokenizer.json on disk: it appears complete or not at all.
import { readFile } from "node:fs/promises";
import { DataError, FormatError } from "../base/index.ts";
import { writeAside } from "../formats/index.node.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Writes `tokenizer.json`: written aside, flushed, then renamed over what was there.
 *
 * @example
 * await saveTokenizer("tokenizer.json", BpeTokenizer.train(["low lower lowest"]));
 */
export async function saveTokenizer(path: string, tokenizer: Tokenizer): Promise<void> {
  try {
    await writeAside(path, [new TextEncoder().encode(`${JSON.stringify(tokenizer, undefined, 1)}\n`)]);
  } catch (error) {
    throw new DataError(path, undefined, `cannot be written (${messageOf(error)}).`);
  }
}

/**
 * Reads a `tokenizer.json`.
 *
 * @throws DataError when there is no such file; FormatError when it is truncated, damaged, or not implemented
 *
 * @example
 * await saveTokenizer("tokenizer.json", BpeTokenizer.train(["low lower lowest"]));
 * const tokenizer = await readTokenizer("tokenizer.json");
 */
export async function readTokenizer(path: string): Promise<Tokenizer> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new DataError(path, undefined, `cannot be read (${messageOf(error)}).`);
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new FormatError(path, `is not whole JSON (${messageOf(error)}). Is it truncated, or another kind of file?`);
  }
  return loadTokenizer(json, path);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
