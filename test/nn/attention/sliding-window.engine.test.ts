import { expect, test } from "vitest";
import { ConfigError, hostTensor, ShapeError } from "../../../src/base/index.ts";
import { compile } from "../../../src/engine/index.ts";
import { CausalBlocksAttention } from "../../../src/nn/attention/causal-blocks.ts";
import { FullAttention, type AttentionKernel } from "../../../src/nn/attention/kernel.ts";
import { patternMap } from "../../../src/nn/attention/pattern-map.ts";
import { AttentionScope } from "../../../src/nn/attention/scope.ts";
import { SlidingWindowAttention } from "../../../src/nn/attention/sliding-window.ts";
import {
  dim,
  evaluateDim,
  inDoublePrecision,
  input,
  isInput,
  topologicalOrder,
  type Tensor,
} from "../../../src/tensor/index.ts";
import { Dropout } from "../../../src/nn/dropout.ts";
import { expectClose } from "../../close.ts";
import { draw } from "../../tensor/evaluate.ts";
import { expectHiddenKeysDoNotMatter, expectTwins, slopesOfLast } from "./masked-twin.ts";

// Blocks are of 32 positions for windows up to 90, of 64 for windows to 181, of 128 beyond.
const lengths = [150, 128, 97, 96, 65, 64, 63, 33, 32, 31, 16, 5, 4, 3, 2, 1];

test.each([
  ["of 1", { window: 1 }],
  ["of 2", { window: 2 }],
  ["of 4", { window: 4 }],
  ["that ends with the block before", { window: 33 }],
  ["that reaches one key beyond it", { window: 34 }],
  ["of 128", {}],
  ["of every second key", { window: 3, dilation: 2 }],
  ["of every fifth key, more than a block", { window: 40, dilation: 5 }],
  ["with a sink", { window: 4, sinks: 1 }],
  ["with sinks that the window may cover", { window: 8, sinks: 5 }],
  ["with more sinks than a block holds", { window: 4, sinks: 37 }],
  ["of every third key, with sinks", { window: 4, dilation: 3, sinks: 2 }],
])("a window %s is full attention with the rest masked, values and gradients", async (_, options) => {
  const kernel = new SlidingWindowAttention(options);
  await expectTwins(kernel, lengths, { isCausal: true });
  await expectTwins(kernel, lengths, { isCausal: false });
});

test.each([true, false])(
  "windows are exact in double precision, and without padding (causal: %s)",
  async (isCausal) => {
    const kernel = new SlidingWindowAttention({ window: 5, dilation: 2, sinks: 2 });
    await expectTwins(kernel, lengths, { isCausal, isDouble: true });
    await expectTwins(kernel, lengths, { isCausal, isDouble: true, isPadded: false });
  },
);

test("a window as long as the sequence is full attention, and causal blocks are too", async () => {
  const shape = [dim("batch"), 2, dim("time"), 4];
  const [query, key, value] = ["query", "key", "value"].map((name) => input(name, "float32", shape));
  const scope = (isCausal: boolean) => new AttentionScope({ queryTime: dim("time"), isCausal });
  const window = new SlidingWindowAttention({ window: 50 });
  const context = (kernel: AttentionKernel, isCausal: boolean) =>
    kernel.attend(query!, key!, value!, scope(isCausal)).context;
  const program = {
    name: "window",
    inputs: { query: query!, key: key!, value: value! },
    outputs: {
      full: context(new FullAttention(), false),
      window: context(window, false),
      causal: context(new FullAttention(), true),
      causalWindow: context(window, true),
      causalBlocks: context(new CausalBlocksAttention(), true),
    },
  };
  await using run = await compile(inDoublePrecision(program), { threads: 1 });
  for (const length of [50, 49, 20, 1]) {
    const [x, y, z] = [1, 2, 3].map((seed) => draw({ dims: [2, 2, length, 4], seed }));
    const { full, window: all, causal, causalWindow, causalBlocks } = await run.run({ query: x!, key: y!, value: z! });
    expectClose(all!.data as Float64Array, full!.data as Float64Array, { within: 1e-14 });
    expectClose(causalWindow!.data as Float64Array, causal!.data as Float64Array, { within: 1e-14 });
    expectClose(causalBlocks!.data as Float64Array, causal!.data as Float64Array, { within: 1e-14 });
  }
});

test.each([
  ["causal", { window: 6 }, true],
  ["both sides", { window: 6 }, false],
  ["causal, dilated, with sinks", { window: 4, dilation: 2, sinks: 2 }, true],
  ["both sides, dilated, with sinks", { window: 4, dilation: 2, sinks: 2 }, false],
])("what a window hides does not change a bit of what comes out: %s", (_, options, isCausal) =>
  expectHiddenKeysDoNotMatter(new SlidingWindowAttention(options), { length: 40, isCausal }),
);

test("a pattern is what its words say", async () => {
  const drawn = async (options: object, isCausal: boolean) =>
    (await patternMap(new SlidingWindowAttention(options), { length: 7, isCausal })).map((row) =>
      row.map((isKept) => (isKept ? "x" : ".")).join(""),
    );
  expect(await drawn({ window: 2 }, false)).toEqual([
    "xx.....",
    "xxx....",
    ".xxx...",
    "..xxx..",
    "...xxx.",
    "....xxx",
    ".....xx",
  ]);
  expect(await drawn({ window: 2, dilation: 2, sinks: 1 }, true)).toEqual([
    "x......",
    "xx.....",
    "x.x....",
    "xx.x...",
    "x.x.x..",
    "x..x.x.",
    "x...x.x",
  ]);
});

test.each([
  [3, 1, 1],
  [3, 1, 2],
  [3, 1, 4],
  [5, 1, 3],
  [3, 2, 3],
])(
  "with a window of %i and dilation %i, %i layers hear from layers · dilation · (window − 1) places back and no further",
  async (window, dilation, layers) => {
    const kernel = new SlidingWindowAttention({ window, dilation });
    const slopes = await slopesOfLast(kernel, { length: 70, layers, isCausal: true });
    const heard = slopes.map((slope) => slope !== 0);
    const reached = Array.from({ length: 70 }, (_, place) => {
      const distance = 69 - place;
      return distance <= layers * dilation * (window - 1) && distance % dilation === 0;
    });
    expect(heard).toEqual(reached);
  },
);

/** The random bytes that a dropout asks for. */
function randomInput(tensor: Tensor): Tensor {
  return topologicalOrder([tensor])
    .flatMap(({ outputs }) => outputs)
    .find((output) => isInput(output) && output.dtype === "uint8")!;
}

test("dropout on a window's weights scales what is kept", async () => {
  const time = dim("time");
  const x = input("x", "float32", [1, 2, time, 4]);
  const kernel = new SlidingWindowAttention({ window: 4, sinks: 1 });
  const scope = new AttentionScope({ queryTime: time, isCausal: true });
  const outputs = {
    plain: kernel.attend(x, x, x, scope).context,
    dropped: kernel.attend(x, x, x, scope, new Dropout(0.5)).context,
  };
  const random = randomInput(outputs.dropped);
  await using run = await compile({ name: "dropout", inputs: { x, random }, outputs }, { threads: 1 });
  const length = 40;
  const values = draw({ dims: [1, 2, length, 4], seed: 4, dtype: "float32" });
  const dims = random.shape.map((size) => evaluateDim(size, new Map([["time", length]])));
  // Bytes below 128 keep a weight and double it, others drop it.
  for (const [byte, factor] of [
    [0, 2],
    [255, 0],
  ] as const) {
    const bytes = hostTensor("uint8", dims, new Uint8Array(dims.reduce((a, b) => a * b)).fill(byte));
    const { plain, dropped } = await run.run({ x: values, random: bytes });
    const expected = (plain!.data as Float32Array).map((value) => factor * value);
    expectClose(dropped!.data as Float32Array, expected, { within: 1e-6 });
  }
});

test("a window between two sequences is refused, and so are counts that are none", () => {
  const [x, memory] = [input("x", "float32", [1, 2, 5, 4]), input("memory", "float32", [1, 2, 7, 4])];
  const scope = new AttentionScope({ queryTime: 5, keyTime: 7 });
  expect(() => new SlidingWindowAttention().attend(x, memory, memory, scope)).toThrow(ShapeError);
  expect(() => new SlidingWindowAttention().attend(x, memory, memory, scope)).toThrow("got 5 queries and 7 keys");
  for (const options of [{ window: 0 }, { window: 2.5 }, { dilation: 0 }, { sinks: -1 }])
    expect(() => new SlidingWindowAttention(options)).toThrow(ConfigError);
});

test("a decoding step is told how far it must remember", () => {
  expect(new SlidingWindowAttention({ window: 16 }).reach).toEqual({ sinks: 0, window: 16 });
  expect(new SlidingWindowAttention({ window: 16, dilation: 2, sinks: 4 }).reach).toEqual({ sinks: 4, window: 32 });
});
