import { Transformer } from "../models/index.ts";
import { bartLikeDuplicates, bartLikeOptions, bartLikeWeight } from "./bart-like.ts";
import { insistOn, type HubFamily } from "./family.ts";

/** Position tables begin with two rows that no position uses. */
const unusedPositions = 2;

/** BART: learned positions, a norm on each stack's input. Lewis et al. 2020, "BART: Denoising Sequence-to-Sequence Pre-training". */
export const bart: HubFamily = {
  modelType: "bart",
  build: (config) => {
    insistOn(config, { normalize_embedding: true, static_position_embeddings: false });
    return new Transformer({ ...bartLikeOptions(config), positions: "learned", embeddingNorm: true });
  },
  weights: () => (ours) => {
    const input = /^(source|target)\.(positions\.table|norm\.scale|norm\.shift)$/.exec(ours);
    if (input === null) return bartLikeWeight(ours);
    const stack = input[1] === "source" ? "encoder" : "decoder";
    if (input[2] === "positions.table")
      return { name: `model.${stack}.embed_positions.weight`, skipRows: unusedPositions };
    return { name: `model.${stack}.layernorm_embedding.${input[2] === "norm.scale" ? "weight" : "bias"}` };
  },
  spares: () => {
    const known = new Map(bartLikeDuplicates);
    return (name) => known.get(name);
  },
};
