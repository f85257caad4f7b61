// A model family of Hugging Face's: what its config.json means for our modules, and what our weights are called there.
import { ConfigError } from "../base/index.ts";
import type { TransformerOptions } from "../models/index.ts";

/** A config.json, parsed; families read the keys they know. */
export type HubConfig = Readonly<Record<string, unknown>>;

/** How one of their tensors becomes one of ours. */
export interface HubWeight {
  readonly name: string;
  /** Linear weights are stored [to, from] there and [from, to] here. */
  readonly transpose?: boolean;
  /** Rows at the front of the stored table that no token uses. */
  readonly skipRows?: number;
  /** Stored with a leading axis of size 1. */
  readonly squeeze?: boolean;
}

export interface HubFamily {
  /** `model_type` in config.json. */
  readonly modelType: string;
  readonly options: (config: HubConfig) => TransformerOptions;
  /** Where each of our parameters is stored. */
  readonly weights: (config: HubConfig) => (ours: string) => HubWeight;
}

/** A whole number from a config.json. */
export function numberOf(config: HubConfig, key: string): number {
  const value = config[key];
  if (typeof value !== "number") throw new ConfigError("config.json", `${key} must be a number (got ${JSON.stringify(value)})`);
  return value;
}

/** One of the listed texts from a config.json, translated. */
export function choiceOf<T>(config: HubConfig, key: string, choices: Readonly<Record<string, T>>): T {
  const value = String(config[key]);
  const chosen = choices[value];
  if (chosen === undefined) throw new ConfigError("config.json", `${key} "${value}" is not supported; ${Object.keys(choices).join(", ")} are`);
  return chosen;
}
