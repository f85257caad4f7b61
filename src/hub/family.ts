// A model family of Hugging Face's: what its config.json means for our modules, and what our weights are called there.
import { ConfigError, type HostTensor } from "../base/index.ts";
import type { Module } from "../nn/index.ts";

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
  /** Stored with others as one: along what comes out, `groups` times over, lie `of` parts of equal size, ours the `index`th. */
  readonly part?: { readonly index: number; readonly of: number; readonly groups: number };
  /** Ours is theirs times this. */
  readonly factor?: number;
}

/**
 * What a tensor is that some files carry and no parameter of ours needs: a copy of another, which it must equal; values that can
 * be computed, likewise; or something that this model has no use for and leaves unread.
 */
export type HubSpare =
  | { readonly of: string }
  | { readonly values: () => HostTensor<"float32"> }
  | { readonly unused: true };

export interface HubFamily {
  /** `model_type` in config.json. */
  readonly modelType: string;
  /** Makes the model. Throws ConfigError for what the family can say and our modules cannot do. */
  readonly build: (config: HubConfig) => Module;
  /** Where each of our parameters is stored. */
  readonly weights: (config: HubConfig) => (ours: string) => HubWeight;
  /** Tensors that may lie in a file besides. */
  readonly spares: (config: HubConfig) => (name: string) => HubSpare | undefined;
  /** The name that a tensor of an older file has today. */
  readonly todaysName?: (name: string) => string;
}

/** A number from a config.json, or what it is taken for where the key may be absent. */
export function numberOf(config: HubConfig, key: string, absent?: number): number {
  const value = config[key] ?? absent;
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

/** The class that a config.json was written for, translated. */
export function architectureOf<T>(config: HubConfig, choices: Readonly<Record<string, T>>): T {
  const names: readonly unknown[] = Array.isArray(config.architectures) ? config.architectures : [];
  const chosen = names.length === 1 ? choices[String(names[0])] : undefined;
  if (chosen === undefined)
    throw new ConfigError(
      "config.json",
      `architectures ${JSON.stringify(config.architectures)} is not supported; one of ${Object.keys(choices).join(", ")} is`,
    );
  return chosen;
}

/** Nonlinearities as config.json calls them, by the names of our feed-forward layers. */
export const activationNames = {
  relu: "relu",
  gelu: "gelu",
  gelu_new: "gelu-tanh",
  gelu_fast: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
  swish: "silu",
  silu: "silu",
  tanh: "tanh",
} as const;
