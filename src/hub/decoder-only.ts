// What the families of language models share: their modules' paths here, and what stands for padding.
import { numberOf, type HubConfig } from "./family.ts";

/** Paths of the parts of a `LanguageModel`. */
export const parts = {
  embedding: "input.embedding",
  positions: "input.positions",
  inputNorm: "input.norm",
  query: "decoder.layers.*.selfAttention.query",
  key: "decoder.layers.*.selfAttention.key",
  value: "decoder.layers.*.selfAttention.value",
  attentionOutput: "decoder.layers.*.selfAttention.output",
  attentionNorm: "decoder.layers.*.selfAttentionResidual.norm",
  feedForward: "decoder.layers.*.feedForward",
  feedForwardNorm: "decoder.layers.*.feedForwardResidual.norm",
  finalNorm: "decoder.finalNorm",
  output: "output",
} as const;

/**
 * The id that fills up a batch. Many of these models have none; then it is the one that ends a text, as is the custom, and
 * training them on asks for no end: name a `pad_token_id` for that.
 */
export function paddingOf(config: HubConfig): number {
  const { pad_token_id: pad, eos_token_id: end } = config;
  if (typeof pad === "number" && pad >= 0) return pad;
  return numberOf({ eos_token_id: Array.isArray(end) ? end[0] : end }, "eos_token_id", 0);
}
