import { LanguageModel } from "../models/index.ts";
import { parts } from "./decoder-only.ts";
import { architectureOf, insistOn, numberOf, type HubFamily } from "./family.ts";
import { llamaLikeModules, llamaLikeOptions, llamaLikeSpare } from "./llama-like.ts";
import { windowOf } from "./mistral.ts";
import { renaming } from "./renaming.ts";

const experts = "model.layers.*.block_sparse_moe";

/** Mixtral: Mistral with experts, of which each token goes through some. Jiang et al. 2024, "Mixtral of Experts", section 2. */
export const mixtral: HubFamily = {
  modelType: "mixtral",
  build: (config) => {
    architectureOf(config, { MixtralForCausalLM: true });
    insistOn(config, { hidden_act: "silu", output_router_logits: false });
    const [count, chosen] = [numberOf(config, "num_local_experts"), numberOf(config, "num_experts_per_tok")];
    return new LanguageModel({
      ...llamaLikeOptions(config, windowOf(config)),
      // Its loss is cross-entropy alone, and an expert takes all tokens that come: a share of all of them.
      feedForward: {
        kind: "experts",
        expert: "swiglu",
        experts: count,
        chosen,
        capacityFactor: count / chosen,
        balance: 0,
        routerZ: 0,
      },
    });
  },
  weights: () =>
    renaming({
      ...llamaLikeModules,
      [`${parts.feedForward}.router`]: `${experts}.gate`,
      [`${parts.feedForward}.experts.*.gate`]: `${experts}.experts.*.w1`,
      [`${parts.feedForward}.experts.*.expand`]: `${experts}.experts.*.w3`,
      [`${parts.feedForward}.experts.*.contract`]: `${experts}.experts.*.w2`,
    }),
  spares: (config) => (name) => llamaLikeSpare(name, config),
};
