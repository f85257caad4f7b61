import { describe, expect, test } from "vitest";
import { randomKey, randomWord } from "../../../src/base/index.ts";
import { FlatMemory, RandomBytes } from "../../../src/engine/index.ts";

test("regions start at whole cache lines, are zero, and do not overlap", () => {
  const memory = new FlatMemory({
    a: { dtype: "float32", count: 17 },
    b: { dtype: "uint8", count: 3 },
    c: { dtype: "float32", count: 1 },
  });
  const a = memory.floats("a");
  const b = memory.tensor("b", "uint8", [3]).data;
  const c = memory.floats("c");
  expect([a.byteOffset, b.byteOffset, c.byteOffset]).toEqual([0, 128, 192]);
  expect(memory.byteLength).toBe(256);
  expect([...a, ...b, ...c].every((value) => value === 0)).toBe(true);
});

test("a tensor is a view: what is written into it is in the region", () => {
  const memory = new FlatMemory({ a: { dtype: "float32", count: 32 } });
  memory.tensor("a", "float32", [2, 3], 16).data.set([1, 2, 3, 4, 5, 6]);
  expect(memory.floats("a", 17, 3)).toEqual(Float32Array.of(2, 3, 4));
});

test("an empty memory is allowed: a model without trainable parameters has empty gradients", () => {
  const memory = new FlatMemory({ a: { dtype: "float32", count: 0 } });
  expect(memory.sumOfSquares(memory.floats("a"))).toBe(0);
});

describe("what cannot work is refused", () => {
  const memory = new FlatMemory({ a: { dtype: "float32", count: 16 }, b: { dtype: "uint8", count: 16 } });
  test.each([
    ["an unknown region", () => memory.floats("c"), 'there is no region "c"; regions are a, b'],
    ["another dtype", () => memory.floats("b"), 'region "b" holds uint8, not float32'],
    ["a view past the end", () => memory.tensor("a", "float32", [17]), 'region "a" ends at 16'],
    ["a foreign array", () => memory.fill(new Float32Array(4), 0), "the array does not lie in this memory"],
    [
      "lengths that differ",
      () => memory.addScaled(memory.floats("a", 0, 4), 1, memory.floats("a", 8, 5)),
      "arrays of 4 and 5 values",
    ],
    [
      "more than 4 GiB",
      () => new FlatMemory({ value: { dtype: "float32", count: 2 ** 30 + 16 } }),
      "memory: value need 4.0 GiB together, and one WebAssembly memory holds 4 GiB",
    ],
  ])("%s", (_, act, message) => {
    expect(act).toThrow(message);
  });
});

describe("RandomBytes", () => {
  test("an array holds the first bytes of its key's stream, whatever else is drawn with it", () => {
    const key = randomKey(7, 3);
    const expected = Uint8Array.from({ length: 30 }, (_, i) => randomWord(key, Math.floor(i / 4)) >>> (8 * (i % 4)));
    const bytes = new RandomBytes();
    const array = { name: "x", dims: [5, 6], key };
    expect(bytes.fill([array]).x!.data).toEqual(expected);
    const { x, other } = bytes.fill([{ name: "other", dims: [1000, 100], key: randomKey(8) }, array]);
    expect(x).toEqual({ dtype: "uint8", dims: [5, 6], data: expected });
    expect(other!.data.length).toBe(100_000);
  });

  test("a byte takes each of its 256 values about equally often", () => {
    const count = 256 * 4000;
    const { x } = new RandomBytes().fill([{ name: "x", dims: [count], key: randomKey(1) }]);
    const seen = new Float64Array(256);
    for (const byte of x!.data) seen[byte]!++;
    const chiSquare = seen.reduce((sum, n) => sum + (n - 4000) ** 2 / 4000, 0);
    // 255 degrees of freedom: mean 255, standard deviation 22.6; five of them either way.
    expect(Math.abs(chiSquare - 255)).toBeLessThan(113);
  });
});
