// What is shown of one step is what the model computes: weights are the softmax of the q and k beside them, and a step by itself asks the same.
import { afterAll, describe, expect, test } from "vitest";
import { compile } from "../../src/engine/index.ts";
import {
  KeyValueCache,
  sourceProgram,
  StepTrace,
  Transformer,
  type TransformerOptions,
} from "../../src/models/index.ts";
import { namedParameters, parameterInputs } from "../../src/nn/index.ts";
import { Translation, type InspectedStep } from "../../src/tasks/index.ts";
import { concat, withoutDropout } from "../../src/tensor/index.ts";
import { WordTokenizer } from "../../src/text/index.ts";
import { expectClose } from "../close.ts";
import { idRows, noisyWeights, session } from "../models/small-transformer.ts";

const tokenizer = WordTokenizer.train(["red blue street one two three four five six seven"]);
const small = { vocabularySize: tokenizer.vocabularySize, dModel: 16, heads: 4, layers: 3, dFeedForward: 24 } as const;
const source = "red street two five";
const target = "blue one seven three";

const arrangements: readonly (readonly [name: string, options: TransformerOptions, from: string])[] = [
  ["post-norm", small, "decoder.layers.1.selfAttentionResidual.norm"],
  [
    "pre-norm, rotary, shared keys",
    { ...small, norm: "pre", positions: "rotary", keyValueHeads: 2 },
    "decoder.layers.1.crossAttentionResidual.norm",
  ],
  ["each layer its own memory", { ...small, memory: "same-depth" }, "decoder.layers.1.selfAttentionResidual.norm"],
];

/** softmax(q kᵀ / √dHead), head by head. */
function weightsOf({ query, key }: InspectedStep): number[] {
  const [heads, dHead] = query.shape as [number, number];
  const [groups, time] = key.shape as [number, number];
  return Array.from({ length: heads }, (_, head) => {
    const group = Math.floor((head * groups) / heads);
    const scores = Array.from({ length: time }, (_x, place) => {
      let sum = 0;
      for (let i = 0; i < dHead; i++)
        sum += query.values[head * dHead + i]! * key.values[(group * time + place) * dHead + i]!;
      return Math.exp(sum / Math.sqrt(dHead));
    });
    const total = scores.reduce((a, b) => a + b, 0);
    return scores.map((score) => score / total);
  }).flat();
}

describe.each(arrangements)("a look into a decoder, %s", (_, options, from) => {
  const model = new Transformer(options);
  const weights = noisyWeights(model, 3);
  const translation = new Translation({ model, tokenizer, weights, session, decoding: { maxLength: 6 } });
  afterAll(() => translation.dispose());

  test("weights are the softmax of the q and k beside them", async () => {
    for (const layer of [0, 1, 2]) {
      for (const step of [0, 2, 4]) {
        const { teacherForced, freeRunning } = await translation.inspect(source, { target, step, layer });
        for (const side of [teacherForced, freeRunning]) {
          if (side === undefined) continue;
          expect(side.weights.shape).toEqual([4, 5]);
          expectClose(side.weights.values, Float32Array.from(weightsOf(side)), {
            within: 1e-5,
            what: `${layer}, ${step}`,
          });
        }
      }
    }
  });

  test("says what was read, in teacher forcing the target and running freely what greedy search writes", async () => {
    const [written] = (await translation.generate([source], { beams: 1 }))[0]!;
    const { sourceTokens, teacherForced, freeRunning, layers } = await translation.inspect(source, {
      target,
      step: 2,
      layer: 1,
    });
    expect(sourceTokens).toEqual([...source.split(" ").map((word) => `▁${word}`), "</s>"]);
    expect(layers).toBe(3);
    expect(teacherForced!.fed).toEqual(["<s>", "▁blue", "▁one"]);
    expect(teacherForced!.next).toBe("▁seven");
    expect(freeRunning!.fed).toEqual(["<s>", ...written!.tokens.slice(0, 2)]);
    expect([freeRunning!.next, freeRunning!.likeliest]).toEqual([written!.tokens[2], written!.tokens[2]]);
    expect(teacherForced!.querySource).toMatchObject({ name: from, shape: [16] });
    expect(teacherForced!.memory.shape).toEqual([5, 16]);
    // Both read the same source, and the first step the same START.
    expect(freeRunning!.memory.values).toEqual(teacherForced!.memory.values);
    const first = await translation.inspect(source, { target });
    expect(first.freeRunning!.querySource.values).toEqual(first.teacherForced!.querySource.values);
  });

  test("a step of decoding asks with the q that teacher forcing shows", async () => {
    const frozen = new Map(weights);
    const read = await compile(withoutDropout(sourceProgram(model)), { ...session, frozen });
    const sourceIds = idRows([tokenizer.encode(source, { end: true })]);
    const memory = await read.run({ sourceIds });
    await read.dispose();
    const trace = new StepTrace(1);
    model.step(trace);
    const outputs = {
      newEntries: concat(trace.newEntries, 0),
      ...Object.fromEntries(trace.asked.map((asked, layer) => [`asked.${layer}`, asked])),
    };
    const inputs = { ...parameterInputs(namedParameters(model)), ...trace.inputs };
    await using step = await compile(withoutDropout({ name: "step", inputs, outputs }), { ...session, frozen });
    const cache = new KeyValueCache({ layers: trace.caches, batch: 1 });
    const one = (value: number) => ({ dtype: "int32", dims: [1], data: Int32Array.of(value) }) as const;
    const fed = [tokenizer.special.start, ...tokenizer.encode(target)];
    for (const [place, id] of fed.entries()) {
      const given = { ...memory, ...cache.feeds(), tokens: one(id), position: one(place), places: one(place) };
      const wanted = Object.entries(given).filter(([name]) => name in trace.inputs);
      const { newEntries, ...asked } = await step.run(Object.fromEntries(wanted));
      cache.append(newEntries!.data as Float32Array);
      for (let layer = 0; layer < 3; layer++) {
        const { teacherForced } = await translation.inspect(source, { target, step: place, layer });
        const scaled = teacherForced!.query.values.map((x) => x / Math.sqrt(4));
        expectClose(asked[`asked.${layer}`]!.data as Float32Array, scaled, {
          within: 1e-5,
          what: `${place}, ${layer}`,
        });
      }
    }
  });

  test("refuses layers and steps that there are not", async () => {
    await expect(translation.inspect(source, { layer: 3 })).rejects.toThrow("layer: must be below 3 (got 3).");
    await expect(translation.inspect(source, { step: 40 })).rejects.toThrow(/step: must be below \d+ \(got 40\)/);
    const { teacherForced, freeRunning } = await translation.inspect(source, { target: "one", step: 1 });
    expect([teacherForced?.next, freeRunning === undefined]).toEqual(["</s>", false]);
  });
});
