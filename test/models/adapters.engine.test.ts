// Adapters on whole Transformers: identity at the start, the same numbers token by token, and a base that training leaves alone.
import { describe, expect, test } from "vitest";
import { hostTensor } from "../../src/base/index.ts";
import { teacherForcing, Transformer, TransformerDecoder } from "../../src/models/index.ts";
import {
  addAdapter,
  freezeBase,
  isAdapterParameter,
  mergeLora,
  namedParameters,
  removeAdapters,
  type AdapterOptions,
} from "../../src/nn/index.ts";
import { adam, ModelLearner } from "../../src/train/index.ts";
import { expectClose, largestDifference } from "../close.ts";
import {
  arrangements,
  idRows,
  logitsOf,
  noisyWeights,
  randomRows,
  session,
  type Weights,
} from "./small-transformer.ts";

const kinds: readonly (readonly [string, AdapterOptions])[] = [
  ["LoRA on queries and values", { kind: "lora", targets: ["query", "value"], rank: 2 }],
  ["LoRA on all linear layers", { kind: "lora", targets: ["*"], rank: 3, alpha: 5 }],
  ["Houlsby", { kind: "houlsby", bottleneck: 4 }],
];
const [sources, targets] = [randomRows([7, 3, 5], 13, 4), randomRows([6, 8, 2], 13, 5).map((row) => [1, ...row, 2])];

describe.each(kinds)("%s", (_, adapter) => {
  describe.each(arrangements.slice(0, 2))("on %s", (_, options) => {
    test("changes no logit at the start", async () => {
      const model = new Transformer(options);
      const base = noisyWeights(model);
      await using before = await logitsOf(model, base);
      addAdapter(model, adapter);
      const weights = new Map([...noisyWeights(model), ...base]);
      // `up` starts at zero; the test's noise would hide it.
      for (const [name, { data }] of weights) if (/\.adapter\.up(\.|$)/.test(name)) data.fill(0);
      await using after = await logitsOf(model, weights);
      const feeds = [idRows(sources), idRows(targets)] as const;
      expect(largestDifference((await after.run(...feeds)).data, (await before.run(...feeds)).data)).toBe(0);
    });

    test("token by token gives the logits of whole targets within 1e-5", async () => {
      const model = new Transformer(options);
      addAdapter(model, adapter);
      const weights = noisyWeights(model);
      await using whole = await logitsOf(model, weights);
      const expected = await whole.run(idRows(sources), idRows(targets));
      const decoder = new TransformerDecoder(model, weights, session);
      const stepper = await decoder.start(idRows(sources));
      const [, time, width] = expected.dims as readonly [number, number, number];
      for (let t = 0; t < 4; t++) {
        const got = await stepper.logits({
          sentences: Int32Array.of(0, 1, 2),
          beams: 1,
          tokens: Int32Array.from(targets, (row) => row[t]!),
          parents: Int32Array.of(0, 1, 2),
        });
        for (let row = 0; row < 3; row++) {
          const at = (row * time + t) * width;
          expectClose(got.subarray(row * width, (row + 1) * width), expected.data.subarray(at, at + width), {
            within: 1e-5,
            what: `step ${t}, row ${row}`,
          });
        }
      }
      await decoder.dispose();
    });
  });

  test("learns while every weight of the base stays what it was, bit for bit", async () => {
    const model = new Transformer(arrangements[0]![1]);
    addAdapter(model, adapter);
    freezeBase(model);
    const parameters = namedParameters(model);
    const values = noisyWeights(model);
    const learner = await ModelLearner.create({
      parameters,
      loss: teacherForcing(model),
      optimizer: adam(),
      values,
      seed: 5,
      session,
    });
    const tokens = targets.reduce((sum, { length }) => sum + length - 1, 0);
    const feeds = {
      sourceIds: idRows(sources),
      targetIds: idRows(targets),
      tokenWeight: hostTensor("float32", [], [1 / tokens]),
    };
    const losses: number[] = [];
    for (let step = 1; step <= 30; step++) {
      losses.push((await learner.accumulate(feeds, { step, microBatch: 0 })).loss);
      learner.update({ step, learningRate: 0.01, gradientScale: 1 });
    }
    const mean = (part: number[]): number => part.reduce((a, b) => a + b) / part.length;
    expect(mean(losses.slice(-5))).toBeLessThan(0.9 * mean(losses.slice(0, 5)));
    for (const [name, { data }] of learner.store.copyOut())
      expect(
        data.every((value, i) => value === values.get(name)!.data[i]),
        name,
      ).toBe(!isAdapterParameter(name));
    await learner.dispose();
  });
});

test("merged LoRA decodes as the adapter beside its base, within 1e-5", async () => {
  const options = { kind: "lora", targets: ["*"], rank: 3, alpha: 5 } as const;
  const model = new Transformer(arrangements[1]![1]);
  addAdapter(model, options);
  const weights = noisyWeights(model);
  await using adapted = await logitsOf(model, weights);
  removeAdapters(model);
  await using merged = await logitsOf(model, mergeLora(weights, options) as Weights);
  const feeds = [idRows(sources), idRows(targets)] as const;
  expectClose((await merged.run(...feeds)).data, (await adapted.run(...feeds)).data, { within: 1e-5 });
});
