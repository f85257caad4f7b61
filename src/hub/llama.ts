import { LanguageModel } from "../models/index.ts";
import { architectureOf, type HubFamily } from "./family.ts";
import { llamaLikeModules, llamaLikeOptions, llamaLikeSpare } from "./llama-like.ts";
import { renaming } from "./renaming.ts";

/** Llama 1 and 2, and what is built like them. Touvron et al. 2023, "LLaMA", section 2.2, and "Llama 2", section 2.1. */
export const llama: HubFamily = {
  modelType: "llama",
  build: (config) => {
    architectureOf(config, { LlamaForCausalLM: true });
    return new LanguageModel(llamaLikeOptions(config, "full"));
  },
  weights: () => renaming(llamaLikeModules),
  spares: (config) => (name) => llamaLikeSpare(name, config),
};
