import { LanguageModel } from "../models/index.ts";
import { paddingOf, parts } from "./decoder-only.ts";
import {
  activationNames,
  architectureOf,
  choiceOf,
  insistOn,
  numberOf,
  type HubConfig,
  type HubFamily,
} from "./family.ts";
import { renaming } from "./renaming.ts";

const layer = "transformer.h.*";
/** Its linear layers are stored [from, to], as ours are, and query, key and value as one. */
const asOurs = { transpose: false } as const;
const third = (index: number) =>
  ({ name: `${layer}.attn.c_attn`, ...asOurs, part: { index, of: 3, groups: 1 } }) as const;

const find = renaming({
  [parts.embedding]: "transformer.wte",
  [parts.positions]: "transformer.wpe",
  [parts.query]: third(0),
  [parts.key]: third(1),
  [parts.value]: third(2),
  [parts.attentionOutput]: { name: `${layer}.attn.c_proj`, ...asOurs },
  [parts.attentionNorm]: `${layer}.ln_1`,
  [`${parts.feedForward}.expand`]: { name: `${layer}.mlp.c_fc`, ...asOurs },
  [`${parts.feedForward}.contract`]: { name: `${layer}.mlp.c_proj`, ...asOurs },
  [parts.feedForwardNorm]: `${layer}.ln_2`,
  [parts.finalNorm]: "transformer.ln_f",
});

/** GPT-2: pre-norm, learned positions, GELU by tanh, one table for input and output. Radford et al. 2019. */
export const gpt2: HubFamily = {
  modelType: "gpt2",
  build: (config) => {
    architectureOf(config, { GPT2LMHeadModel: true });
    insistOn(config, { tie_word_embeddings: true, scale_attn_weights: true, add_cross_attention: false });
    const dModel = numberOf(config, "n_embd");
    return new LanguageModel({
      vocabularySize: numberOf(config, "vocab_size"),
      dModel,
      heads: numberOf(config, "n_head"),
      layers: numberOf(config, "n_layer"),
      dFeedForward: numberOf(config, "n_inner", 4 * dModel),
      dropout: numberOf(config, "resid_pdrop"),
      embeddingDropout: numberOf(config, "embd_pdrop"),
      attentionDropout: numberOf(config, "attn_pdrop"),
      feedForward: choiceOf(config, "activation_function", activationNames),
      normEpsilon: numberOf(config, "layer_norm_epsilon", 1e-5),
      maxPositions: numberOf(config, "n_positions"),
      pad: paddingOf(config),
    });
  },
  weights: (config) => (ours) => {
    const weight = find(ours);
    const factor = queryFactor(config, ours);
    return factor === 1 ? weight : { ...weight, factor };
  },
  spares: () => (name) => {
    if (name === "lm_head.weight") return { of: "transformer.wte.weight" };
    // Causal masks, which older files hold.
    return /^transformer\.h\.\d+\.attn\.(bias|masked_bias)$/.test(name) ? { unused: true } : undefined;
  },
  todaysName: (name) => (/^(wte|wpe|h|ln_f)\./.test(name) ? `transformer.${name}` : name),
};

/**
 * Where scores are divided by the number of the layer, queries are, once and for all. What is computed is the same; only an
 * optimizer that treats all weights alike takes other steps with them.
 */
function queryFactor(config: HubConfig, ours: string): number {
  if (config.scale_attn_by_inverse_layer_idx !== true) return 1;
  const found = /^decoder\.layers\.(\d+)\.selfAttention\.query\./.exec(ours);
  return found === null ? 1 : 1 / (Number(found[1]) + 1);
}
