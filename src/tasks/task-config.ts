// A configuration of any task: its key `task` says which keys it may hold.
// Import this file by its own name where only the configuration is wanted: it loads no ONNX Runtime.
import { z } from "zod";
import type { ConfigPath } from "../base/config.ts";
import { readConfig, type ReadConfig, type ReadConfigOptions } from "../base/config-text.ts";
import { languageModelConfig, mapTextPaths, maskedLanguageModelConfig } from "./language-model-config.ts";
import { mapPaths, translationConfig } from "./translation-config.ts";

/** Every task that a run may be of, with the keys of its configuration. */
export const taskConfigs = {
  translation: translationConfig,
  "language-model": languageModelConfig,
  "masked-language-model": maskedLanguageModelConfig,
} as const;

export type TaskName = keyof typeof taskConfigs;

/** A complete configuration by the name of its task. */
export type TaskConfigs = { readonly [Name in TaskName]: z.output<(typeof taskConfigs)[Name]> };

/** A complete configuration of any task. */
export type TaskConfig = TaskConfigs[TaskName];

const taskKey = z.looseObject({
  task: z.enum(Object.keys(taskConfigs) as [TaskName, ...TaskName[]]).default("translation"),
});

/** Which task a configuration is of, checked; the rest of it is not looked at. */
function readTask(text: string, options: ReadConfigOptions): TaskName {
  return readConfig(taskKey, text, options).config.task;
}

/**
 * A configuration from YAML text, checked against the keys of its own task, with all defaults filled in.
 *
 * @example
 * const { config } = readTaskConfig("{ task: language-model, data: { train: { files: books.txt } } }", { place: "books.yaml" });
 */
export function readTaskConfig(text: string, options: ReadConfigOptions): ReadConfig<TaskConfig> {
  return readConfig<z.ZodType<TaskConfig>>(taskConfigs[readTask(text, options)], text, options);
}

/** The configuration with every file path of it put through `resolve`, which also learns the key that names the path. */
export function mapTaskPaths(config: TaskConfig, resolve: (path: string, key: ConfigPath) => string): TaskConfig {
  return config.task === "translation" ? mapPaths(config, resolve) : mapTextPaths(config, resolve);
}
