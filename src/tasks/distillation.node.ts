// Sequence-level knowledge distillation: a corpus whose targets a teacher wrote. Kim and Rush 2016, section 3.2.
import { open, type FileHandle } from "node:fs/promises";
import { DataError, silent, type Listener } from "../base/index.ts";
import { fileLines } from "../data/index.node.ts";

/** Whoever translates lines that come one by one; a `Translation` does. */
export interface Teacher {
  generateEach(lines: AsyncIterable<string>): AsyncIterable<readonly { readonly text: string }[]>;
}

export interface DistillOptions {
  teacher: Teacher;
  /** Reads the sources from the first on, each time that it is called. */
  sources: () => AsyncIterable<string>;
  /** The file to write, or to go on with: JSON Lines with the fields `source` and `target`. */
  output: string;
  signal?: AbortSignal;
  listener?: Listener;
}

export interface Distilled {
  /** Lines of the file now. */
  readonly lines: number;
  /** Those of them that were there before. */
  readonly kept: number;
}

/**
 * Writes each source with the teacher's translation of it, in order, line by line. A file that is there already is gone on with,
 * after its last whole line; its sources must be those of the data.
 *
 * Throws DataError where the file holds something else.
 * @example
 * await distill({ teacher: await openTranslation("runs/en-de"), sources: () => corpus.lines("source"), output: "distilled.jsonl" });
 */
export async function distill({
  teacher,
  sources,
  output,
  signal,
  listener = silent,
}: DistillOptions): Promise<Distilled> {
  let total = 0;
  for await (const _ of sources()) total++;
  await using file = await openToAppend(output);
  const kept = await file.wholeLines();
  await refuseOther(sources(), { output, kept });
  let done = kept;
  const task = `distilling into ${output}`;
  if (kept > 0 && kept < total)
    listener({ type: "log", level: "info", message: `${output}: going on after ${kept} of ${total} lines` });
  const remaining: string[] = [];
  const left = remember(skip(sources(), kept), remaining);
  for await (const [best] of teacher.generateEach(left)) {
    await file.append(`${JSON.stringify({ source: remaining.shift(), target: best?.text ?? "" })}\n`);
    listener({ type: "progress", task, done: ++done, total });
    signal?.throwIfAborted();
  }
  return { lines: done, kept };
}

async function* skip(lines: AsyncIterable<string>, count: number): AsyncGenerator<string> {
  let seen = 0;
  for await (const line of lines) if (seen++ >= count) yield line;
}

async function* remember(lines: AsyncIterable<string>, into: string[]): AsyncGenerator<string> {
  for await (const line of lines) {
    into.push(line);
    yield line;
  }
}

/** The lines that are there must be translations of these sources. */
async function refuseOther(
  sources: AsyncIterable<string>,
  { output, kept }: { output: string; kept: number },
): Promise<void> {
  if (kept === 0) return;
  const wanted = sources[Symbol.asyncIterator]();
  let line = 0;
  for await (const text of fileLines(output)) {
    line++;
    const { value, done } = await wanted.next();
    if (done === true || sourceIn(text) !== value)
      throw new DataError(
        output,
        line,
        `its source is not line ${line} of the data${done === true ? ", which has fewer" : ""}. Name another file, or remove this one.`,
      );
  }
  await wanted.return?.();
}

function sourceIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { source?: unknown } | null)?.source;
  } catch {
    return undefined;
  }
}

const newline = 10;

/** A file that lines are added to. */
class LineFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Counts the lines that end, and cuts off one that does not. */
  async wholeLines(): Promise<number> {
    const chunk = new Uint8Array(1 << 16);
    let [lines, at, wholeBytes] = [0, 0, 0];
    for (;;) {
      const { bytesRead } = await this.#handle.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) break;
      for (let i = 0; i < bytesRead; i++) {
        if (chunk[i] !== newline) continue;
        lines++;
        wholeBytes = at + i + 1;
      }
      at += bytesRead;
    }
    await this.#handle.truncate(wholeBytes);
    return lines;
  }

  async append(text: string): Promise<void> {
    await this.#handle.appendFile(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

async function openToAppend(path: string): Promise<LineFile> {
  return new LineFile(await open(path, "a+"));
}
