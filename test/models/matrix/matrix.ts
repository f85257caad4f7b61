// Every choice of positions beside every mixer beside every feed-forward layer: each pair that the rules allow is trained for a
// few steps on a toy language, and then written with token by token.
import { describe, expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../../src/base/index.ts";
import { compile } from "../../../src/engine/index.ts";
import {
  isPossible,
  mixerKinds,
  positionKinds,
  teacherForcing,
  Transformer,
  TransformerDecoder,
  type ChosenInStack,
  type FeedForwardChoice,
  type MixerChoice,
  type MixerOptions,
  type NormPlacement,
  type PositionChoice,
  type PositionOptions,
  type StackName,
} from "../../../src/models/index.ts";
import { initialize, namedParameters, parameterInputs } from "../../../src/nn/index.ts";
import { dim, input, logSoftmax, withoutDropout } from "../../../src/tensor/index.ts";
import { adam, ModelLearner } from "../../../src/train/index.ts";
import { expectClose } from "../../close.ts";

const steps = 30;
const vocabularySize = 11;
const [batch, time] = [6, 7];
const [pad, start, end] = [0, 1, 2];
const session = { threads: 1 };

/** Small enough that patterns leave something out, and that chunks, tiles and blocks meet within a sequence. */
const mixers: Record<MixerOptions["kind"], MixerChoice> = {
  full: "full",
  "causal-blocks": { kind: "causal-blocks", blocks: 3 },
  tiled: { kind: "tiled", tile: 3 },
  "sliding-window": { kind: "sliding-window", window: 3, sinks: 1 },
  longformer: { kind: "longformer", window: 2, globalTokens: 1 },
  bigbird: { kind: "bigbird", block: 2, windowBlocks: 1, globalBlocks: 1, randomBlocks: 1 },
  linear: { kind: "linear", chunk: 3 },
  retention: { kind: "retention", chunk: 3 },
  mamba: { kind: "mamba", state: 4, chunk: 3 },
};

const positions: Record<PositionOptions["kind"], PositionChoice> = {
  none: "none",
  sinusoidal: "sinusoidal",
  learned: "learned",
  rotary: { kind: "rotary", dimensions: 2, scaling: { kind: "yarn", factor: 2, originalMaxPositions: 16 } },
  xpos: "xpos",
  alibi: "alibi",
  relative: { kind: "relative", buckets: 4, maxDistance: 6 },
};

const feedForwards: Record<string, FeedForwardChoice> = {
  relu: "relu",
  swiglu: "swiglu",
  geglu: "geglu",
  experts: { kind: "experts", experts: 3, chosen: 2 },
};

/** What the rules of combination look at. */
function chosen(attention: string, place: string): ChosenInStack {
  return {
    attention,
    positions: place,
    normKind: "layer",
    positionJoin: "add",
    sharesKeys: false,
    dropsWeights: false,
  };
}

/** In the encoder the same where that is possible, and what is nearest to it elsewhere. */
function inEncoder(attention: MixerOptions["kind"], place: PositionOptions["kind"]) {
  const readsBoth = isPossible("encoder", chosen(attention, "none"));
  const mixer = readsBoth ? attention : "full";
  return { mixer, place: isPossible("encoder", chosen(mixer, place)) ? place : ("rotary" as const) };
}

const random = new RandomStream(randomKey(3));
const words = Array.from({ length: batch }, (_, i) =>
  Array.from({ length: 2 + (i % (time - 2)) }, () => 3 + Math.floor(random.uniform() * (vocabularySize - 3))),
);
const rows = (lines: readonly (readonly number[])[]): HostTensor<"int32"> => {
  const longest = Math.max(...lines.map(({ length }) => length));
  return hostTensor(
    "int32",
    [lines.length, longest],
    lines.flatMap((line) => [...line, ...Array.from({ length: longest - line.length }, () => pad)]),
  );
};
/** Source and the same backwards. */
const sources = rows(words.map((line) => [...line, end]));
const targets = rows(words.map((line) => [start, ...line.toReversed(), end]));
const tokens = targets.data.filter((id) => id !== pad).length - batch;

/** Trains every allowed combination in this placement of norms, and decodes with it. */
export function testCombinations(normPlacement: NormPlacement): void {
  const combinations = positionKinds.flatMap((place) =>
    mixerKinds
      .filter((kind) => isPossible("decoder", chosen(kind, place)))
      .flatMap((kind) => Object.keys(feedForwards).map((feedForward) => ({ place, kind, feedForward }))),
  );
  // The norms and the sharing of keys take turns, so that each meets every other choice somewhere.
  const turns = combinations.map((combination, i) => ({
    ...combination,
    norm: (["layer", "rms", "batch"] as const)[i % 3]!,
    keyValueHeads: ([undefined, 2, 1] as const)[Math.floor(i / 3) % 3],
  }));

  describe(`norms placed ${normPlacement}`, () => {
    test.each(turns)(
      "$place positions, $kind mixer, $feedForward, $norm norm: learns, and writes as it was taught",
      async ({ place, kind, feedForward, norm, keyValueHeads }) => {
        const encoder = inEncoder(kind, place);
        const both = <T>(of: (stack: StackName) => T) => ({ encoder: of("encoder"), decoder: of("decoder") });
        const shares = (mixer: string): boolean =>
          isPossible("decoder", { ...chosen(mixer, "none"), sharesKeys: true });
        const model = new Transformer({
          vocabularySize,
          dModel: 16,
          heads: 4,
          layers: 1,
          dFeedForward: 16,
          dropout: 0,
          maxPositions: 16,
          norm: normPlacement,
          normKind: { encoder: norm, decoder: norm === "batch" ? "layer" : norm },
          feedForward: feedForwards[feedForward]!,
          attention: both((stack) => mixers[stack === "encoder" ? encoder.mixer : kind]),
          positions: both((stack) => positions[stack === "encoder" ? encoder.place : place]),
          keyValueHeads: shares(kind) && shares(encoder.mixer) ? keyValueHeads : undefined,
        });
        const weights = await learn(model);
        await writesAsTaught(model, weights);
      },
    );
  });
}

async function learn(model: Transformer): Promise<Map<string, HostTensor<"float32">>> {
  const parameters = namedParameters(model);
  const learner = await ModelLearner.create({
    parameters,
    loss: teacherForcing(model),
    optimizer: adam({ betas: [0.9, 0.98] }),
    values: initialize(parameters, 1),
    seed: 1,
    session,
  });
  const feeds = {
    sourceIds: sources,
    targetIds: targets,
    tokenWeight: hostTensor("float32", [], [1 / tokens]),
  };
  const losses: number[] = [];
  for (let step = 1; step <= steps; step++) {
    const { figures } = await learner.accumulate(feeds, { step, microBatch: 0 });
    losses.push(figures.negativeLogLikelihood!);
    learner.update({ step, learningRate: 0.01, gradientScale: 1 });
  }
  const weights = learner.store.copyOut();
  await learner.dispose();
  expect(losses.every(Number.isFinite)).toBe(true);
  const mean = (from: number): number => losses.slice(from, from + 5).reduce((a, b) => a + b) / 5;
  expect(mean(steps - 5)).toBeLessThan(0.85 * mean(0));
  return new Map(weights);
}

async function writesAsTaught(model: Transformer, weights: ReadonlyMap<string, HostTensor>): Promise<void> {
  const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
  const targetIds = input("targetIds", "int32", [dim("batch"), dim("targetTime")]);
  const logits = model.logits(model.forward(sourceIds, targetIds).decoder.output);
  const whole = await compile(
    withoutDropout({
      name: "whole",
      inputs: { ...parameterInputs(namedParameters(model)), sourceIds, targetIds },
      outputs: { scores: logSoftmax(logits) },
    }),
    { ...session, frozen: weights },
  );
  const taught = (await whole.run({ sourceIds: sources, targetIds: targets })).scores!;
  await whole.dispose();
  const decoder = new TransformerDecoder(model, weights, session);
  const stepper = await decoder.start(sources);
  const sentences = Int32Array.from({ length: batch }, (_, i) => i);
  const length = targets.dims[1]!;
  for (let t = 0; t < length; t++) {
    const step = sentences.map((i) => targets.data[i * length + t]!);
    const written = await stepper.logProbabilities({ sentences, beams: 1, tokens: step, parents: sentences });
    for (const i of sentences) {
      if (step[i] === pad) continue;
      const [here, there] = [i * vocabularySize, (i * length + t) * vocabularySize];
      expectClose(
        written.subarray(here, here + vocabularySize),
        (taught.data as Float32Array).subarray(there, there + vocabularySize),
        { within: 1e-4, what: `sentence ${i}, token ${t}` },
      );
    }
  }
  await decoder.dispose();
}
