// What Llama, Mistral and Mixtral share: rotary positions, RMS norms, gates, groups of queries, no offsets anywhere.
import { ConfigError } from "../base/index.ts";
import type { RotaryScalingOptions } from "../nn/index.ts";
import type { LanguageModelOptions, MixerChoice } from "../models/index.ts";
import { paddingOf, parts } from "./decoder-only.ts";
import { choiceOf, insistOn, numberOf, type HubConfig, type HubSpare } from "./family.ts";
import type { HubModule } from "./renaming.ts";

const layer = "model.layers.*";

export const llamaLikeModules: Readonly<Record<string, HubModule>> = {
  [parts.embedding]: "model.embed_tokens",
  [parts.query]: `${layer}.self_attn.q_proj`,
  [parts.key]: `${layer}.self_attn.k_proj`,
  [parts.value]: `${layer}.self_attn.v_proj`,
  [parts.attentionOutput]: `${layer}.self_attn.o_proj`,
  [parts.attentionNorm]: `${layer}.input_layernorm`,
  [`${parts.feedForward}.gate`]: `${layer}.mlp.gate_proj`,
  [`${parts.feedForward}.expand`]: `${layer}.mlp.up_proj`,
  [`${parts.feedForward}.contract`]: `${layer}.mlp.down_proj`,
  [parts.feedForwardNorm]: `${layer}.post_attention_layernorm`,
  [parts.finalNorm]: "model.norm",
  [parts.output]: "lm_head",
};

/** The options that these families read from the same keys. */
export function llamaLikeOptions(config: HubConfig, attention: MixerChoice): LanguageModelOptions {
  const [dModel, heads] = [numberOf(config, "hidden_size"), numberOf(config, "num_attention_heads")];
  insistOn(config, { head_dim: dModel / heads, mlp_bias: false });
  const maxPositions = numberOf(config, "max_position_embeddings");
  const scaling = rotaryScalingOf(config, maxPositions);
  return {
    vocabularySize: numberOf(config, "vocab_size"),
    dModel,
    heads,
    keyValueHeads: numberOf(config, "num_key_value_heads", heads),
    layers: numberOf(config, "num_hidden_layers"),
    dFeedForward: numberOf(config, "intermediate_size"),
    dropout: 0,
    attentionDropout: numberOf(config, "attention_dropout", 0),
    attentionBias: config.attention_bias === true,
    attention,
    feedForward: choiceOf(config, "hidden_act", { silu: "swiglu", swish: "swiglu", gelu: "geglu" }),
    normKind: "rms",
    normEpsilon: numberOf(config, "rms_norm_eps"),
    positions: { kind: "rotary", theta: numberOf(config, "rope_theta", 10_000), ...(scaling && { scaling }) },
    maxPositions,
    tying: config.tie_word_embeddings === true,
    pad: paddingOf(config),
  };
}

function rotaryScalingOf(config: HubConfig, originalMaxPositions: number): RotaryScalingOptions | undefined {
  const { rope_scaling: scaling } = config;
  if (scaling === undefined || scaling === null) return undefined;
  const { type, rope_type: kind = type, factor } = scaling as HubConfig;
  if (typeof factor === "number" && kind === "linear") return { kind: "linear", factor };
  if (typeof factor === "number" && kind === "dynamic") return { kind: "dynamic-ntk", factor, originalMaxPositions };
  throw new ConfigError(
    "config.json",
    `rope_scaling ${JSON.stringify(scaling)} is not supported; {"type": "linear" or "dynamic", "factor": a number} is`,
  );
}

export function llamaLikeSpare(name: string, config: HubConfig): HubSpare | undefined {
  if (name === "lm_head.weight" && config.tie_word_embeddings === true) return { of: "model.embed_tokens.weight" };
  // Speeds of rotation, which older files hold.
  return name.endsWith(".rotary_emb.inv_freq") ? { unused: true } : undefined;
}
