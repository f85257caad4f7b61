import { expect, test } from "vitest";
import { silent } from "../../src/base/index.ts";
import { labelLoss, smallModel } from "../../lab/small-model.ts";
import { batchesOf, labelsOf, recall, recallVocabulary } from "../../lab/tasks.ts";
import { examine, lastLoss, meanLoss, stepsTo, teach, type TeachOptions } from "../../lab/training.ts";

const values = 4;
const make = () => smallModel({ vocabularySize: recallVocabulary(values), dModel: 16, heads: 2, layers: 1 });
const task = recall({ values, distance: 2, time: 5 });

function options(over: Partial<TeachOptions> = {}): TeachOptions {
  const model = make();
  return {
    model,
    loss: labelLoss(model),
    batch: batchesOf(task, { rows: 16, seed: 1 }),
    labels: labelsOf,
    steps: 60,
    learningRate: 1e-2,
    seed: 1,
    every: 10,
    name: "test",
    listener: silent,
    signal: new AbortController().signal,
    session: { threads: 1 },
    ...over,
  };
}

test("teaching lowers the loss, and the same seed gives the same curve", async () => {
  const [one, again] = [await teach(options()), await teach(options())];
  expect(one.curve).toHaveLength(6);
  expect(lastLoss(one)).toBeLessThan(one.curve[0]![1]);
  expect(again.curve).toEqual(one.curve);
  expect(stepsTo(one.curve[2]![1], one)).toBeLessThanOrEqual(30);
});

test("examining counts what is asked, and the mean loss is a mean over labels", async () => {
  const given = options({ steps: 200 });
  const { weights } = await teach(given);
  const batch = batchesOf(task, { rows: 64, seed: 5 })(1);
  const figures = await examine({ ...given, weights, loss: labelLoss(given.model as never, { isCounted: true }) }, [
    batch,
  ]);
  expect(figures.correct).toBeGreaterThan(48);
  expect(figures.correct).toBeLessThanOrEqual(64);
  const mean = await meanLoss({ ...given, weights }, [batch]);
  expect(mean).toBeCloseTo(figures.negativeLogLikelihood! / 64, 5);
});

test("a run that diverges is a result, with the update before which it did", async () => {
  const { divergedAt, curve } = await teach(options({ learningRate: () => 1e30 }));
  expect(divergedAt).toBeGreaterThan(1);
  expect(curve.at(-1)).toEqual([divergedAt, Number.NaN]);
});
