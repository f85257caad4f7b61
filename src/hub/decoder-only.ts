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

/** The id that fills up a batch. Many of these models have none; then it is −1, which no text holds, so every token counts. */
export function paddingOf(config: HubConfig): number {
  return numberOf(config, "pad_token_id", -1);
}
