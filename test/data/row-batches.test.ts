// Batches of rows: each row once an epoch, in an order that a saved position gives again.
import { describe, expect, test } from "vitest";
import { RowBatches } from "../../src/data/index.ts";

function batches(options: Partial<ConstructorParameters<typeof RowBatches>[0]> = {}): RowBatches<unknown> {
  return new RowBatches<unknown>({
    count: 10,
    rowsPerBatch: 4,
    seed: 1,
    fingerprint: "text",
    gather: (rows, epoch) => ({ rows: [...rows], epoch }),
    ...options,
  });
}

type Taken = { rows: number[]; epoch: number };
const take = (from: RowBatches<unknown>, count: number): Taken[] =>
  Array.from({ length: count }, () => from.take() as Taken);

test("every row comes once an epoch, and epochs differ in order", () => {
  const source = batches();
  expect(source.batchesInEpoch).toBe(3);
  const epochs = [take(source, 3), take(source, 3)];
  for (const [epoch, taken] of epochs.entries()) {
    expect(taken.map(({ rows }) => rows.length)).toEqual([4, 4, 2]);
    expect(taken.every((batch) => batch.epoch === epoch)).toBe(true);
    expect(taken.flatMap(({ rows }) => rows).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  }
  expect(epochs[0]!.map(({ rows }) => rows)).not.toEqual(epochs[1]!.map(({ rows }) => rows));
  expect(take(batches({ seed: 2 }), 3)).not.toEqual(epochs[0]);
});

test("from a saved cursor on, the same batches come, wherever it was saved", () => {
  const whole = take(batches(), 12);
  for (let at = 0; at < 9; at++) {
    const first = batches();
    take(first, at);
    const second = batches();
    take(second, 5);
    second.seek(JSON.parse(JSON.stringify(first.cursor)));
    expect(take(second, 3)).toEqual(whole.slice(at, at + 3));
  }
});

describe("is refused:", () => {
  test.each([
    ["another text", { fingerprint: "other" }],
    ["another seed", { seed: 2 }],
    ["another size of batches", { rowsPerBatch: 5 }],
  ])("a cursor of %s", (_, options) => {
    expect(() => batches().seek(batches(options).cursor)).toThrow(
      /cursor: the data or the batch settings have changed since it was saved .* start a new run/,
    );
  });

  test.each([
    [{ epoch: -1, position: 0 }, "cursor.epoch: must be a whole number, at least 0 (got -1)."],
    [{ epoch: 0, position: 3 }, "cursor.position: must be a whole number from 0 to 2 (got 3)."],
  ])("%j", (cursor, message) => {
    expect(() => batches().seek(cursor)).toThrow(message);
  });

  test("no row at all", () => {
    expect(() => batches({ count: 0 })).toThrow("count: must be a whole number above 0 (got 0).");
  });
});
