// Small Transformers of every arrangement, with weights that leave nothing at zero or one.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import { compile, type Feeds } from "../../src/engine/index.ts";
import type { Transformer, TransformerOptions } from "../../src/models/index.ts";
import { initialize, namedParameters, parameterInputs } from "../../src/nn/index.ts";
import { dim, input, withoutDropout, type Tensor } from "../../src/tensor/index.ts";

export type Weights = Map<string, HostTensor<"float32">>;

export const session = { threads: 1 };

const small = { dModel: 16, heads: 4, layers: 2, dFeedForward: 24, maxPositions: 32 } as const;

/** Each choice of norm, positions, join and tying at least once, and the pairs that share code. */
export const arrangements: readonly (readonly [name: string, options: TransformerOptions])[] = [
  ["post-norm, sinusoidal, three-way tied", { ...small, vocabularySize: 13 }],
  ["pre-norm, sinusoidal, two vocabularies", { ...small, vocabularySize: { source: 17, target: 13 }, norm: "pre" }],
  [
    "post-norm, learned, untied",
    { ...small, vocabularySize: 13, positions: "learned", tying: "none", feedForward: "gelu" },
  ],
  [
    "pre-norm, learned, concatenated",
    { ...small, vocabularySize: 13, positions: "learned", positionJoin: "concatenate", norm: "pre" },
  ],
  [
    "post-norm, sinusoidal, concatenated, two-way tied",
    { ...small, vocabularySize: 13, positionJoin: "concatenate", tying: "two-way" },
  ],
  [
    "pre-norm, embedding norm, unlike stacks, output offset",
    {
      ...small,
      vocabularySize: 13,
      norm: "pre",
      positions: { kind: "sinusoidal", layout: "halves" },
      heads: { encoder: 2, decoder: 4 },
      layers: { encoder: 1, decoder: 2 },
      embeddingNorm: true,
      outputBias: "learned",
      feedForward: "silu",
    },
  ],
];

/** Models whose steps keep something else than all keys and values of every head. */
export const variants: readonly (readonly [name: string, options: TransformerOptions])[] = [
  ["rotary, two heads of keys", { ...small, vocabularySize: 13, positions: "rotary", keyValueHeads: 2 }],
  ["ALiBi, one head of keys", { ...small, vocabularySize: 13, positions: "alibi", keyValueHeads: 1 }],
  [
    "xPos, an encoder layer for each decoder layer",
    { ...small, vocabularySize: 13, positions: { encoder: "rotary", decoder: "xpos" }, memory: "same-depth" },
  ],
  [
    "relative bias, a mixture of encoder layers",
    { ...small, vocabularySize: 13, positions: "relative", memory: "mixture", norm: "pre" },
  ],
  [
    "no positions, listed encoder layers, RMS norm",
    { ...small, vocabularySize: 13, positions: "none", memory: [0, 2], normKind: "rms", norm: "pre" },
  ],
  [
    "a window that rolls",
    { ...small, vocabularySize: 13, positions: "rotary", attention: { kind: "sliding-window", window: 3 } },
  ],
  [
    "a window with sinks, and ALiBi",
    { ...small, vocabularySize: 13, positions: "alibi", attention: { kind: "sliding-window", window: 3, sinks: 2 } },
  ],
  ["a dilated window", { ...small, vocabularySize: 13, attention: { kind: "sliding-window", window: 2, dilation: 2 } }],
  ["Longformer", { ...small, vocabularySize: 13, attention: { kind: "longformer", window: 2, globalTokens: 1 } }],
  [
    // In an encoder its random blocks depend on how many blocks there are, padding included.
    "BigBird in the decoder",
    {
      ...small,
      vocabularySize: 13,
      attention: {
        encoder: "full",
        decoder: { kind: "bigbird", block: 2, windowBlocks: 1, globalBlocks: 1, randomBlocks: 1 },
      },
    },
  ],
  [
    "linear attention with rotary positions",
    { ...small, vocabularySize: 13, attention: "linear", positions: "rotary" },
  ],
  ["retention in the decoder", { ...small, vocabularySize: 13, attention: { encoder: "full", decoder: "retention" } }],
  [
    "Mamba in the decoder, experts",
    {
      ...small,
      vocabularySize: 13,
      attention: { encoder: "tiled", decoder: "mamba" },
      feedForward: { kind: "experts", experts: 3 },
      norm: "deep",
    },
  ],
];

/** First values with noise on all of them, so that offsets and scales take part. */
export function noisyWeights(model: Transformer, seed = 1): Weights {
  const random = new RandomStream(randomKey(seed, 77));
  const weights = initialize(namedParameters(model), seed);
  for (const { data } of weights.values()) for (let i = 0; i < data.length; i++) data[i]! += 0.1 * random.normal();
  return weights;
}

export function feedsOf(weights: Weights): Feeds {
  return Object.fromEntries(weights);
}

/** Rows of ids, padded with `pad` to the longest, or to `time` if that is more. */
export function idRows(
  rows: readonly (readonly number[])[],
  { time = 0, pad = 0 }: { time?: number; pad?: number } = {},
): HostTensor<"int32"> {
  const longest = Math.max(time, ...rows.map((row) => row.length));
  return hostTensor(
    "int32",
    [rows.length, longest],
    rows.flatMap((row) => [...row, ...Array.from({ length: longest - row.length }, () => pad)]),
  );
}

/** Rows of random ids from 1 on, of these lengths. */
export function randomRows(lengths: readonly number[], vocabularySize: number, seed = 1): number[][] {
  const random = new RandomStream(randomKey(seed, 78));
  return lengths.map((length) => Array.from({ length }, () => 1 + Math.floor(random.uniform() * (vocabularySize - 1))));
}

export const sourceIds: Tensor = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
const targetIds: Tensor = input("targetIds", "int32", [dim("batch"), dim("targetTime")]);

/** Runs outputs of a model over feeds, once. */
export async function evaluate(
  model: Transformer,
  outputs: Readonly<Record<string, Tensor>>,
  feeds: Feeds,
  inputs: Readonly<Record<string, Tensor>> = {},
): Promise<Record<string, HostTensor>> {
  const parameters = parameterInputs(namedParameters(model));
  const run = await compile(
    withoutDropout({ name: "test", inputs: { ...parameters, sourceIds, targetIds, ...inputs }, outputs }),
    session,
  );
  try {
    return await run.run(feeds);
  } finally {
    await run.dispose();
  }
}

/** Logits [batch, targetTime, vocabulary] of teacher forcing, as a function of the two languages' ids. */
export async function logitsOf(model: Transformer, weights: Weights) {
  const outputs = { logits: model.logits(model.forward(sourceIds, targetIds).decoder.output) };
  const parameters = parameterInputs(namedParameters(model));
  const run = await compile(
    withoutDropout({ name: "logits", inputs: { ...parameters, sourceIds, targetIds }, outputs }),
    session,
  );
  return {
    run: async (source: HostTensor<"int32">, target: HostTensor<"int32">): Promise<HostTensor<"float32">> => {
      const { logits } = await run.run({ ...feedsOf(weights), sourceIds: source, targetIds: target });
      return logits as HostTensor<"float32">;
    },
    [Symbol.asyncDispose]: () => run.dispose(),
  };
}
