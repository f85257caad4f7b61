// The text of a configuration: YAML in, with the line and column of every value for errors; complete, commented YAML out.
// Not re-exported by the room's index.ts, for the reason given in config.ts.
import { Document, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Pair, type Scalar } from "yaml";
import type { z } from "zod";
import { type ConfigPath, describeConfig, parseConfig } from "./config.ts";
import { ConfigError } from "./errors.ts";

export interface ReadConfigOptions {
  /** What errors call the text, for example the file's path. */
  place: string;
  /** `key.path=value`, each applied over the text; values are read as YAML. */
  set?: readonly string[];
}

export interface ReadConfig<Config> {
  readonly config: Config;
  /** "en-de.yaml:12:9", or the override that set the value. */
  readonly locate: (path: ConfigPath) => string;
}

/**
 * A configuration from YAML text, overridden, checked, and with all defaults filled in. All problems come in one ConfigError.
 *
 * @example
 * const { config } = readConfig(schema, "model: { heads: 8 }", { place: "en-de.yaml", set: ["training.steps=100"] });
 */
export function readConfig<Schema extends z.ZodType>(
  schema: Schema,
  text: string,
  { place, set = [] }: ReadConfigOptions,
): ReadConfig<z.output<Schema>> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${place}:${line}:${col}`;
  };
  const [error] = document.errors;
  if (error !== undefined) throw new ConfigError(at(error.pos[0]), `not valid YAML: ${error.message}`);
  if (document.contents !== null && !isMap(document.contents)) {
    throw new ConfigError(place, "must hold keys and values, for example model: { heads: 4 }");
  }

  const overrides = set.map((assignment) => override(document, assignment));
  const locate = (path: ConfigPath): string => {
    const key = path.join(".");
    const setting = overrides.findLast(({ introduces }) => key === introduces || key.startsWith(`${introduces}.`));
    if (setting !== undefined) return `--set ${setting.assignment}`;
    const offset = offsetOf(document, path);
    return offset === undefined ? place : at(offset);
  };
  const config = parseConfig(schema, document.toJS() ?? {}, { place, locate });
  return { config, locate };
}

/**
 * YAML that spells out every value, each with its help line as a comment. Reading it gives an equal configuration.
 *
 * @example
 * await writeFile("runs/en-de/config.yaml", writeConfig(schema, config, { title: "Written by Heddle 0.1.0." }));
 */
export function writeConfig<Schema extends z.ZodType>(
  schema: Schema,
  config: z.output<Schema>,
  { title }: { title?: string } = {},
): string {
  // A key that is undefined has no value to spell out.
  const document = new Document(config, { keepUndefined: false });
  if (title !== undefined) document.commentBefore = ` ${title}`;
  for (const { path, help } of describeConfig(schema)) {
    const node = document.getIn(path.split("."), true);
    if (help !== "" && isNode(node)) node.comment = ` ${help}`;
    if (isSeq(node)) node.flow = true;
  }
  return document.toString({ lineWidth: 0 });
}

interface Override {
  readonly assignment: string;
  /** The key it sets or, where the text lacks a section above that key, the section. */
  readonly introduces: string;
}

function override(document: Document, assignment: string): Override {
  const place = `--set ${assignment}`;
  const equals = assignment.indexOf("=");
  const key = assignment.slice(0, Math.max(equals, 0)).trim();
  if (key === "" || key.split(".").includes(""))
    throw new ConfigError(place, "must read key=value, for example --set training.steps=1000");
  const value = parseDocument(assignment.slice(equals + 1), { prettyErrors: false });
  if (value.errors.length > 0) throw new ConfigError(place, `the value is not valid YAML: ${value.errors[0]?.message}`);
  const path = key.split(".");
  const prefixes = path.map((_, length) => path.slice(0, length + 1));
  for (const parent of prefixes.slice(0, -1)) {
    if (document.hasIn(parent) && !isMap(document.getIn(parent, true)))
      throw new ConfigError(place, `${parent.join(".")} holds a value, not keys`);
  }
  const introduces = prefixes.find((prefix) => !document.hasIn(prefix)) ?? path;
  document.setIn(path, value.contents);
  return { assignment, introduces: introduces.join(".") };
}

/** Where the key at this path stands, or the item of a list; where it is missing, its nearest parent. */
function offsetOf(document: Document, path: ConfigPath): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const key of path) {
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (pair === undefined) break;
      offset = (pair.key as Scalar).range?.[0];
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      if (isNode(node)) offset = node.range?.[0];
    }
  }
  return offset;
}
