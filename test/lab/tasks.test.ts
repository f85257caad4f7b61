import { describe, expect, test } from "vitest";
import { randomKey, RandomStream } from "../../src/base/index.ts";
import { DatePairs, dateLabels } from "../../lab/dates.ts";
import { intervalOf } from "../../lab/statistics.ts";
import { batchesOf, labelsOf, MarkovSource, noLabel, recall, reversal, targetsOf } from "../../lab/tasks.ts";
import { CharacterText } from "../../lab/text.ts";

const stream = () => new RandomStream(randomKey(1));

test("recall asks at the end for what stands after the only mark", () => {
  const { ids, labels } = recall({ values: 5, distance: 4, time: 12 })(stream());
  const mark = ids.indexOf(1);
  expect(ids.lastIndexOf(1)).toBe(mark);
  expect(mark + 1).toBe(11 - 4);
  expect(labels.slice(0, -1)).toEqual(new Int32Array(11).fill(noLabel));
  expect(labels[11]).toBe(ids[mark + 1]);
  expect(ids[11]).toBe(0);
});

test("reversal's targets are its sources backwards, between START and END", () => {
  const { sourceIds, targetIds } = reversal({ symbols: 4, time: 5, rows: 2, seed: 1 }).batch(1);
  const source = [...(sourceIds!.data as Int32Array)];
  const target = [...(targetIds!.data as Int32Array)];
  expect(target.slice(0, 7)).toEqual([1, ...source.slice(0, 5).reverse(), 2]);
  expect(targetsOf({ targetIds: targetIds! })).toBe(2 * 6);
});

test("a batch is a function of seed and step alone, and another one at the next step", () => {
  const row = new MarkovSource({ vocabularySize: 6, seed: 3 }).row(10);
  const [one, again] = [batchesOf(row, { rows: 3, seed: 2 }), batchesOf(row, { rows: 3, seed: 2 })];
  expect(one(5)).toEqual(again(5));
  expect(one(5)).not.toEqual(one(6));
  expect(labelsOf(one(5))).toBe(30);
});

describe("a Markov source", () => {
  test("of no sharpness is uniform: its entropy is the logarithm of its symbols", () => {
    expect(new MarkovSource({ vocabularySize: 8, seed: 1, sharpness: 0 }).entropy).toBeCloseTo(Math.log(8));
  });

  test("has the entropy that its own text shows", () => {
    const source = new MarkovSource({ vocabularySize: 4, seed: 1 });
    const { ids, labels } = source.row(100_000)(stream());
    const counts = Array.from({ length: 4 }, () => new Float64Array(4));
    ids.forEach((id, i) => (counts[id]![labels[i]!]! += 1));
    const seen = counts.reduce((sum, row) => {
      const total = row.reduce((a, b) => a + b, 0);
      return sum - row.reduce((part, count) => part + (count > 0 ? count * Math.log(count / total) : 0), 0);
    }, 0);
    expect(seen / ids.length).toBeCloseTo(source.entropy, 1);
  });
});

describe("text", () => {
  const text = new CharacterText({ seed: 1 });

  test("windows ask every character for the next", () => {
    const { ids, labels } = text.batches({ rows: 2, time: 50 })(1);
    const [read, asked] = [ids!.data as Int32Array, labels!.data as Int32Array];
    expect(asked.slice(0, 49)).toEqual(read.slice(1, 50));
    expect(asked.slice(50, 99)).toEqual(read.slice(51, 100));
  });

  test("is judged by the same characters in windows of any length", () => {
    const characters = (time: number) =>
      [...text.judgement({ time, characters: 4096 })].flatMap(({ ids }) => [...(ids!.data as Int32Array)]);
    expect(characters(64)).toEqual(characters(512));
    expect(characters(64)).toEqual([...text.kept(4096)]);
  });

  test("of the user's that is too short is refused", () => {
    expect(() => new CharacterText({ seed: 1, text: "too short" })).toThrow("--text: is too short to learn from");
  });
});

test("pairs of dates begin with START, end with END, and padding is not asked for", () => {
  const pairs = new DatePairs({ seed: 1, isQuick: true });
  const batch = pairs.batches(3)(1);
  const { data, dims } = batch.targetIds!;
  expect(dims).toEqual([3, 12]); // START, YYYY-MM-DD, END
  for (let row = 0; row < 3; row++) expect([data[12 * row], data[12 * row + 11]]).toEqual([1, 2]);
  expect(dateLabels(batch)).toBe(3 * 11);
});

test("intervals are Student's", () => {
  // 1, 2, 3: mean 2, deviation 1, t(2) = 4.303 → 4.303 / √3
  const { mean, radius } = intervalOf([1, 2, 3]);
  expect(mean).toBe(2);
  expect(radius).toBeCloseTo(2.4843, 4);
  expect(intervalOf([5])).toEqual({ mean: 5, radius: 0 });
});
