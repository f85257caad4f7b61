// LSTM translators, with attention and without, learn to copy.
import { expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream } from "../../src/base/index.ts";
import { greedySearch } from "../../src/decode/index.ts";
import { LstmTranslator } from "../../src/models/lstm-translator.ts";
import { teacherForcing, TransformerDecoder } from "../../src/models/index.ts";
import { initialize, namedParameters } from "../../src/nn/index.ts";
import { adam, ModelLearner } from "../../src/train/index.ts";
import { idRows, session } from "./small-transformer.ts";

const [start, end, vocabularySize] = [1, 2, 12];

test.each([
  ["luong", 300],
  ["none", 700],
] as const)("with attention %s a translator copies sequences that it has not seen", async (attention, steps) => {
  const model = new LstmTranslator({ vocabularySize, dModel: 48, layers: 1, dropout: 0.05, attention });
  const parameters = namedParameters(model);
  const learner = await ModelLearner.create({
    parameters,
    loss: teacherForcing(model),
    optimizer: adam(),
    values: initialize(parameters, 3),
    seed: 4,
    session,
  });
  const random = new RandomStream(randomKey(5));
  const sequences = (count: number): number[][] =>
    Array.from({ length: count }, () =>
      Array.from({ length: 2 + random.integer(4) }, () => 3 + random.integer(vocabularySize - 3)),
    );
  const losses: number[] = [];
  for (let step = 1; step <= steps; step++) {
    const rows = sequences(32);
    const tokens = rows.reduce((total, row) => total + row.length + 1, 0);
    const feeds = {
      sourceIds: idRows(rows),
      targetIds: idRows(rows.map((row) => [start, ...row, end])),
      tokenWeight: hostTensor("float32", [], [1 / tokens]),
    };
    losses.push((await learner.accumulate(feeds, { step, microBatch: 0 })).loss);
    const gradientScale = Math.min(1, 1 / learner.gradientNorm());
    learner.update({ step, learningRate: 0.01 * Math.min(1, (2 * (steps - step)) / steps), gradientScale });
  }
  const weights = new Map(Object.entries(learner.store.values).map(([name, value]) => [name, value]));
  const decoder = new TransformerDecoder(model, weights, session);
  const unseen = sequences(50);
  const found = await greedySearch(await decoder.start(idRows(unseen)), { start, end, maxTokens: 8 });
  const right = found.filter(({ tokens }, i) => tokens.join() === unseen[i]!.join()).length;
  expect(losses[0]).toBeGreaterThan(2);
  expect(losses.at(-1)).toBeLessThan(0.2);
  expect(right).toBeGreaterThanOrEqual(45);
  await decoder.dispose();
  await learner.dispose();
});
