import { LanguageModel, type MixerChoice } from "../models/index.ts";
import { architectureOf, numberOf, type HubConfig, type HubFamily } from "./family.ts";
import { llamaLikeModules, llamaLikeOptions, llamaLikeSpare } from "./llama-like.ts";
import { renaming } from "./renaming.ts";

/** Mistral: Llama whose queries see a window of the latest keys. Jiang et al. 2023, "Mistral 7B", section 2. */
export const mistral: HubFamily = {
  modelType: "mistral",
  build: (config) => {
    architectureOf(config, { MistralForCausalLM: true });
    return new LanguageModel(llamaLikeOptions(config, windowOf(config)));
  },
  weights: () => renaming(llamaLikeModules),
  spares: (config) => (name) => llamaLikeSpare(name, config),
};

/** Without a number, everything before is seen. */
export function windowOf(config: HubConfig): MixerChoice {
  if (config.sliding_window === undefined || config.sliding_window === null) return "full";
  return { kind: "sliding-window", window: numberOf(config, "sliding_window") };
}
