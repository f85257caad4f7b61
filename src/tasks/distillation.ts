// Sequence-level knowledge distillation: a corpus whose targets a teacher wrote. Kim and Rush 2016, section 3.2.
import { DataError, silent, type Listener } from "../base/index.ts";
import { SearchAborted } from "../decode/index.ts";

/** Whoever translates lines that come one by one; a `Translation` does. */
export interface Teacher {
  generateEach(lines: AsyncIterable<string>): AsyncIterable<readonly { readonly text: string }[]>;
}

export interface DistillOptions {
  teacher: Teacher;
  /** Reads the sources from the first on, each time that it is called. */
  sources: () => AsyncIterable<string>;
  /** Takes the lines: JSON objects with the fields `source` and `target`. */
  write: (line: string) => Promise<void>;
  /** Lines that an earlier call wrote, which this one goes on after. */
  written?: AsyncIterable<string> | Iterable<string>;
  /** What messages call the output. */
  name: string;
  signal?: AbortSignal;
  listener?: Listener;
}

export interface Distilled {
  /** Lines in all. */
  readonly lines: number;
  /** Those of them that were there before. */
  readonly kept: number;
}

/**
 * Writes each source with the teacher's translation of it, in order, line by line. What was written before is gone on with; its
 * sources must be those of the data.
 *
 * Throws DataError where they are others.
 * @example
 * const lines: string[] = [];
 * await distill({ teacher: translation, sources: () => corpus.lines("source"), write: async (line) => void lines.push(line), name: "distilled" });
 */
export async function distill({
  teacher,
  sources,
  write,
  written = [],
  name,
  signal,
  listener = silent,
}: DistillOptions): Promise<Distilled> {
  let total = 0;
  for await (const _ of sources()) total++;
  const kept = await linesThatFit(written, sources(), name);
  if (kept > 0 && kept < total)
    listener({ type: "log", level: "info", message: `${name}: going on after ${kept} of ${total} lines` });
  let done = kept;
  const asked: string[] = [];
  for await (const [best] of teacher.generateEach(remember(skip(sources(), kept), asked))) {
    await write(JSON.stringify({ source: asked.shift(), target: best?.text ?? "" }));
    listener({ type: "progress", task: `distilling into ${name}`, done: ++done, total });
    if (signal?.aborted === true) throw new SearchAborted(`${name}: stopped after line ${done}`);
  }
  return { lines: done, kept };
}

/** How many lines there are, each a translation of the source in its place. */
async function linesThatFit(
  written: AsyncIterable<string> | Iterable<string>,
  sources: AsyncIterable<string>,
  name: string,
): Promise<number> {
  const wanted = sources[Symbol.asyncIterator]();
  let line = 0;
  for await (const text of written) {
    line++;
    const { value, done } = await wanted.next();
    if (done === true || sourceIn(text) !== value)
      throw new DataError(
        name,
        line,
        `its source is not line ${line} of the data${done === true ? ", which has fewer" : ""}. Name another file, or remove this one.`,
      );
  }
  await wanted.return?.();
  return line;
}

function sourceIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { source?: unknown } | null)?.source;
  } catch {
    return undefined;
  }
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
