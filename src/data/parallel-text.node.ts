// Two text files, line n of one the translation of line n of the other.
import { ConfigError, DataError, silent } from "../base/index.ts";
import { Corpus, type PairRecord } from "./corpus.ts";
import { checkFile, fileLines, warnOnce, type FileOptions } from "./file-lines.node.ts";

export interface ParallelTextOptions extends FileOptions {
  /** A file, or several read one after the other; `.gz` is unpacked. */
  source: string | readonly string[];
  /** As many files as `source`, in the same order. */
  target: string | readonly string[];
}

/**
 * A corpus of parallel text files. The files are looked for at once and read, line by line, at each iteration; an empty line is
 * kept as a pair with an empty side.
 *
 * Throws ConfigError where the two lists differ in length; DataError for unequal line counts and for what `fileLines` refuses.
 *
 * @example
 * const corpus = await parallelText({ source: "train.en.gz", target: "train.de.gz" });
 */
export async function parallelText({ source, target, listener = silent }: ParallelTextOptions): Promise<Corpus> {
  const sources = [source].flat();
  const targets = [target].flat();
  if (sources.length !== targets.length || sources.length === 0) {
    const counts = `got ${sources.length} and ${targets.length}`;
    throw new ConfigError(
      "parallelText",
      `source and target must name the same number of files, at least one (${counts}).`,
    );
  }
  for (const path of [...sources, ...targets]) await checkFile(path);

  const once = warnOnce(listener);
  return new Corpus(`${sources.join(", ")} | ${targets.join(", ")}`, async function* () {
    for (const [i, path] of sources.entries()) yield* zipFiles(path, targets[i]!, { listener: once });
  });
}

async function* zipFiles(
  sourcePath: string,
  targetPath: string,
  options: FileOptions,
): AsyncGenerator<PairRecord, void, undefined> {
  const sourceLines = fileLines(sourcePath, options);
  const targetLines = fileLines(targetPath, options);
  try {
    for (let line = 1; ; line++) {
      const source = await sourceLines.next();
      const target = await targetLines.next();
      if (source.done && target.done) return;
      if (source.done || target.done) {
        const sourceCount = source.done ? line - 1 : line + (await countRest(sourceLines));
        const targetCount = target.done ? line - 1 : line + (await countRest(targetLines));
        const counts = `${sourcePath} has ${sourceCount} lines, ${targetPath} has ${targetCount}`;
        throw new DataError(
          sourcePath,
          line,
          `${counts}. Line n of one must translate line n of the other: find the missing line.`,
        );
      }
      yield { source: source.value, target: target.value, file: sourcePath, line };
    }
  } finally {
    // Whoever stops early (a break in the caller's loop) leaves two open files otherwise.
    await sourceLines.return();
    await targetLines.return();
  }
}

async function countRest(lines: AsyncIterable<string>): Promise<number> {
  let count = 0;
  for await (const _ of lines) count++;
  return count;
}
