// A configuration as the command line takes it: a file, overrides, paths relative to the file, names of the environment.
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Option } from "commander";
import { type ConfigPath, describeConfig } from "../base/config.ts";
import { ConfigError } from "../base/index.ts";
import { mapTaskPaths, readTaskConfig, taskConfigs, type TaskConfig } from "../tasks/task-config.ts";

export interface LoadConfigOptions {
  /** `key.path=value` each, over what the file says. */
  set?: readonly string[];
  environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * The configuration of a file, complete and checked. Its file paths come out absolute: relative ones start from the
 * file's folder, and `${NAME}` in them is taken from the environment.
 *
 * @example
 * const config = await loadConfig("recipes/multi30k/en-de.yaml", { set: ["training.steps=100"] });
 */
export async function loadConfig(
  file: string,
  { set = [], environment = process.env }: LoadConfigOptions = {},
): Promise<TaskConfig> {
  const { config, locate } = readTaskConfig(await readFile(file, "utf8"), { place: file, set });
  return mapTaskPaths(config, (path, key) => resolve(dirname(file), expand(path, { key, environment, locate })));
}

/** The option `--set`, to be given as often as there are keys to override. */
export function setOption(): Option {
  return new Option(
    "--set <key=value>",
    "override a key of the configuration, for example training.steps=1000; may be repeated",
  )
    .default([], "none")
    .argParser((assignment: string, before: readonly string[]) => [...before, assignment]);
}

/** Every key of the configuration for the end of a help page: those of translation, then what other tasks have differently. */
export function configurationHelp(): string {
  /** What was last said of each key. */
  const told = new Map<string, string>();
  return Object.entries(taskConfigs)
    .map(([task, schema], i) => {
      const rows = describeConfig(schema).map(({ path, type, default: value, isRequired, help }) => {
        const standing = value !== undefined ? `, default ${JSON.stringify(value)}` : isRequired ? ", required" : "";
        return { path, help, type: `${type}${standing}` };
      });
      const fresh = rows.filter((row) => told.get(row.path) !== JSON.stringify(row));
      for (const row of rows) told.set(row.path, JSON.stringify(row));
      const width = Math.max(...fresh.map(({ path }) => path.length));
      const title = i === 0 ? "Configuration keys:" : `Task ${task} has by itself, or otherwise than above:`;
      const text = fresh.map(
        ({ path, help, type }) => `  ${path.padEnd(width)}  ${help}\n${" ".repeat(width + 4)}${type}`,
      );
      return `\n${title}\n${text.join("\n")}`;
    })
    .join("\n");
}

interface ExpandOptions {
  readonly key: ConfigPath;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly locate: (path: ConfigPath) => string;
}

function expand(path: string, { key, environment, locate }: ExpandOptions): string {
  return path.replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = environment[name];
    if (value === undefined || value === "") {
      throw new ConfigError(
        locate(key),
        `${key.join(".")} needs the environment variable ${name}, which is not set. Say: export ${name}=…`,
      );
    }
    return value;
  });
}
