import { expect, test } from "vitest";
import { ConfigError, ShapeError } from "../../../src/base/index.ts";
import { LongformerAttention } from "../../../src/nn/attention/longformer.ts";
import { patternMap } from "../../../src/nn/attention/pattern-map.ts";
import { AttentionScope } from "../../../src/nn/attention/scope.ts";
import { SlidingWindowAttention } from "../../../src/nn/attention/sliding-window.ts";
import { input } from "../../../src/tensor/index.ts";
import { expectHiddenKeysDoNotMatter, expectTwins, slopesOfLast } from "./masked-twin.ts";

const lengths = [130, 97, 96, 64, 33, 32, 31, 16, 5, 4, 3, 2, 1];

test.each([
  ["a window of 1 and a global place", { window: 1 }],
  ["a window of 4 and a global place", { window: 4 }],
  ["a window of 4 and three global places", { window: 4, globalTokens: 3 }],
  ["a window of 34 and 5 global places", { window: 34, globalTokens: 5 }],
  ["more global places than a block holds", { window: 4, globalTokens: 40 }],
  ["every third key and two global places", { window: 4, dilation: 3, globalTokens: 2 }],
  ["a window of 128", {}],
])("%s are full attention with the rest masked, values and gradients", async (_, options) => {
  const kernel = new LongformerAttention(options);
  await expectTwins(kernel, lengths, { isCausal: true });
  await expectTwins(kernel, lengths, { isCausal: false });
});

test.each([true, false])("global places are exact in double precision (causal: %s)", async (isCausal) => {
  const kernel = new LongformerAttention({ window: 5, dilation: 2, globalTokens: 2 });
  await expectTwins(kernel, lengths, { isCausal, isDouble: true });
  await expectTwins(kernel, lengths, { isCausal, isDouble: true, isPadded: false });
});

test.each([
  [{ window: 3 }, true],
  [{ window: 3 }, false],
  [{ window: 3, globalTokens: 4, dilation: 2 }, true],
  [{ window: 3, globalTokens: 4, dilation: 2 }, false],
])("what %o hides does not change a bit of what comes out (causal: %s)", (options, isCausal) =>
  expectHiddenKeysDoNotMatter(new LongformerAttention(options), { length: 40, isCausal }),
);

test("a pattern is a window, and rows and columns of global places", async () => {
  const drawn = async (isCausal: boolean) =>
    (await patternMap(new LongformerAttention({ window: 2 }), { length: 6, isCausal })).map((row) =>
      row.map((isKept) => (isKept ? "x" : ".")).join(""),
    );
  expect(await drawn(false)).toEqual(["xxxxxx", "xxx...", "xxxx..", "x.xxx.", "x..xxx", "x...xx"]);
  expect(await drawn(true)).toEqual(["x.....", "xx....", "xxx...", "x.xx..", "x..xx.", "x...xx"]);
});

test.each([true, false])(
  "what stands at the front reaches the end in one layer with a global place, and not with the window alone (causal: %s)",
  async (isCausal) => {
    const [length, window] = [100, 8];
    const one = { length, layers: 1, isCausal };
    const alone = await slopesOfLast(new SlidingWindowAttention({ window }), one);
    const global = await slopesOfLast(new LongformerAttention({ window, globalTokens: 1 }), one);
    expect(alone[0]).toBe(0);
    expect(global[0]).toBeGreaterThan(1e-6);
    expect(global.map((slope) => slope !== 0)).toEqual(alone.map((slope, place) => place === 0 || slope !== 0));
  },
);

test("without causality two layers carry anything anywhere, through the global place", async () => {
  const kernel = new LongformerAttention({ window: 2, globalTokens: 1 });
  const slopes = await slopesOfLast(kernel, { length: 70, layers: 2, isCausal: false });
  expect(slopes.every((slope) => slope > 0)).toBe(true);
});

test("global places between two sequences are refused, and so are counts that are none", () => {
  const [x, memory] = [input("x", "float32", [1, 2, 5, 4]), input("memory", "float32", [1, 2, 7, 4])];
  const scope = new AttentionScope({ queryTime: 5, keyTime: 7 });
  expect(() => new LongformerAttention().attend(x, memory, memory, scope)).toThrow(ShapeError);
  for (const options of [{ window: 0 }, { globalTokens: 0 }, { dilation: 1.5 }])
    expect(() => new LongformerAttention(options)).toThrow(ConfigError);
});
