// What BART and Marian share: one layout of encoder, decoder and names, from fairseq's days.
import { ConfigError } from "../base/index.ts";
import type { TransformerOptions } from "../models/index.ts";
import {
  activationNames,
  choiceOf,
  insistOn,
  numberOf,
  type HubConfig,
  type HubSpare,
  type HubWeight,
} from "./family.ts";

/** The options that both families read from the same keys. */
export function bartLikeOptions(config: HubConfig): TransformerOptions {
  // Layers dropped while training are not built; the other keys are of older files and say what the class always does.
  insistOn(config, {
    tie_word_embeddings: true,
    encoder_layerdrop: 0,
    decoder_layerdrop: 0,
    normalize_before: false,
    add_final_layer_norm: false,
  });
  return {
    vocabularySize: numberOf(config, "vocab_size"),
    dModel: numberOf(config, "d_model"),
    heads: {
      encoder: numberOf(config, "encoder_attention_heads"),
      decoder: numberOf(config, "decoder_attention_heads"),
    },
    layers: { encoder: numberOf(config, "encoder_layers"), decoder: numberOf(config, "decoder_layers") },
    dFeedForward: { encoder: numberOf(config, "encoder_ffn_dim"), decoder: numberOf(config, "decoder_ffn_dim") },
    dropout: numberOf(config, "dropout"),
    attentionDropout: numberOf(config, "attention_dropout"),
    activationDropout: numberOf(config, "activation_dropout"),
    feedForward: choiceOf(config, "activation_function", activationNames),
    norm: "post",
    tying: "three-way",
    scaleEmbeddings: config.scale_embedding === true,
    maxPositions: numberOf(config, "max_position_embeddings"),
    outputBias: "fixed",
    learnsPadding: false,
    pad: numberOf(config, "pad_token_id"),
  };
}

const sharedTable = "model.shared.weight";

/** Copies of the one embedding table, which files that were not saved by that library often hold. */
export const bartLikeDuplicates: readonly (readonly [string, HubSpare])[] = [
  ["model.encoder.embed_tokens.weight", { of: sharedTable }],
  ["model.decoder.embed_tokens.weight", { of: sharedTable }],
  ["lm_head.weight", { of: sharedTable }],
];

const parts: Readonly<Record<string, string>> = {
  selfAttention: "self_attn",
  crossAttention: "encoder_attn",
  selfAttentionResidual: "self_attn_layer_norm",
  crossAttentionResidual: "encoder_attn_layer_norm",
  feedForwardResidual: "final_layer_norm",
};

const projections: Readonly<Record<string, string>> = {
  query: "q_proj",
  key: "k_proj",
  value: "v_proj",
  output: "out_proj",
  expand: "fc1",
  contract: "fc2",
};

const kinds: Readonly<Record<string, string>> = { weight: "weight", bias: "bias", scale: "weight", shift: "bias" };

/** Names of layers' weights: `decoder.layers.0.crossAttention.query.weight` → `model.decoder.layers.0.encoder_attn.q_proj.weight`. */
export function bartLikeWeight(ours: string): HubWeight {
  if (ours === "source.embedding.table") return { name: sharedTable };
  if (ours === "outputBias") return { name: "final_logits_bias", squeeze: true };
  const layer = /^(encoder|decoder)\.layers\.(\d+)\.(\w+)\.(\w+)\.(\w+)$/.exec(ours);
  const [, stack, index, part, piece, kind] = layer ?? [];
  const prefix = `model.${stack}.layers.${index}`;
  const suffix = kinds[kind ?? ""];
  if (layer !== null && piece === "norm") return { name: `${prefix}.${parts[part!]}.${suffix}` };
  if (layer !== null && part === "feedForward")
    return { name: `${prefix}.${projections[piece!]}.${suffix}`, transpose: kind === "weight" };
  if (layer !== null)
    return { name: `${prefix}.${parts[part!]}.${projections[piece!]}.${suffix}`, transpose: kind === "weight" };
  throw new ConfigError("config.json", `no weight of this family is known for ${ours}`);
}
