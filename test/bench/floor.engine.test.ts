import { expect, test } from "vitest";
import { Floor } from "../../bench/floor.ts";
import { decodingProducts, trainingProducts } from "../../bench/products.ts";

const model = { layers: 1, dModel: 16, heads: 2, dFeedForward: 32, vocabulary: 50 };

test.each([
  ["training", trainingProducts({ model, batch: 2, time: 5 })],
  ["decoding", decodingProducts({ model, batch: 2, time: 5, outputTime: 3, beams: 2 })],
])("every product of %s runs, and a list takes time", async (_, products) => {
  const floor = await Floor.of(products, 1);
  const times = await floor.work(2);
  await floor.dispose();
  expect(times).toHaveLength(2);
  expect(Math.min(...times)).toBeGreaterThan(0);
});
