import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, DataError, RandomStream, randomKey } from "../../src/base/index.ts";
import {
  Batches,
  EncodedPairs,
  FixedBatches,
  TokenRows,
  pairBatch,
  type BatchesOptions,
  type PairBatch,
} from "../../src/data/index.ts";

const pad = 0;
const start = 1;
const end = 2;

/** Pairs of these lengths (END counted). Every token but END is 10 + the pair's number, so that rows can be told apart. */
function pairsOfLengths(lengths: readonly (readonly [source: number, target: number])[]): EncodedPairs {
  const rows = (side: 0 | 1): TokenRows => {
    const tokens = lengths.flatMap((pair, i) => [...Array<number>(pair[side] - 1).fill(10 + i), end]);
    const offsets = [0];
    for (const pair of lengths) offsets.push(offsets.at(-1)! + pair[side]);
    return new TokenRows(Int32Array.from(tokens), Uint32Array.from(offsets));
  };
  const none = { count: 0, first: undefined };
  return new EncodedPairs({
    source: rows(0),
    target: rows(1),
    lines: Int32Array.from(lengths, (_, i) => i + 1),
    files: ["train.en"],
    fileOf: new Int32Array(lengths.length),
    sourcePad: pad,
    targetPad: pad,
    targetStart: start,
    report: { read: lengths.length, kept: lengths.length, empty: none, overlong: none },
  });
}

function randomPairs(count: number, seed: number): EncodedPairs {
  const random = new RandomStream(randomKey(seed));
  return pairsOfLengths(Array.from({ length: count }, () => [2 + random.integer(30), 2 + random.integer(30)] as const));
}

/** Batches up to the end of the epoch. */
function restOfEpoch(batches: Batches): PairBatch[] {
  const { epoch } = batches.cursor;
  const taken: PairBatch[] = [];
  while (batches.cursor.epoch === epoch) taken.push(batches.take());
  return taken;
}

const rowsOf = (taken: Iterable<PairBatch>): number[][] => Array.from(taken, ({ indices }) => [...indices]);

const anyPairs = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 })), { minLength: 1, maxLength: 120 })
  .map(pairsOfLengths);
const anyOptions: fc.Arbitrary<BatchesOptions> = fc.record(
  {
    batchTokens: fc.integer({ min: 20, max: 300 }),
    maxRows: fc.integer({ min: 1, max: 40 }),
    seed: fc.maxSafeNat(),
    lengthNoise: fc.nat(5),
  },
  { requiredKeys: ["batchTokens"] },
);

describe("pairBatch", () => {
  it("writes START, END and padding where they belong", () => {
    const batch = pairBatch(
      pairsOfLengths([
        [3, 2],
        [1, 4],
        [2, 3],
      ]),
      [1, 0],
    );
    expect(batch).toEqual({
      rows: 2,
      sourceIds: { dtype: "int32", dims: [2, 3], data: Int32Array.of(end, pad, pad, 10, 10, end) },
      targetIds: {
        dtype: "int32",
        dims: [2, 5],
        data: Int32Array.of(start, 11, 11, 11, end, start, 10, end, pad, pad),
      },
      sourceTokens: 4,
      targetTokens: 6,
      lines: Int32Array.of(2, 1),
      indices: Int32Array.of(1, 0),
    });
  });
});

describe.each([
  ["Batches", (pairs: EncodedPairs, options: BatchesOptions) => restOfEpoch(new Batches(pairs, options))],
  [
    "FixedBatches",
    (pairs: EncodedPairs, { batchTokens, maxRows }: BatchesOptions) => [
      ...new FixedBatches(pairs, { batchTokens, ...(maxRows === undefined ? {} : { maxRows }) }),
    ],
  ],
])("%s", (_, epochOf) => {
  it("gives every pair exactly once an epoch", () => {
    fc.assert(
      fc.property(anyPairs, anyOptions, (pairs, options) => {
        const indices = rowsOf(epochOf(pairs, options)).flat();
        expect(indices.sort((a, b) => a - b)).toEqual(Array.from({ length: pairs.count }, (_, i) => i));
      }),
    );
  });

  it("never goes over the budget on either side, nor over the rows", () => {
    fc.assert(
      fc.property(anyPairs, anyOptions, (pairs, options) => {
        for (const { rows, sourceIds, targetIds } of epochOf(pairs, options)) {
          expect(rows).toBeGreaterThan(0);
          expect(rows).toBeLessThanOrEqual(options.maxRows ?? Infinity);
          expect(rows * sourceIds.dims[1]!).toBeLessThanOrEqual(options.batchTokens);
          expect(rows * (targetIds.dims[1]! - 1)).toBeLessThanOrEqual(options.batchTokens);
        }
      }),
    );
  });

  it("counts what is not padding", () => {
    fc.assert(
      fc.property(anyPairs, anyOptions, (pairs, options) => {
        for (const { sourceIds, targetIds, sourceTokens, targetTokens, rows } of epochOf(pairs, options)) {
          expect(sourceIds.data.filter((id) => id !== pad)).toHaveLength(sourceTokens);
          expect(targetIds.data.filter((id) => id !== pad)).toHaveLength(targetTokens + rows); // START is no label
        }
      }),
    );
  });

  it("names the pair that is over the budget alone", () => {
    const pairs = pairsOfLengths([
      [3, 3],
      [4, 11],
      [3, 3],
    ]);
    expect(() => epochOf(pairs, { batchTokens: 10 })).toThrow(DataError);
    expect(() => epochOf(pairs, { batchTokens: 10 })).toThrow(
      "train.en, line 2: the pair takes 11 tokens, more than a whole batch may (batchTokens 10).",
    );
    expect(rowsOf(epochOf(pairs, { batchTokens: 11 })).flat()).toHaveLength(3);
  });

  it.each([
    { batchTokens: 0 },
    { batchTokens: 1.5 },
    { batchTokens: Number.NaN },
    { batchTokens: 9, maxRows: 0 },
    { batchTokens: 9, maxRows: 2.5 },
  ])("refuses %j", (options) => {
    expect(() => epochOf(pairsOfLengths([[2, 2]]), options)).toThrow(ConfigError);
  });

  it("stops adding rows only where one more would not fit, but for the epoch's first cut and last rest", () => {
    const lengths = Array.from({ length: 100 }, (): [number, number] => [5, 4]);
    const sizes = epochOf(pairsOfLengths(lengths), { batchTokens: 54 }).map(({ rows }) => rows); // 10 rows of 5 fit into 54
    expect(sizes.filter((rows) => rows !== 10).length).toBeLessThanOrEqual(2);
    expect(Math.max(...sizes)).toBe(10);
  });
});

describe("Batches", () => {
  it("gives the same batches for the same seed, and others for another", () => {
    const pairs = randomPairs(300, 1);
    const twoEpochs = (seed: number): number[][] => {
      const batches = new Batches(pairs, { batchTokens: 200, seed });
      return rowsOf([...restOfEpoch(batches), ...restOfEpoch(batches)]);
    };
    expect(twoEpochs(5)).toEqual(twoEpochs(5));
    expect(twoEpochs(5)).not.toEqual(twoEpochs(6));
  });

  it("goes on from a saved cursor as the run that saved it did, also across epochs and through JSON", () => {
    fc.assert(
      fc.property(anyPairs, anyOptions, fc.nat(60), (pairs, options, steps) => {
        const first = new Batches(pairs, options);
        for (let i = 0; i < steps; i++) first.take();
        const second = new Batches(pairs, options);
        second.seek(JSON.parse(JSON.stringify(first.cursor)) as typeof first.cursor);
        for (let i = 0; i < 20; i++) {
          expect(second.cursor).toEqual(first.cursor);
          expect(second.take()).toEqual(first.take());
        }
      }),
    );
  });

  it("counts the batch that a loop is busy with as taken", () => {
    const pairs = randomPairs(100, 2);
    const batches = new Batches(pairs, { batchTokens: 100 });
    const seen: number[] = [];
    for (const { rows } of batches) {
      seen.push(batches.cursor.position, rows);
      if (seen.length === 6) break;
    }
    expect([seen[0], seen[2], seen[4]]).toEqual([1, 2, 3]);
    expect(batches.cursor).toMatchObject({ epoch: 0, position: 3 });
  });

  it("orders and groups each epoch anew", () => {
    const pairs = randomPairs(2000, 3);
    const batches = new Batches(pairs, { batchTokens: 500, seed: 1 });
    const epochs = Array.from({ length: 4 }, () => rowsOf(restOfEpoch(batches)));
    const orders = epochs.map((epoch) => epoch.flat().join());
    expect(new Set(orders).size).toBe(4);
    const groups = epochs.map((epoch) => new Set(epoch.map((rows) => rows.sort((a, b) => a - b).join())));
    const kept = [...groups[0]!].filter((group) => groups[1]!.has(group));
    expect(kept.length).toBeLessThan(groups[0]!.size / 10);
  });

  it("does not run from short to long", () => {
    const batches = restOfEpoch(new Batches(randomPairs(2000, 4), { batchTokens: 500 }));
    const widths = batches.map(({ sourceIds, targetIds }) => Math.max(sourceIds.dims[1]!, targetIds.dims[1]! - 1));
    const rises = widths.filter((width, i) => i > 0 && width > widths[i - 1]!).length;
    expect(rises).toBeGreaterThan(widths.length / 4);
    expect(rises).toBeLessThan((widths.length * 3) / 4);
  });

  it("stands at the next epoch's start once an epoch is through", () => {
    const batches = new Batches(randomPairs(50, 5), { batchTokens: 100 });
    const count = batches.batchesInEpoch;
    expect(restOfEpoch(batches)).toHaveLength(count);
    expect(batches.cursor).toMatchObject({ epoch: 1, position: 0 });
  });

  it("refuses a cursor that other data, limits or seeds gave", () => {
    const pairs = randomPairs(50, 6);
    const { cursor } = new Batches(pairs, { batchTokens: 100, seed: 1 });
    for (const other of [
      new Batches(randomPairs(50, 7), { batchTokens: 100, seed: 1 }),
      new Batches(pairs, { batchTokens: 101, seed: 1 }),
      new Batches(pairs, { batchTokens: 100, seed: 2 }),
      new Batches(pairs, { batchTokens: 100, seed: 1, maxRows: 9 }),
      new Batches(pairs, { batchTokens: 100, seed: 1, lengthNoise: 1 }),
    ]) {
      expect(() => other.seek(cursor)).toThrow("the data or the batch settings have changed");
    }
  });

  it.each([
    { epoch: -1, position: 0 },
    { epoch: 0.5, position: 0 },
    { epoch: 0, position: -1 },
    { epoch: 0, position: 1000 },
    { epoch: 0, position: Number.NaN },
  ])("refuses the cursor %j and stays where it was", (cursor) => {
    const batches = new Batches(randomPairs(50, 8), { batchTokens: 100 });
    batches.take();
    expect(() => batches.seek(cursor)).toThrow(ConfigError);
    expect(batches.cursor).toMatchObject({ epoch: 0, position: 1 });
  });

  it.each([{ seed: 0.5 }, { seed: Number.NaN }, { lengthNoise: -1 }, { lengthNoise: 0.5 }])(
    "refuses the option %j",
    (option) => {
      expect(() => new Batches(randomPairs(5, 9), { batchTokens: 100, ...option })).toThrow(ConfigError);
    },
  );
});

describe("FixedBatches", () => {
  it("gives the same batches at each iteration, whatever was iterated before", () => {
    const batches = new FixedBatches(randomPairs(200, 10), { batchTokens: 150 });
    const first = rowsOf(batches);
    expect(rowsOf(batches)).toEqual(first);
    expect(first).toHaveLength(batches.count);
  });
});
