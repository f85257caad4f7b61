// Which families we can read and write. A new one is a file beside this and a line here.
import { ConfigError } from "../base/index.ts";
import { bart } from "./bart.ts";
import { bert } from "./bert.ts";
import { bloom } from "./bloom.ts";
import type { HubConfig, HubFamily } from "./family.ts";
import { gpt2 } from "./gpt2.ts";
import { llama } from "./llama.ts";
import { marian } from "./marian.ts";
import { mistral } from "./mistral.ts";
import { mixtral } from "./mixtral.ts";

const families: readonly HubFamily[] = [bart, bert, bloom, gpt2, llama, marian, mistral, mixtral];

/** Values of `model_type` that `familyOf` knows. */
export const supportedModelTypes: readonly string[] = families.map(({ modelType }) => modelType);

/** The family that a config.json names. Throws ConfigError listing what is supported. */
export function familyOf(config: HubConfig): HubFamily {
  const found = families.find(({ modelType }) => modelType === config.model_type);
  if (found !== undefined) return found;
  const got = config.model_type === undefined ? "is missing" : `${JSON.stringify(config.model_type)} is not supported`;
  throw new ConfigError("config.json", `model_type ${got}; ${supportedModelTypes.join(", ")} are`);
}
