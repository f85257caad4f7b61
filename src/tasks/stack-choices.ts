// What one stack may be told in a configuration: its sizes, and each part by its kind, or as an object of its kind and options.
import { z } from "zod";
import { kindOf } from "../models/choices/choice.ts";
import type { PositionChoice } from "../models/index.ts";

const chance = (help: string): z.ZodDefault<z.ZodNumber> => z.number().min(0).lt(1).default(0).describe(help);
export const count = (help: string): z.ZodInt => z.int().min(1).describe(help);

const kind = <T extends string>(name: T) => z.literal(name).describe("What it is.");
const factor = z.number().min(1).describe("How many times longer texts may be.");
const originalMaxPositions = count("Length that the model was trained for.");
const layout = z.enum(["halves", "interleaved"]).exactOptional().describe("Which dimensions turn together; halves.");
const theta = z.number().gt(1).exactOptional().describe("Base of the wavelengths; 10,000.");

const rotaryScaling = z
  .union([
    z.strictObject({ kind: kind("linear"), factor }),
    z.strictObject({ kind: kind("ntk"), factor }),
    z.strictObject({ kind: kind("dynamic-ntk"), factor, originalMaxPositions }),
    z.strictObject({ kind: kind("yarn"), factor, originalMaxPositions }),
  ])
  .exactOptional()
  .describe("Stretches positions for texts longer than those trained on.");

export const positions = z
  .union([
    z.enum(["none", "sinusoidal", "learned", "rotary", "xpos", "alibi", "relative"]),
    z.strictObject({ kind: kind("none") }),
    z.strictObject({ kind: kind("learned") }),
    z.strictObject({ kind: kind("alibi") }),
    z.strictObject({
      kind: kind("sinusoidal"),
      layout: z
        .enum(["interleaved", "halves"])
        .exactOptional()
        .describe("Sine and cosine in turns, or one after the other."),
    }),
    z.strictObject({
      kind: kind("rotary"),
      dimensions: z.int().min(2).multipleOf(2).exactOptional().describe("How many of a head's dimensions turn; all."),
      theta,
      layout,
      scaling: rotaryScaling,
    }),
    z.strictObject({
      kind: kind("xpos"),
      theta,
      layout,
      scaleBase: z.number().gt(0).exactOptional().describe("Places over which the decay does its work; 512."),
      gamma: z.number().gt(0).exactOptional().describe("Keeps the slowest decay from being none; 0.4."),
    }),
    z.strictObject({
      kind: kind("relative"),
      buckets: z.int().min(2).exactOptional().describe("Distances that are told apart; 32."),
      maxDistance: z.int().min(2).exactOptional().describe("From here on all distances are one; 128."),
    }),
  ])
  .describe("How a stack learns where its tokens stand.");

const window = count("Places that a query sees on each side, its own included; 128.").exactOptional();
const dilation = count("Distance between these places; 1.").exactOptional();
const chunk = count("Length of the stretches inside which a pass is quadratic; 64.").exactOptional();

export const attention = z
  .union([
    z.enum([
      "full",
      "causal-blocks",
      "tiled",
      "sliding-window",
      "longformer",
      "bigbird",
      "linear",
      "retention",
      "mamba",
    ]),
    z.strictObject({ kind: kind("full") }),
    z.strictObject({
      kind: kind("causal-blocks"),
      blocks: count("Groups of queries, each of which leaves out the keys behind it; 8.").exactOptional(),
    }),
    z.strictObject({ kind: kind("tiled"), tile: count("Keys that are looked at together; 256.").exactOptional() }),
    z.strictObject({
      kind: kind("sliding-window"),
      window,
      dilation,
      sinks: z.int().min(0).exactOptional().describe("First places that every query sees besides; 0."),
    }),
    z.strictObject({
      kind: kind("longformer"),
      window,
      dilation,
      globalTokens: z.int().min(0).exactOptional().describe("First places that see and are seen from everywhere; 1."),
    }),
    z.strictObject({
      kind: kind("bigbird"),
      block: count("Places in a block; 64.").exactOptional(),
      windowBlocks: count("Neighbouring blocks that a block sees, itself included; 3.").exactOptional(),
      globalBlocks: z.int().min(0).exactOptional().describe("First blocks that see and are seen from everywhere; 1."),
      randomBlocks: z.int().min(0).exactOptional().describe("Blocks that a block sees at random; 2."),
      seed: z.int().min(0).exactOptional().describe("Names the draw of random blocks."),
    }),
    z.strictObject({ kind: kind("linear"), chunk }),
    z.strictObject({
      kind: kind("retention"),
      expand: count("Width of values relative to dModel; 1.").exactOptional(),
      chunk,
    }),
    z.strictObject({
      kind: kind("mamba"),
      expand: count("Channels relative to dModel; 2.").exactOptional(),
      state: count("Numbers that a channel remembers; 16.").exactOptional(),
      convolution: count("Places that the convolution sees; 4.").exactOptional(),
      rank: count("Width of the step size's projection; dModel / 16.").exactOptional(),
      chunk: count("Positions that one turn of the loop works out; 4.").exactOptional(),
    }),
  ])
  .describe("What exchanges between positions: full attention, or another kind of it, or what stands in its place.");

const dense = ["relu", "gelu", "gelu-tanh", "silu", "tanh", "swiglu", "geglu"] as const;

export const feedForward = z
  .union([
    z.enum(dense),
    ...dense.map((name) => z.strictObject({ kind: kind(name) })),
    z.strictObject({
      kind: kind("experts"),
      experts: count("How many there are."),
      chosen: count("How many each token goes through; 1.").exactOptional(),
      capacityFactor: z
        .number()
        .gt(0)
        .exactOptional()
        .describe("While training an expert takes at most this many times its fair share of tokens; 1.25."),
      balance: z.number().min(0).exactOptional().describe("Weight of the loss that keeps experts equally busy; 0.01."),
      routerZ: z
        .number()
        .min(0)
        .exactOptional()
        .describe("Weight of the loss that keeps the router's scores small; 0.001."),
      expert: z.enum(dense).exactOptional().describe("What an expert is; relu."),
    }),
  ])
  .describe("What a block does to each position by itself.");

export const normKind = z.enum(["layer", "rms", "batch"]).describe("Which norm; batch in the encoder only.");

export const norm = z
  .enum(["post", "pre", "deep"])
  .describe("After the residual sum (post, as in the paper), before the sublayer (pre), or DeepNorm's (deep).");

export const keyValueHeads = count(
  "Heads of keys and values, each shared by several heads of queries: 1 is multi-query attention. As heads.",
);

export const attentionBias = z
  .boolean()
  .default(true)
  .describe("Whether the projections of attention add an offset; Llama's do not.");

const targets = z.array(z.string().min(1)).min(1);

export const adapter = z
  .union([
    z.strictObject({
      kind: kind("lora"),
      rank: count("Width of the low-rank product."),
      alpha: z.number().gt(0).exactOptional().describe("What is added counts alpha / rank; 2 × rank."),
      dropout: z.number().min(0).lt(1).exactOptional().describe("Chance to drop an input of the adapter; 0."),
      targets: targets.describe("Linear layers by the ends of their names, such as query and value."),
    }),
    z.strictObject({
      kind: kind("houlsby"),
      bottleneck: count("Width between its two layers."),
      targets: targets
        .exactOptional()
        .describe("Linear layers by the ends of their names; the last of every sublayer."),
    }),
  ])
  .describe("Trains small additions to a base that is given with --warm-start, and nothing else.");

export const positionJoin = z
  .enum(["add", "concatenate"])
  .default("add")
  .describe("Add position vectors to embeddings, or concatenate and project.");

export const maxPositions = count("Longest sequence that positions exist for.");

/** Sizes that a preset fills in; without one those of a small model. */
export const plainSizes = { dModel: 256, heads: 4, layers: 3, dFeedForward: 1024, dropout: 0.1 };

export type Sizes = Readonly<typeof plainSizes>;

/** The key of a preset, by the names there are. */
export function presetKey<Name extends string>(presets: Readonly<Record<Name, Sizes>>) {
  return z
    .enum(Object.keys(presets) as [Name, ...Name[]])
    .optional()
    .describe("Sizes by name; what is said beside it goes before it.");
}

export const sizeKeys = {
  dModel: count("Width of the model; 256 without a preset.").optional(),
  heads: count("Attention heads; must divide dModel; 4 without a preset.").optional(),
  layers: count("Layers of each stack; 3 without a preset.").optional(),
  dFeedForward: count(
    "Width between the two layers of the feed-forward part; the paper takes 4 × dModel; 1024 without a preset.",
  ).optional(),
};

export const dropoutKeys = {
  dropout: z
    .number()
    .min(0)
    .lt(1)
    .optional()
    .describe("Chance to drop a value of a sublayer's output while training; 0.1 without a preset."),
  embeddingDropout: z.number().min(0).lt(1).optional().describe("The same on embeddings; as dropout if not said."),
  attentionDropout: chance("Chance to drop an attention weight while training."),
  activationDropout: chance("Chance to drop a hidden value of the feed-forward part while training."),
  layerDrop: chance("Chance to leave out a whole layer in a training step."),
};

/** What is left open is filled in, so that a complete configuration says it. */
export function withSizes<Options extends { [Key in keyof Sizes | "embeddingDropout"]?: number | undefined }>(
  options: Options,
  sizes: Sizes,
): Options & Sizes & { embeddingDropout: number } {
  const { dModel = sizes.dModel, heads = sizes.heads, layers = sizes.layers } = options;
  const { dFeedForward = sizes.dFeedForward, dropout = sizes.dropout, embeddingDropout = dropout } = options;
  const filled = { dModel, heads, layers, dFeedForward, dropout, embeddingDropout };
  return { ...filled, ...options, ...filled };
}

/** What is wrong with sizes and positions together: at which key, and in words. */
export function misfitOfSizes(
  { dModel, heads }: Pick<Sizes, "dModel" | "heads">,
  positionsOfStacks: readonly PositionChoice[],
): { key: string; problem: string }[] {
  const kinds = positionsOfStacks.map(kindOf);
  const found: { key: string; problem: string }[] = [];
  if (dModel % heads !== 0) found.push({ key: "heads", problem: `must divide dModel (got ${heads} and ${dModel})` });
  if (kinds.includes("sinusoidal") && dModel % 2 !== 0)
    found.push({ key: "dModel", problem: `must be even for sinusoidal positions (got ${dModel})` });
  if ((kinds.includes("rotary") || kinds.includes("xpos")) && (dModel / heads) % 2 !== 0)
    found.push({
      key: "heads",
      problem: `must leave heads of an even width for positions that turn (got ${heads} and dModel ${dModel})`,
    });
  return found;
}
