// One description of an option is its type, default, check and help line: a zod schema of strict objects, each key with
// .describe(). This file turns such a schema into checks with readable errors, rows for help pages, and a JSON Schema.
//
// Not re-exported by the room's index.ts: zod takes longer to load than most commands run, and only those who read a
// configuration should pay for it. Import this file by its own name.
import { z } from "zod";
import { ConfigError } from "./errors.ts";
import { nearest } from "./nearest.ts";

/** Where a value sits in a configuration, for example ["model", "heads"]. */
export type ConfigPath = readonly (string | number)[];

/** One option as a help page shows it. */
export interface ConfigOption {
  readonly path: string;
  /** For example "whole number ≥ 1" or "post | pre". */
  readonly type: string;
  /** Undefined where the option has no default. */
  readonly default: unknown;
  readonly isRequired: boolean;
  readonly help: string;
}

/** What a reader of the configuration's text knows about places in it. */
export interface CheckOptions {
  /** What to name where no better place is known, for example the file. */
  place?: string;
  /** The place of a value, for example "en-de.yaml:12:9". */
  locate?: (path: ConfigPath) => string;
}

/** The part of a JSON Schema that our schemas use. */
interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly SchemaNode[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly prefixItems?: readonly SchemaNode[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

/** The schema for other programs: editors complete and check a recipe with it. Describes the file, so defaults are optional. */
export function configJsonSchema(schema: z.ZodType): object {
  return z.toJSONSchema(schema, { io: "input" });
}

/**
 * The value with every default filled in, or one ConfigError that lists all problems, one a line.
 *
 * @example
 * const schema = z.strictObject({ heads: z.int().min(1).default(4).describe("Attention heads.") });
 * parseConfig(schema, {}); // { heads: 4 }
 * parseConfig(schema, { head: 8 }, { place: "en-de.yaml" }); // en-de.yaml: unknown key head. Did you mean heads?
 */
export function parseConfig<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  { place = "configuration", locate = () => place }: CheckOptions = {},
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const tree = configJsonSchema(schema) as SchemaNode;
  const found = result.error.issues.flatMap((issue) => problemsOf(issue, value, tree));
  // What is wrong with a value by itself comes before what is wrong with it beside others; the first says enough.
  const problems = found.filter(
    ({ path }, i) => found.findIndex((other) => other.path.join(".") === path.join(".")) === i,
  );
  const [first, ...rest] = problems.map(({ path, text }) => ({ place: locate(path), text }));
  const further = rest.map(({ place, text }) => `\n${place}: ${text}`).join("");
  throw new ConfigError(first?.place ?? place, `${first?.text}${further}`);
}

/**
 * Every option of a schema, in its order, with nested keys joined by dots.
 *
 * @example
 * for (const { path, type, help } of describeConfig(schema)) lines.push(`${path}  ${type}  ${help}`);
 */
export function describeConfig(schema: z.ZodType): ConfigOption[] {
  const options: ConfigOption[] = [];
  const visit = (node: SchemaNode, path: string, isRequired: boolean): void => {
    if (node.properties === undefined) {
      options.push({ path, type: typeText(node), default: node.default, isRequired, help: node.description ?? "" });
      return;
    }
    for (const [key, child] of Object.entries(node.properties)) {
      visit(child, path === "" ? key : `${path}.${key}`, node.required?.includes(key) ?? false);
    }
  };
  visit(configJsonSchema(schema), "", true);
  return options;
}

interface Problem {
  readonly path: ConfigPath;
  readonly text: string;
}

function problemsOf(issue: z.core.$ZodIssue, root: unknown, tree: SchemaNode): Problem[] {
  const path = issue.path as ConfigPath;
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...path, key], text: unknownKeyText([...path, key], tree, root) }));
  }
  const name = path.length === 0 ? "the configuration" : path.join(".");
  const node = nodeAt(tree, path, root);
  const value = valueAt(root, path);
  if (issue.code === "invalid_union" && isSection(value)) {
    // Of several forms that a section may have, the one that fits best is the one that was meant.
    const meant = issue.errors.toSorted((a, b) => misfit(a) - misfit(b))[0];
    if (meant !== undefined && misfit(meant) < formLost) {
      const placed = meant.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
      return placed.flatMap((inner) => problemsOf(inner as z.core.$ZodIssue, root, tree));
    }
  }
  // A check across several keys, or of a text's form, states what is wrong itself; the name goes in front.
  if (issue.code === "custom") return [{ path, text: `${name} ${issue.message}` }];
  if (value === undefined) {
    const help = node?.description === undefined ? "" : ` ${node.description}`;
    return [{ path, text: `${name} is missing.${help}` }];
  }
  const wanted =
    node === undefined || issue.code === "invalid_format" ? issue.message : `must be ${article(typeText(node))}`;
  const near = typeof value === "string" ? nearest(value, namesIn(node)) : undefined;
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  return [{ path, text: `${name} ${wanted} (got ${JSON.stringify(value)}).${hint}` }];
}

/** Names the nearest key of the same section; failing that, the section where a key of that name does exist. */
function unknownKeyText(path: ConfigPath, tree: SchemaNode, root: unknown): string {
  const key = String(path.at(-1));
  const parent = path.slice(0, -1);
  const siblings = Object.keys(nodeAt(tree, parent, root)?.properties ?? {});
  const join = (known: string): string => [...parent, known].join(".");
  const near = nearest(key, siblings);
  if (near !== undefined) return `unknown key ${path.join(".")}. Did you mean ${join(near)}?`;
  const elsewhere = pathsTo(key, tree, "");
  if (elsewhere.length > 0) return `unknown key ${path.join(".")}. It belongs at ${elsewhere.join(" or ")}.`;
  return `unknown key ${path.join(".")}. Known here: ${siblings.join(", ")}.`;
}

function pathsTo(key: string, node: SchemaNode, prefix: string): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => [
    ...(name === key ? [`${prefix}${name}`] : []),
    ...pathsTo(key, child, `${prefix}${name}.`),
  ]);
}

/** The schema of a value; of several forms of a section the one that the value has. */
function nodeAt(tree: SchemaNode, path: ConfigPath, root: unknown): SchemaNode | undefined {
  let node: SchemaNode | undefined = formOf(tree, root);
  for (const [depth, key] of path.entries()) {
    const next: SchemaNode | undefined =
      typeof key === "number" ? (node?.prefixItems?.[key] ?? node?.items) : node?.properties?.[key];
    node = next && formOf(next, valueAt(root, path.slice(0, depth + 1)));
  }
  return node;
}

function formOf(node: SchemaNode, value: unknown): SchemaNode {
  if (node.anyOf === undefined || !isSection(value)) return node;
  const forms = node.anyOf.map((form) => formOf(form, value)).filter(({ properties }) => properties !== undefined);
  const fit = ({ properties = {} }: SchemaNode): number => {
    const named = Object.entries(properties).find(([, child]) => child.const !== undefined);
    if (named !== undefined && value[named[0]] === named[1].const) return Infinity;
    return Object.keys(value).filter((key) => key in properties).length;
  };
  return forms.toSorted((a, b) => fit(b) - fit(a))[0] ?? node;
}

function isSection(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** From here on a form of a section is another form than the one that was meant. */
const formLost = 1000;

/** How far a section is from one of its forms, given what is wrong with it: the wrong kind outweighs everything else. */
function misfit(issues: readonly z.core.$ZodIssue[]): number {
  return issues.reduce((total, issue) => {
    const { code, path } = issue;
    if (path.length === 0 && code === "invalid_union") return total + Math.min(formLost, ...issue.errors.map(misfit));
    if (path.length === 0 && code !== "unrecognized_keys") return total + formLost;
    if (path.at(-1) === "kind") return total + formLost / 2;
    return total + (code === "unrecognized_keys" ? 2 * issue.keys.length : 1);
  }, 0);
}

/** Every name that a value may be. */
function namesIn(node: SchemaNode | undefined): string[] {
  if (node === undefined) return [];
  return [...(node.enum ?? []).map(String), ...(node.anyOf ?? []).flatMap(namesIn)];
}

function valueAt(root: unknown, path: ConfigPath): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string | number, unknown>)[key];
  }
  return value;
}

/** What a value must be, in words. */
function typeText(node: SchemaNode): string {
  if (node.const !== undefined) return JSON.stringify(node.const).replaceAll('"', "");
  if (node.enum !== undefined) return node.enum.map(String).join(" | ");
  if (node.anyOf !== undefined)
    return [...new Set(node.anyOf.flatMap((form) => typeText(form).split(" | ")))].join(" | ");
  if (node.prefixItems !== undefined)
    return `list of ${node.prefixItems.length}: ${node.prefixItems.map(typeText).join(", ")}`;
  if (node.items !== undefined) return `list, each ${typeText(node.items)}`;
  const kinds: Record<string, string> = {
    integer: "whole number",
    string: "text",
    boolean: "true | false",
    object: "section of keys",
  };
  // JSON Schema bounds every whole number by the largest safe one; that is no news to a reader.
  const isNews = (bound: number | undefined): bound is number =>
    bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER;
  const bounds = [
    isNews(node.exclusiveMinimum) ? `above ${node.exclusiveMinimum}` : "",
    isNews(node.minimum) ? `≥ ${node.minimum}` : "",
    isNews(node.exclusiveMaximum) ? `below ${node.exclusiveMaximum}` : "",
    isNews(node.maximum) ? `≤ ${node.maximum}` : "",
  ].filter((bound) => bound !== "");
  return [kinds[node.type ?? ""] ?? node.type ?? "value", bounds.join(", ")].filter((part) => part !== "").join(" ");
}

function article(type: string): string {
  return /\||^text/.test(type) ? type.replaceAll(" | ", " or ") : `a ${type}`;
}
