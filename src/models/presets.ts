// Models of known size by name.
import type { TransformerOptions } from "./encoder-decoder.ts";

/** What a preset says of a model; everything else stays as it is by itself. */
export type PresetSizes = Required<
  Pick<TransformerOptions, "dModel" | "heads" | "layers" | "dFeedForward" | "dropout">
> & {
  readonly dModel: number;
  readonly heads: number;
  readonly layers: number;
  readonly dFeedForward: number;
};

/** Encoder-decoders: the paper's two sizes (Vaswani et al. 2017, table 3) and the small one that Multi30k is known by (Wu et al. 2021). */
export const transformerPresets = {
  "transformer-tiny": { dModel: 128, heads: 4, layers: 4, dFeedForward: 256, dropout: 0.3 },
  "transformer-base": { dModel: 512, heads: 8, layers: 6, dFeedForward: 2048, dropout: 0.1 },
  "transformer-big": { dModel: 1024, heads: 16, layers: 6, dFeedForward: 4096, dropout: 0.3 },
} as const satisfies Record<string, PresetSizes>;

/** Encoders: BERT's base size (Devlin et al. 2019, section 3) and the smaller ones of Turc et al. 2019, "Well-Read Students Learn Better". */
export const bertPresets = {
  "bert-tiny": { dModel: 128, heads: 2, layers: 2, dFeedForward: 512, dropout: 0.1 },
  "bert-mini": { dModel: 256, heads: 4, layers: 4, dFeedForward: 1024, dropout: 0.1 },
  "bert-base": { dModel: 768, heads: 12, layers: 12, dFeedForward: 3072, dropout: 0.1 },
} as const satisfies Record<string, PresetSizes>;

/** Decoders: GPT's size (Radford et al. 2018, section 4.1), which GPT-2's smallest model has too, and a small one for trying things out. */
export const gptPresets = {
  "gpt-tiny": { dModel: 128, heads: 4, layers: 4, dFeedForward: 512, dropout: 0.1 },
  "gpt-small": { dModel: 768, heads: 12, layers: 12, dFeedForward: 3072, dropout: 0.1 },
} as const satisfies Record<string, PresetSizes>;

export type TransformerPreset = keyof typeof transformerPresets;
export type BertPreset = keyof typeof bertPresets;
export type GptPreset = keyof typeof gptPresets;
