import type { HostTensor } from "../base/index.ts";
import { sinusoidalTable } from "../nn/index.ts";
import { bartLikeDuplicates, bartLikeOptions, bartLikeWeight } from "./bart-like.ts";
import { insistOn, numberOf, type HubConfig, type HubFamily } from "./family.ts";

/** Marian: the OPUS-MT translators. Sinusoidal positions, which need not be in the file; decoding starts from the padding token. */
export const marian: HubFamily = {
  modelType: "marian",
  options: (config) => {
    insistOn(config, {
      share_encoder_decoder_embeddings: true,
      decoder_vocab_size: config.vocab_size,
      normalize_embedding: false,
      static_position_embeddings: true,
    });
    return { ...bartLikeOptions(config), positions: "sinusoidal-halves" };
  },
  weights: () => bartLikeWeight,
  duplicates: (config) =>
    new Map([
      ...bartLikeDuplicates,
      ["model.encoder.embed_positions.weight", { values: () => positions(config) }],
      ["model.decoder.embed_positions.weight", { values: () => positions(config) }],
    ]),
};

function positions(config: HubConfig): HostTensor<"float32"> {
  const [maxPositions, dModel] = [numberOf(config, "max_position_embeddings"), numberOf(config, "d_model")];
  const data = sinusoidalTable({ dModel, maxPositions, layout: "halves" });
  return { dtype: "float32", dims: [maxPositions, dModel], data };
}
