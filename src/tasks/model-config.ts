// An encoder-decoder as a configuration describes it: what its two stacks are told, and what lies between them.
import { z } from "zod";
import { inStack } from "../models/choices/choice.ts";
import { impossible } from "../models/choices/combinations.ts";
import { transformerPresets } from "../models/presets.ts";
import { completeOnePassModel, misfitOfOnePassModel, onePassModelKeys } from "./non-autoregressive-config.ts";
import {
  adapter,
  attention,
  attentionBias,
  count,
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

/** One value for both stacks, or one each. */
const perStack = <T extends z.ZodType>(schema: T) =>
  z.union([schema, z.strictObject({ encoder: schema, decoder: schema })]).describe(schema.description ?? "");

const embeddings = z.strictObject({
  source: z
    .string()
    .min(1)
    .exactOptional()
    .describe("Word vectors (.txt, .vec or .bin, .gz of each) for source words."),
  target: z.string().min(1).exactOptional().describe("The same for target words, where the two have a table each."),
  frozen: z.boolean().default(false).describe("Whether training leaves these tables as they are."),
});

const modelKeys = z.strictObject({
  architecture: z
    .enum(["transformer", "non-autoregressive", "lstm", "lstm-without-attention"])
    .default("transformer")
    .describe(
      "The Transformer, one whose decoder writes all places at once, or one of the LSTMs that it is compared with.",
    ),
  preset: presetKey(transformerPresets),
  ...sizeKeys,
  keyValueHeads: perStack(keyValueHeads).exactOptional(),
  encoderLayers: count("Layers of the encoder, where it differs from layers.").optional(),
  decoderLayers: count("Layers of the decoder, where it differs from layers.").optional(),
  attentionBias,
  attention: perStack(attention).default("full"),
  feedForward: perStack(feedForward).default("relu"),
  normKind: perStack(normKind).default("layer"),
  norm: norm.default("post"),
  positions: perStack(positions).default("sinusoidal"),
  positionJoin,
  maxPositions: maxPositions.default(1024),
  memory: z
    .union([z.enum(["last", "same-depth", "mixture"]), z.array(z.int().min(0)).min(1)])
    .default("last")
    .describe(
      "Which encoder layer each decoder layer looks at: the last, that of its own depth, a learned mixture, or a list.",
    ),
  tying: z
    .enum(["none", "two-way", "three-way"])
    .default("three-way")
    .describe("Shared weights: target embedding and output (two-way), source embedding too (three-way)."),
  ...onePassModelKeys,
  ...dropoutKeys,
  adapter: adapter.exactOptional(),
  embeddings: embeddings.exactOptional().describe("Tables of embeddings that begin with given word vectors."),
});

/** What an LSTM has, too. */
const lstmKeys = ["architecture", "dModel", "layers", "dropout", "tying", "maxPositions"];

/** The `model` section of a translation run. */
export const modelConfig = modelKeys
  .superRefine((model, context) => {
    const reject = (key: string, message: string): void => context.addIssue({ code: "custom", path: [key], message });
    if (model.architecture === "transformer") {
      for (const key of Object.keys(onePassModelKeys))
        if (model[key as keyof typeof onePassModelKeys] !== undefined)
          reject(key, "has no effect with architecture transformer. Remove it");
      return;
    }
    if (model.architecture === "non-autoregressive") {
      const misfit = misfitOfOnePassModel(model);
      if (misfit !== undefined) reject(misfit.key, misfit.problem);
      return;
    }
    // A complete configuration spells out what the Transformer would take by itself.
    const { dropout = plainSizes.dropout } = model;
    const plain: Readonly<Record<string, unknown>> = {
      ...modelKeys.parse({}),
      ...plainSizes,
      embeddingDropout: dropout,
    };
    for (const [key, value] of Object.entries(model)) {
      if (lstmKeys.includes(key) || JSON.stringify(value) === JSON.stringify(plain[key])) continue;
      reject(key, `has no effect with architecture ${model.architecture}. Remove it`);
    }
  })
  .transform(({ preset, ...options }) => ({
    ...withSizes(options, preset === undefined ? plainSizes : transformerPresets[preset]),
    ...(options.architecture === "non-autoregressive" && completeOnePassModel(options)),
  }))
  .superRefine((model, context) => {
    const reject = (key: string, message: string): void =>
      context.addIssue({ code: "custom", path: key.split("."), message });
    const { positions } = model;
    const misfits = misfitOfSizes(model, [inStack(positions, "encoder"), inStack(positions, "decoder")]);
    for (const { key, problem } of misfits) reject(key, problem);
    const { embeddings, tying } = model;
    if (embeddings?.target !== undefined && tying === "three-way")
      reject("embeddings.target", "has no effect with three-way tying, where source and target have one table");
    if (embeddings !== undefined && embeddings.source === undefined && embeddings.target === undefined)
      reject("embeddings", "needs a file of word vectors: source, target or both");
    const isOnePass = model.architecture === "non-autoregressive";
    const found = impossible(model, isOnePass ? { readBothWays: ["encoder", "decoder"] } : {});
    if (found !== undefined) reject(found.key, found.problem);
  });

export type ModelConfig = z.output<typeof modelConfig>;
