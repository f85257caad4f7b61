// A model as a configuration describes it: sizes, and each part by its kind, or as an object of its kind and options.
import { z } from "zod";
import { inStack, kindOf } from "../models/choices/choice.ts";
import { impossible } from "../models/choices/combinations.ts";
import { transformerPresets, type TransformerPreset } from "../models/presets.ts";

const chance = (help: string): z.ZodDefault<z.ZodNumber> => z.number().min(0).lt(1).default(0).describe(help);
const count = (help: string): z.ZodInt => z.int().min(1).describe(help);

/** One value for both stacks, or one each. */
const perStack = <T extends z.ZodType>(schema: T) =>
  z.union([schema, z.strictObject({ encoder: schema, decoder: schema })]);

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

const positions = z.union([
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
]);

const window = count("Places that a query sees on each side, its own included; 128.").exactOptional();
const dilation = count("Distance between these places; 1.").exactOptional();
const chunk = count("Length of the stretches inside which a pass is quadratic; 64.").exactOptional();

const attention = z.union([
  z.enum(["full", "causal-blocks", "tiled", "sliding-window", "longformer", "bigbird", "linear", "retention", "mamba"]),
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
]);

const dense = ["relu", "gelu", "silu", "tanh", "swiglu", "geglu"] as const;

const feedForward = z.union([
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
]);

const norm = z.enum(["layer", "rms", "batch"]);

const targets = z.array(z.string().min(1)).min(1);

const adapter = z.union([
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
    targets: targets.exactOptional().describe("Linear layers by the ends of their names; the last of every sublayer."),
  }),
]);

const embeddings = z.strictObject({
  source: z
    .string()
    .min(1)
    .exactOptional()
    .describe("Word vectors (.txt, .vec or .bin, .gz of each) for source words."),
  target: z.string().min(1).exactOptional().describe("The same for target words, where the two have a table each."),
  frozen: z.boolean().default(false).describe("Whether training leaves these tables as they are."),
});

/** Sizes that a preset fills in; without one those of a small translator. */
const plainSizes = { dModel: 256, heads: 4, layers: 3, dFeedForward: 1024, dropout: 0.1 };

const presetNames = Object.keys(transformerPresets) as [TransformerPreset, ...TransformerPreset[]];

const modelKeys = z.strictObject({
  architecture: z
    .enum(["transformer", "lstm", "lstm-without-attention"])
    .default("transformer")
    .describe("The Transformer, or one of the LSTMs that it is compared with."),
  preset: z.enum(presetNames).optional().describe("Sizes by name; what is said beside it goes before it."),
  dModel: count("Width of the model; 256 without a preset.").optional(),
  heads: count("Attention heads; must divide dModel; 4 without a preset.").optional(),
  keyValueHeads: perStack(z.int().min(1))
    .exactOptional()
    .describe(
      "Heads of keys and values, each shared by several heads of queries: 1 is multi-query attention. As heads.",
    ),
  layers: count("Layers of the encoder and of the decoder; 3 without a preset.").optional(),
  encoderLayers: z.int().min(1).optional().describe("Layers of the encoder, where it differs from layers."),
  decoderLayers: z.int().min(1).optional().describe("Layers of the decoder, where it differs from layers."),
  dFeedForward: count(
    "Width between the two layers of the feed-forward part; the paper takes 4 × dModel; 1024 without a preset.",
  ).optional(),
  attention: perStack(attention)
    .default("full")
    .describe("What exchanges between positions: full attention, or another kind of it, or what stands in its place."),
  feedForward: perStack(feedForward).default("relu").describe("What a block does to each position by itself."),
  norm: perStack(norm).default("layer").describe("Which norm; batch in the encoder only."),
  normPlacement: z
    .enum(["post", "pre", "deep"])
    .default("post")
    .describe("After the residual sum (post, as in the paper), before the sublayer (pre), or DeepNorm's (deep)."),
  positions: perStack(positions).default("sinusoidal").describe("How a stack learns where its tokens stand."),
  positionJoin: z
    .enum(["add", "concatenate"])
    .default("add")
    .describe("Add position vectors to embeddings, or concatenate and project."),
  maxPositions: count("Longest sequence that positions exist for.").default(1024),
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
  adapter: adapter
    .exactOptional()
    .describe("Trains small additions to a base that is given with --warm-start, and nothing else."),
  embeddings: embeddings.exactOptional().describe("Tables of embeddings that begin with given word vectors."),
});

/** What an LSTM has, too. */
const lstmKeys = ["architecture", "dModel", "layers", "dropout", "tying", "maxPositions"];

/** The `model` section of a translation run. */
export const modelConfig = modelKeys
  .superRefine((model, context) => {
    if (model.architecture === "transformer") return;
    // A complete configuration spells out what the Transformer would take by itself.
    const { dropout = plainSizes.dropout } = model;
    const plain: Readonly<Record<string, unknown>> = {
      ...modelKeys.parse({}),
      ...plainSizes,
      embeddingDropout: dropout,
    };
    for (const [key, value] of Object.entries(model)) {
      if (lstmKeys.includes(key) || JSON.stringify(value) === JSON.stringify(plain[key])) continue;
      const message = `has no effect with architecture ${model.architecture}. Remove it`;
      context.addIssue({ code: "custom", path: [key], message });
    }
  })
  // What a preset leaves open is filled in, so that a complete configuration says it.
  .transform(({ preset, ...options }) => {
    const sizes = preset === undefined ? plainSizes : transformerPresets[preset];
    const { dModel = sizes.dModel, heads = sizes.heads, layers = sizes.layers, ...rest } = options;
    const { dFeedForward = sizes.dFeedForward, dropout = sizes.dropout, embeddingDropout = dropout, ...others } = rest;
    return { dModel, heads, layers, dFeedForward, dropout, embeddingDropout, ...others };
  })
  .superRefine((model, context) => {
    const { dModel, heads, positions } = model;
    const reject = (key: string, message: string): void =>
      context.addIssue({ code: "custom", path: key.split("."), message });
    if (dModel % heads !== 0) reject("heads", `must divide dModel (got ${heads} and ${dModel})`);
    const kinds = (["encoder", "decoder"] as const).map((stack) => kindOf(inStack(positions, stack)));
    if (kinds.includes("sinusoidal") && dModel % 2 !== 0)
      reject("dModel", `must be even for sinusoidal positions (got ${dModel})`);
    if ((kinds.includes("rotary") || kinds.includes("xpos")) && (dModel / heads) % 2 !== 0)
      reject("heads", `must leave heads of an even width for positions that turn (got ${heads} and dModel ${dModel})`);
    const { embeddings, tying } = model;
    if (embeddings?.target !== undefined && tying === "three-way")
      reject("embeddings.target", "has no effect with three-way tying, where source and target have one table");
    if (embeddings !== undefined && embeddings.source === undefined && embeddings.target === undefined)
      reject("embeddings", "needs a file of word vectors: source, target or both");
    const found = impossible(model);
    if (found !== undefined) reject(found.key, found.problem);
  });

export type ModelConfig = z.output<typeof modelConfig>;
