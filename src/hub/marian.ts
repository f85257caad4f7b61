import type { HostTensor } from "../base/index.ts";
import { Transformer, type TransformerOptions } from "../models/index.ts";
import { sinusoidalTable } from "../nn/index.ts";
import { bartLikeDuplicates, bartLikeOptions, bartLikeWeight } from "./bart-like.ts";
import { insistOn, numberOf, type HubConfig, type HubFamily, type HubSpare } from "./family.ts";

/**
 * Marian: the OPUS-MT translators. Sinusoidal positions, which need not be in the file; decoding starts from the padding token.
 * One vocabulary for both languages, or one each where `share_encoder_decoder_embeddings` is false.
 */
export const marian: HubFamily = {
  modelType: "marian",
  build: (config) => {
    insistOn(config, {
      normalize_embedding: false,
      static_position_embeddings: true,
      ...(isShared(config) && { decoder_vocab_size: config.vocab_size }),
    });
    const options: TransformerOptions = {
      ...bartLikeOptions(config),
      positions: { kind: "sinusoidal", layout: "halves" },
    };
    if (isShared(config)) return new Transformer(options);
    const vocabularySize = { source: numberOf(config, "vocab_size"), target: numberOf(config, "decoder_vocab_size") };
    return new Transformer({ ...options, vocabularySize, tying: "two-way" });
  },
  weights: (config) => (ours) => {
    const own = isShared(config) ? undefined : ownTables[ours];
    return own === undefined ? bartLikeWeight(ours) : { name: own };
  },
  spares: (config) => {
    const known = new Map<string, HubSpare>([
      ...(isShared(config) ? bartLikeDuplicates : [["lm_head.weight", { of: targetTable }] as const]),
      ["model.encoder.embed_positions.weight", { values: () => positions(config) }],
      ["model.decoder.embed_positions.weight", { values: () => positions(config) }],
    ]);
    return (name) => known.get(name);
  },
};

const targetTable = "model.decoder.embed_tokens.weight";

/** Where the tables of two vocabularies are stored. */
const ownTables: Readonly<Record<string, string>> = {
  "source.embedding.table": "model.encoder.embed_tokens.weight",
  "target.embedding.table": targetTable,
};

const isShared = (config: HubConfig): boolean => config.share_encoder_decoder_embeddings !== false;

function positions(config: HubConfig): HostTensor<"float32"> {
  const [maxPositions, dModel] = [numberOf(config, "max_position_embeddings"), numberOf(config, "d_model")];
  const data = sinusoidalTable({ dModel, maxPositions, layout: "halves" });
  return { dtype: "float32", dims: [maxPositions, dModel], data };
}
