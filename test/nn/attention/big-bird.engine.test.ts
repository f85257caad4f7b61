import { expect, test } from "vitest";
import { ConfigError, hostTensor, ShapeError } from "../../../src/base/index.ts";
import { compile } from "../../../src/engine/index.ts";
import { BigBirdAttention, type BigBirdOptions } from "../../../src/nn/attention/big-bird.ts";
import { patternMap } from "../../../src/nn/attention/pattern-map.ts";
import { RandomBlocks } from "../../../src/nn/attention/random-blocks.ts";
import { AttentionScope } from "../../../src/nn/attention/scope.ts";
import { input } from "../../../src/tensor/index.ts";
import { expectHiddenKeysDoNotMatter, expectTwins } from "./masked-twin.ts";

const lengths = [65, 64, 63, 41, 40, 33, 20, 9, 8, 7, 5, 4, 3, 2, 1];

test.each<[string, BigBirdOptions]>([
  ["blocks of 4 with two random ones", { block: 4 }],
  ["blocks of 4 with five random ones", { block: 4, randomBlocks: 5, seed: 9 }],
  ["blocks of 4 with none at random", { block: 4, randomBlocks: 0 }],
  ["blocks of 3 without global ones", { block: 3, globalBlocks: 0 }],
  ["blocks of 2 with three global ones", { block: 2, globalBlocks: 3 }],
  ["blocks of 4 without neighbours", { block: 4, windowBlocks: 1 }],
  ["blocks of 4 with four neighbours", { block: 4, windowBlocks: 5 }],
  ["single positions", { block: 1, randomBlocks: 3 }],
  ["blocks of 64", {}],
])("%s are full attention with the rest masked, values and gradients", async (_, options) => {
  const kernel = new BigBirdAttention(options);
  await expectTwins(kernel, lengths, { isCausal: true });
  await expectTwins(kernel, lengths, { isCausal: false });
});

test.each([true, false])("blocks are exact in double precision (causal: %s)", async (isCausal) => {
  const kernel = new BigBirdAttention({ block: 4, seed: 3 });
  await expectTwins(kernel, lengths, { isCausal, isDouble: true });
  await expectTwins(kernel, lengths, { isCausal, isDouble: true, isPadded: false });
});

test.each([true, false])("what blocks hide does not change a bit of what comes out (causal: %s)", (isCausal) =>
  expectHiddenKeysDoNotMatter(new BigBirdAttention({ block: 4 }), { length: 50, isCausal }),
);

/** Which blocks each query block sees; every pair of a block must be kept, or none, except where causality cuts it. */
async function blockMap(options: BigBirdOptions, blocks: number, isCausal: boolean): Promise<boolean[][]> {
  const block = options.block!;
  const map = await patternMap(new BigBirdAttention(options), { length: blocks * block, isCausal });
  return Array.from({ length: blocks }, (_, query) =>
    Array.from({ length: blocks }, (_, key) => {
      const pairs = map
        .slice(query * block, (query + 1) * block)
        .flatMap((row, i) =>
          row.slice(key * block, (key + 1) * block).filter((_, j) => !isCausal || key < query || j <= i),
        );
      expect(new Set(pairs).size, `kinds of pairs of blocks ${query} and ${key}`).toBeLessThanOrEqual(1);
      return (!isCausal || key <= query) && pairs[0] === true;
    }),
  );
}

const countsOf = (map: boolean[][]): number[] => map.map((row) => row.filter(Boolean).length);

test("each block sees its neighbours, the global blocks and as many others as are to be drawn", async () => {
  const options = { block: 2, randomBlocks: 3, globalBlocks: 2, windowBlocks: 3 };
  const blocks = 20;
  for (const seed of [1, 2, 3]) {
    const both = countsOf(await blockMap({ ...options, seed }, blocks, false));
    // Global blocks see all 20; block 2 has one neighbour among the global ones, the last has none behind it.
    expect(both).toEqual([20, 20, 7, ...Array<number>(blocks - 4).fill(8), 7]);
    const causal = countsOf(await blockMap({ ...options, seed }, blocks, true));
    // Itself and one before, two global ones, three drawn, or all where there are fewer.
    expect(causal).toEqual(Array.from({ length: blocks }, (_, query) => Math.min(query + 1, 2 + 2 + 3)));
  }
});

test("under causality what a block sees does not depend on what follows; without, the seed draws the blocks", async () => {
  const options = { block: 2, randomBlocks: 2 };
  const [short, long] = [await blockMap(options, 12, true), await blockMap(options, 25, true)];
  expect(long.slice(0, 12).map((row) => row.slice(0, 12))).toEqual(short);
  const other = await blockMap({ ...options, seed: 2 }, 25, true);
  expect(other).not.toEqual(long);
  expect(await blockMap(options, 25, true)).toEqual(long);
});

test("blocks are drawn evenly, without repetition, from those that are left", async () => {
  const [count, blocks] = [3, 1000];
  const random = new RandomBlocks({ count, globalBlocks: 2, neighbours: 1, seed: 5 });
  const queryBlocks = input("queryBlocks", "int32", [blocks]);
  const drawn = random.draw(queryBlocks, blocks, true);
  await using run = await compile(
    {
      name: "draw",
      inputs: { queryBlocks },
      outputs: Object.fromEntries(
        drawn.flatMap(({ block, isDrawn }, i) => [
          [`b${i}`, block],
          [`is${i}`, isDrawn],
        ]),
      ),
    },
    { threads: 1 },
  );
  const results = await run.run({
    queryBlocks: hostTensor(
      "int32",
      [blocks],
      Array.from({ length: blocks }, (_, i) => i),
    ),
  });
  let total = 0;
  let draws = 0;
  for (let query = 0; query < blocks; query++) {
    const left = Math.max(0, query - 3); // blocks 2 to query − 2
    const chosen = drawn.flatMap((_, i) =>
      results[`is${i}`]!.data[query] === 1 ? [Number(results[`b${i}`]!.data[query])] : [],
    );
    expect(new Set(chosen).size).toBe(Math.min(count, left));
    expect(chosen.every((block) => block >= 2 && block < 2 + left)).toBe(true);
    for (const block of chosen) {
      total += (block - 2 + 0.5) / left;
      draws++;
    }
  }
  // The mean of n even draws from 0 to 1 has the deviation √(1/12n), here 0.0053; four of them.
  expect(Math.abs(total / draws - 0.5)).toBeLessThan(4 * Math.sqrt(1 / (12 * draws)));
});

test("blocks between two sequences are refused, and so are options that cannot be honoured", () => {
  const [x, memory] = [input("x", "float32", [1, 2, 5, 4]), input("memory", "float32", [1, 2, 7, 4])];
  const scope = new AttentionScope({ queryTime: 5, keyTime: 7 });
  expect(() => new BigBirdAttention().attend(x, memory, memory, scope)).toThrow(ShapeError);
  for (const options of [{ block: 0 }, { randomBlocks: -1 }, { globalBlocks: 0.5 }, { windowBlocks: 2 }, { seed: -1 }])
    expect(() => new BigBirdAttention(options)).toThrow(ConfigError);
  expect(() => new BigBirdAttention({ windowBlocks: 4 })).toThrow("3 or 5 would do");
});
