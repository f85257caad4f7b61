// Lines of a text file, gzip or plain, with every way a file can fail put into words.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { DataError, silent, type Listener } from "../base/index.ts";
import { readLines } from "./lines.ts";

export interface FileOptions {
  /** Hears warnings, such as a dropped byte order mark; once per file. */
  listener?: Listener;
}

/**
 * The lines of a file; a name ending in `.gz` is read as gzip. Lines are what `readLines` says they are.
 *
 * Throws DataError for a file that is missing, a folder, empty, unreadable, damaged or not UTF-8.
 *
 * @example
 * for await (const line of fileLines("test.en.gz")) line.length;
 */
export async function* fileLines(
  path: string,
  { listener = silent }: FileOptions = {},
): AsyncGenerator<string, void, undefined> {
  await checkFile(path);
  let isEmpty = true;
  try {
    for await (const line of readLines(isGzip(path) ? unzipped(path) : createReadStream(path), {
      name: path,
      listener,
    })) {
      isEmpty = false;
      yield line;
    }
  } catch (error) {
    throw asDataError(path, error);
  }
  if (isEmpty) throw emptyFile(path);
}

/** Refuses at once what could never be read, so that a wrong path is heard of before hours of training. */
export async function checkFile(path: string): Promise<void> {
  try {
    const found = await stat(path);
    if (found.isDirectory())
      throw new DataError(path, undefined, "a folder where a file was expected. Name a file in it.");
    // A pipe has no size before it is read.
    if (found.isFile() && found.size === 0) throw emptyFile(path);
  } catch (error) {
    throw asDataError(path, error);
  }
}

/** What the listener hears, less what it has heard before: a corpus is read many times and warns once. */
export function warnOnce(listener: Listener): Listener {
  const heard = new Set<string>();
  return (event) => {
    if (event.type === "log") {
      if (heard.has(event.message)) return;
      heard.add(event.message);
    }
    listener(event);
  };
}

function isGzip(path: string): boolean {
  return path.toLowerCase().endsWith(".gz");
}

async function* unzipped(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const gunzip = createGunzip();
  const file = createReadStream(path);
  // A failure of the file destroys the gunzip with the same error, which the loop below throws.
  pipeline(file, gunzip, () => {});
  for await (const chunk of gunzip) yield chunk as Uint8Array;
  // A zero byte behind a complete member makes zlib stop without a word, whatever follows: half a corpus could vanish so.
  const left = file.bytesRead - gunzip.bytesWritten;
  if (left > 0)
    throw new DataError(
      path,
      undefined,
      `${left} bytes after the gzip data were not read, as they begin with a zero. The file is damaged: fetch or compress it again.`,
    );
}

function emptyFile(path: string): DataError {
  return new DataError(path, undefined, "the file is empty. Name a file with at least one line.");
}

function asDataError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error)) return error;
  const problem = problemOf(String(error.code));
  return problem === undefined ? error : new DataError(path, undefined, problem);
}

function problemOf(code: string): string | undefined {
  if (code === "ENOENT" || code === "ENOTDIR")
    return "there is no such file. Check the path, which starts from the current folder.";
  if (code === "EISDIR") return "a folder where a file was expected. Name a file in it.";
  if (code === "EACCES" || code === "EPERM")
    return "no permission to read the file. Change its permissions or name another.";
  if (code === "Z_BUF_ERROR") return "the gzip data end too early. The file was cut short: fetch or compress it again.";
  if (code.startsWith("Z_"))
    return "damaged gzip data, or not gzip at all. Fetch the file again, or drop .gz from its name if it is plain text.";
  return undefined;
}
