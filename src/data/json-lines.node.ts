// Sentence pairs as one JSON object a line.
import { ConfigError, DataError, silent } from "../base/index.ts";
import { Corpus, type PairRecord } from "./corpus.ts";
import { checkFile, fileLines, warnOnce, type FileOptions } from "./file-lines.node.ts";

export interface JsonLinesOptions extends FileOptions {
  /** Field with the source text. A dot goes one object deeper: "translation.en". */
  source?: string;
  /** Field with the target text. */
  target?: string;
}

/**
 * A corpus of JSON Lines files. Every line is one object with both fields; a blank line is an error like any other line that is
 * not JSON.
 *
 * Throws DataError for invalid JSON, a field that is missing or not a string or not well-formed Unicode, and what `fileLines`
 * refuses.
 *
 * @example
 * const corpus = await jsonLines("train.jsonl", { source: "translation.en", target: "translation.de" });
 */
export async function jsonLines(
  path: string | readonly string[],
  { source = "source", target = "target", listener = silent }: JsonLinesOptions = {},
): Promise<Corpus> {
  const paths = [path].flat();
  if (paths.length === 0) throw new ConfigError("jsonLines", "name at least one file.");
  for (const each of paths) await checkFile(each);

  const once = warnOnce(listener);
  return new Corpus(paths.join(", "), async function* () {
    for (const each of paths) yield* readObjects(each, source, target, { listener: once });
  });
}

async function* readObjects(
  file: string,
  source: string,
  target: string,
  options: FileOptions,
): AsyncGenerator<PairRecord, void, undefined> {
  let line = 0;
  for await (const text of fileLines(file, options)) {
    line++;
    const record = parse(file, line, text);
    yield { source: textAt(record, source, file, line), target: textAt(record, target, file, line), file, line };
  }
}

function parse(file: string, line: number, text: string): object {
  if (text.trim() === "")
    throw new DataError(file, line, "a blank line where a JSON object was expected. Remove the line.");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DataError(
      file,
      line,
      `not JSON (${error instanceof Error ? error.message : String(error)}). Mend or remove the line.`,
    );
  }
  if (isObject(value)) return value;
  throw new DataError(file, line, `${kindOf(value)} where a JSON object was expected. Mend or remove the line.`);
}

function textAt(record: object, field: string, file: string, line: number): string {
  const value = valueAt(record, field);
  if (value === undefined) {
    const fields = Object.keys(record)
      .map((key) => `"${key}"`)
      .join(", ");
    throw new DataError(
      file,
      line,
      `no field "${field}"; there ${fields === "" ? "are none" : `are ${fields}`}. Name another field or mend the line.`,
    );
  }
  if (typeof value !== "string") {
    throw new DataError(
      file,
      line,
      `field "${field}" is ${kindOf(value)} where a string was expected. Name another field or mend the line.`,
    );
  }
  // "\ud800" is valid JSON, but half a character: it has no UTF-8 form and would silently become U+FFFD.
  if (!value.isWellFormed())
    throw new DataError(file, line, `field "${field}" has half a surrogate pair. Mend or remove the line.`);
  return value;
}

/** A key that contains the dot itself comes before a path of keys. */
function valueAt(record: object, field: string): unknown {
  if (Object.hasOwn(record, field)) return (record as Record<string, unknown>)[field];
  let value: unknown = record;
  for (const key of field.split(".")) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
