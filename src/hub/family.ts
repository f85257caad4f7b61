// A model family of Hugging Face's: what its config.json means for our modules, and what our weights are called there.
import { ConfigError, type HostTensor } from "../base/index.ts";
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

/** What a tensor must hold that some files carry and no parameter of ours needs: a copy of another tensor, or computed values. */
export type HubDuplicate = { readonly of: string } | { readonly values: () => HostTensor<"float32"> };

export interface HubFamily {
  /** `model_type` in config.json. */
  readonly modelType: string;
  /** Throws ConfigError for what the family can say and our modules cannot do. */
  readonly options: (config: HubConfig) => TransformerOptions;
  /** Where each of our parameters is stored. */
  readonly weights: (config: HubConfig) => (ours: string) => HubWeight;
  /** Tensors that may lie in a file besides, by their name. */
  readonly duplicates: (config: HubConfig) => ReadonlyMap<string, HubDuplicate>;
}

/** A number from a config.json. */
export function numberOf(config: HubConfig, key: string): number {
  const value = config[key];
  if (typeof value !== "number")
    throw new ConfigError("config.json", `${key} must be a number (got ${JSON.stringify(value)})`);
  return value;
}

/** One of the listed texts from a config.json, translated. */
export function choiceOf<T>(config: HubConfig, key: string, choices: Readonly<Record<string, T>>): T {
  const value = String(config[key]);
  const chosen = choices[value];
  if (chosen === undefined)
    throw new ConfigError("config.json", `${key} "${value}" is not supported; ${Object.keys(choices).join(", ")} are`);
  return chosen;
}

/** Refuses a config.json in which a key is there and is not the one value that our modules have. */
export function insistOn(config: HubConfig, wanted: HubConfig): void {
  for (const [key, value] of Object.entries(wanted)) {
    const got = config[key];
    if (got === undefined || got === null || got === value) continue;
    throw new ConfigError(
      "config.json",
      `${key} ${JSON.stringify(got)} is not supported for this family, only ${JSON.stringify(value)} is`,
    );
  }
}
