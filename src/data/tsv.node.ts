// Sentence pairs in columns parted by tabs. There is no quoting and no escape: a field is what stands between two tabs.
import { ConfigError, DataError, silent } from "../base/index.ts";
import { Corpus, type PairRecord } from "./corpus.ts";
import { checkFile, fileLines, warnOnce, type FileOptions } from "./file-lines.node.ts";

/** A column by number, counted from 0, or by its name in the first line. */
export type TsvColumn = number | string;

export interface TsvOptions extends FileOptions {
  source?: TsvColumn;
  /** Numbered or named as `source` is: a file has names in its first line or it has none. */
  target?: TsvColumn;
}

/**
 * A corpus of tab-separated files. Columns by name mean that the first line of each file names the columns and is no pair.
 * Every line must have as many fields as the first.
 *
 * Throws ConfigError for columns that cannot be; DataError for a line with another number of fields, a file without the
 * columns asked for, and what `fileLines` refuses.
 *
 * @example
 * const corpus = await tsv("train.tsv.gz", { source: 0, target: 1 });
 */
export async function tsv(
  path: string | readonly string[],
  { source = 0, target = 1, listener = silent }: TsvOptions = {},
): Promise<Corpus> {
  for (const [side, column] of [
    ["source", source],
    ["target", target],
  ] as const) {
    if (typeof column === "number" && !(Number.isInteger(column) && column >= 0)) {
      throw new ConfigError(`tsv.${side}`, `a column is a whole number from 0, or a name (got ${column}).`);
    }
  }
  if (typeof source !== typeof target) {
    throw new ConfigError("tsv", `name both columns or number both (got source ${source}, target ${target}).`);
  }
  const paths = [path].flat();
  if (paths.length === 0) throw new ConfigError("tsv", "name at least one file.");
  for (const each of paths) await checkFile(each);

  const once = warnOnce(listener);
  return new Corpus(paths.join(", "), async function* () {
    for (const each of paths) yield* readColumns(each, source, target, { listener: once });
  });
}

async function* readColumns(
  file: string,
  source: TsvColumn,
  target: TsvColumn,
  options: FileOptions,
): AsyncGenerator<PairRecord, void, undefined> {
  let line = 0;
  let columns = 0;
  let sourceColumn = 0;
  let targetColumn = 0;
  for await (const text of fileLines(file, options)) {
    line++;
    const fields = text.split("\t");
    if (line === 1) {
      columns = fields.length;
      sourceColumn = findColumn(file, fields, source);
      targetColumn = findColumn(file, fields, target);
      if (typeof source === "string") continue;
    }
    if (fields.length !== columns) {
      const got = `${fields.length} ${fields.length === 1 ? "field" : "fields"} where line 1 has ${columns}`;
      throw new DataError(file, line, `${got}. Mend or remove the line; a tab within a sentence must become a space.`);
    }
    yield { source: fields[sourceColumn]!, target: fields[targetColumn]!, file, line };
  }
  if (line === 1 && typeof source === "string") {
    throw new DataError(
      file,
      1,
      "the file names its columns and has no line beyond. Name a file with at least one pair.",
    );
  }
}

function findColumn(file: string, firstLine: readonly string[], column: TsvColumn): number {
  if (typeof column === "string") {
    const found = firstLine.indexOf(column);
    if (found >= 0) return found;
    throw new DataError(
      file,
      1,
      `no column is called "${column}"; there are ${firstLine.map((name) => `"${name}"`).join(", ")}. Name one of them.`,
    );
  }
  if (column < firstLine.length) return column;
  const got = `${firstLine.length} ${firstLine.length === 1 ? "field" : "fields"}, so there is no column ${column}`;
  throw new DataError(file, 1, `${got} (counted from 0). Choose another column, or check that tabs part the fields.`);
}
