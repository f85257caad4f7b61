import { bartLikeOptions, bartLikeWeight } from "./bart-like.ts";
import type { HubFamily } from "./family.ts";

/** Marian: the OPUS-MT translators. Sinusoidal positions that are not in the file; decoding starts from the padding token. */
export const marian: HubFamily = {
  modelType: "marian",
  options: (config) => ({ ...bartLikeOptions(config), positions: "sinusoidal-halves" }),
  weights: () => bartLikeWeight,
};
