// A model of one stack as a configuration describes it: a decoder that writes on, or an encoder that reads in both directions.
import { z } from "zod";
import { impossible } from "../models/choices/combinations.ts";
import { bertPresets, gptPresets } from "../models/presets.ts";
import {
  adapter,
  attention,
  attentionBias,
  dropoutKeys,
  feedForward,
  keyValueHeads,
  maxPositions,
  misfitOfSizes,
  normKind,
  norm,
  plainSizes,
  positionJoin,
  positions,
  presetKey,
  sizeKeys,
  withSizes,
} from "./stack-choices.ts";

/** What both have; each adds its preset and its own keys. */
const singleStackKeys = {
  ...sizeKeys,
  keyValueHeads: keyValueHeads.exactOptional(),
  attentionBias,
  attention: attention.default("full"),
  feedForward: feedForward.default("gelu"),
  normKind: normKind.default("layer"),
  positions: positions.default("learned"),
  positionJoin,
  ...dropoutKeys,
  adapter: adapter.exactOptional(),
};

const languageModelKeys = z.strictObject({
  preset: presetKey(gptPresets),
  ...singleStackKeys,
  norm: norm.default("pre"),
  maxPositions: maxPositions.default(1024),
  tying: z.boolean().default(true).describe("Whether the output layer is the embedding table."),
  scaleEmbeddings: z.boolean().default(false).describe("Multiply embeddings by √dModel."),
  embeddingNorm: z.boolean().default(false).describe("A norm on the stack's input."),
  outputBias: z.boolean().default(false).describe("An offset for each token in the output layer."),
});

const textEncoderKeys = z.strictObject({
  preset: presetKey(bertPresets),
  ...singleStackKeys,
  norm: norm.default("post"),
  maxPositions: maxPositions.default(512),
  embeddingNorm: z.boolean().optional().describe("A norm on the stack's input; as BERT has it, unless norms are pre."),
  segments: z
    .int()
    .min(0)
    .default(2)
    .describe("Texts that one input may hold, told apart by a vector a token; 0 for none."),
});

/** Refuses what one stack cannot be. */
const refuse =
  (stack: "encoder" | "decoder") =>
  (
    model: Parameters<typeof misfitOfSizes>[0] &
      Omit<Parameters<typeof impossible>[0], "positions"> & { positions: z.output<typeof positions> },
    context: z.RefinementCtx,
  ): void => {
    const reject = (key: string, message: string): void =>
      context.addIssue({ code: "custom", path: key.split("."), message });
    for (const { key, problem } of misfitOfSizes(model, [model.positions])) reject(key, problem);
    const found = impossible(model, { stacks: [stack] });
    if (found !== undefined) reject(found.key, found.problem);
  };

/** The `model` section of a language model's run. */
export const languageModelSection = languageModelKeys
  .transform(({ preset, ...options }) => withSizes(options, preset === undefined ? plainSizes : gptPresets[preset]))
  .superRefine(refuse("decoder"));

/** The `model` section of a masked language model's run. */
export const textEncoderSection = textEncoderKeys
  .transform(({ preset, embeddingNorm, ...options }) => ({
    ...withSizes(options, preset === undefined ? plainSizes : bertPresets[preset]),
    embeddingNorm: embeddingNorm ?? options.norm !== "pre",
  }))
  .superRefine(refuse("encoder"));
