import { LanguageModel } from "../models/index.ts";
import { paddingOf, parts } from "./decoder-only.ts";
import { architectureOf, insistOn, numberOf, type HubConfig, type HubFamily } from "./family.ts";
import { renaming } from "./renaming.ts";

const layer = "transformer.h.*";
/** Positions that a file without `seq_length` is good for; ALiBi sets no limit by itself. */
const trainedPositions = 2048;

/** BLOOM: ALiBi, a norm on the embeddings, GELU by tanh. Le Scao et al. 2022, "BLOOM", section 3.2. */
export const bloom: HubFamily = {
  modelType: "bloom",
  build: (config) => {
    architectureOf(config, { BloomForCausalLM: true });
    insistOn(config, {
      apply_residual_connection_post_layernorm: false,
      tie_word_embeddings: true,
      slow_but_exact: false,
    });
    const dModel = widthOf(config);
    return new LanguageModel({
      vocabularySize: numberOf(config, "vocab_size"),
      dModel,
      heads: headsOf(config),
      layers: numberOf(config, "n_layer", config.num_hidden_layers as number),
      dFeedForward: 4 * dModel,
      dropout: numberOf(config, "hidden_dropout"),
      embeddingDropout: 0,
      attentionDropout: numberOf(config, "attention_dropout"),
      feedForward: "gelu-tanh",
      normEpsilon: numberOf(config, "layer_norm_epsilon", 1e-5),
      positions: "alibi",
      maxPositions: numberOf(config, "seq_length", trainedPositions),
      embeddingNorm: true,
      pad: paddingOf(config),
    });
  },
  weights: (config) => {
    // Query, key and value are stored as one, head by head.
    const third = (index: number) => ({
      name: `${layer}.self_attention.query_key_value`,
      part: { index, of: 3, groups: headsOf(config) },
    });
    return renaming({
      [parts.embedding]: "transformer.word_embeddings",
      [parts.inputNorm]: "transformer.word_embeddings_layernorm",
      [parts.query]: third(0),
      [parts.key]: third(1),
      [parts.value]: third(2),
      [parts.attentionOutput]: `${layer}.self_attention.dense`,
      [parts.attentionNorm]: `${layer}.input_layernorm`,
      [`${parts.feedForward}.expand`]: `${layer}.mlp.dense_h_to_4h`,
      [`${parts.feedForward}.contract`]: `${layer}.mlp.dense_4h_to_h`,
      [parts.feedForwardNorm]: `${layer}.post_attention_layernorm`,
      [parts.finalNorm]: "transformer.ln_f",
    });
  },
  spares: () => (name) => (name === "lm_head.weight" ? { of: "transformer.word_embeddings.weight" } : undefined),
  todaysName: (name) =>
    /^(word_embeddings|word_embeddings_layernorm|h|ln_f)\./.test(name) ? `transformer.${name}` : name,
};

/** Its published files call these otherwise than its own library does. */
const widthOf = (config: HubConfig): number => numberOf(config, "hidden_size", config.n_embed as number);
const headsOf = (config: HubConfig): number => numberOf(config, "n_head", config.num_attention_heads as number);
