// What all attention patterns share.
import { expect, test } from "vitest";
import {
  BigBirdAttention,
  CausalBlocksAttention,
  FullAttention,
  LongformerAttention,
  patternMap,
  SlidingWindowAttention,
} from "../../../src/nn/index.ts";
import { expectPaddingDoesNotMatter } from "./masked-twin.ts";

test.each([
  ["causal blocks", new CausalBlocksAttention(), [true]],
  ["sliding window", new SlidingWindowAttention({ window: 5 }), [true, false]],
  ["dilated window with sinks", new SlidingWindowAttention({ window: 5, dilation: 3, sinks: 2 }), [true, false]],
  ["Longformer", new LongformerAttention({ window: 5, globalTokens: 2 }), [true, false]],
  ["BigBird", new BigBirdAttention({ block: 4 }), [true, false]],
])("what stands in the padding does not change a bit: %s", async (_, kernel, forms) => {
  for (const isCausal of forms) await expectPaddingDoesNotMatter(kernel, isCausal);
});

test("full attention keeps every pair, under causality those that do not look ahead", async () => {
  const drawn = async (kernel: FullAttention | CausalBlocksAttention, isCausal: boolean) =>
    (await patternMap(kernel, { length: 3, isCausal })).map((row) => row.map(Number).join(""));
  expect(await drawn(new FullAttention(), false)).toEqual(["111", "111", "111"]);
  expect(await drawn(new FullAttention(), true)).toEqual(["100", "110", "111"]);
  expect(await drawn(new CausalBlocksAttention(), true)).toEqual(["100", "110", "111"]);
});
