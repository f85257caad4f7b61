// Layer norm, feed-forward and dropout.
import { describe, expect, test } from "vitest";
import { elementCount, hostTensor, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import { compile, RandomBytes } from "../../src/engine/index.ts";
import {
  activations,
  Dropout,
  FeedForward,
  initialize,
  LayerNorm,
  namedParameters,
  parameterInputs,
  type Module,
} from "../../src/nn/index.ts";
import { dim, gradients, input, sum, withoutDropout, type Tensor } from "../../src/tensor/index.ts";
import { expectClose, largestDifference } from "../close.ts";

const random = new RandomStream(randomKey(12));
const draw = (...dims: number[]): HostTensor<"float32"> =>
  hostTensor(
    "float32",
    dims,
    Float32Array.from({ length: elementCount(dims) }, () => 3 * random.normal() + 1),
  );

async function evaluate(
  module: Module & { forward(x: Tensor): Tensor },
  x: HostTensor<"float32">,
): Promise<Float32Array> {
  const parameters = namedParameters(module);
  const given = input("x", "float32", [dim("batch"), dim("time"), x.dims[2]!]);
  const run = await compile(
    { name: "module", inputs: { ...parameterInputs(parameters), x: given }, outputs: { y: module.forward(given) } },
    { threads: 1 },
  );
  const { y } = await run.run({ ...Object.fromEntries(initialize(parameters, 4)), x });
  await run.dispose();
  return y!.data as Float32Array;
}

test("a fresh layer norm gives every row mean 0 and variance 1", async () => {
  const width = 64;
  const y = await evaluate(new LayerNorm({ dModel: width }), draw(3, 5, width));
  for (let row = 0; row < 15; row++) {
    const values = y.subarray(row * width, (row + 1) * width);
    const mean = values.reduce((total, value) => total + value, 0) / width;
    const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / width;
    expect(Math.abs(mean)).toBeLessThan(1e-6);
    // ε under the root leaves a little less than 1: 1 − ε / 9 for inputs of variance 9.
    expect(Math.abs(variance - 1)).toBeLessThan(1e-5);
  }
});

test.each(Object.entries(activations))(
  "the feed-forward layer with %s treats each position by itself",
  async (_, activation) => {
    const layer = new FeedForward({ dModel: 8, dFeedForward: 20, activation });
    const x = draw(2, 6, 8);
    const whole = await evaluate(layer, x);
    for (const position of [0, 3, 5]) {
      const alone = await evaluate(
        layer,
        hostTensor("float32", [1, 1, 8], x.data.slice((6 + position) * 8, (7 + position) * 8)),
      );
      expectClose(alone, whole.subarray((6 + position) * 8, (7 + position) * 8), {
        within: 1e-6,
        what: `position ${position}`,
      });
    }
  },
);

describe("dropout", () => {
  const shape = [400, 500];
  const count = elementCount(shape);
  const x = input("x", "float32", shape);

  async function drop(rate: number, seed: number): Promise<{ y: Float32Array; slope: Float32Array }> {
    const y = new Dropout(rate).forward(x);
    const bytes = y.node.inputs[1]!;
    const [slope] = gradients(sum(y), [x]) as [Tensor];
    const run = await compile({ name: "dropout", inputs: { x, bytes }, outputs: { y, slope } }, { threads: 1 });
    const filled = new RandomBytes().fill([{ name: "bytes", dims: shape, key: randomKey(seed) }]);
    const results = await run.run({ x: hostTensor("float32", shape, new Float32Array(count).fill(2)), ...filled });
    await run.dispose();
    return { y: results.y!.data as Float32Array, slope: results.slope!.data as Float32Array };
  }

  test.each([0.1, 0.3, 0.5])(
    "at rate %d keeps a share of values within 1 % of 1 − rate, and their mean",
    async (rate) => {
      const { y } = await drop(rate, 1);
      const kept = y.filter((value) => value !== 0);
      expect(Math.abs(kept.length / count - (1 - rate))).toBeLessThan(0.01);
      // Each kept value is scaled alike, so that the expectation stays.
      expect(new Set(kept).size).toBe(1);
      const mean = y.reduce((total, value) => total + value, 0) / count;
      expect(Math.abs(mean - 2)).toBeLessThan(0.02);
    },
  );

  test("the same seed drops the same values, another seed others", async () => {
    const [first, again, other] = [await drop(0.3, 1), await drop(0.3, 1), await drop(0.3, 2)];
    expect(largestDifference(again.y, first.y)).toBe(0);
    // Two masks that keep 0.7 of the values each disagree on 2 · 0.7 · 0.3 of them.
    const differing = first.y.filter((value, i) => value !== other.y[i]).length / count;
    expect(Math.abs(differing - 0.42)).toBeLessThan(0.01);
  });

  test("the gradient passes where values passed, with their scale", async () => {
    const { y, slope } = await drop(0.4, 3);
    expectClose(
      slope,
      y.map((value) => value / 2),
      { within: 1e-6 },
    );
  });

  test("rates outside [0, 1) are refused, and rate 0 is no operation at all", () => {
    expect(() => new Dropout(1).forward(x)).toThrow(/the rate must be at least 0 and below 1, got 1/);
    expect(() => new Dropout(-0.1).forward(x)).toThrow(/got -0\.1/);
    expect(new Dropout(0).forward(x)).toBe(x);
  });

  test("a program rewritten for inference holds no dropout and asks for no random bytes", () => {
    const y = new Dropout(0.4).forward(x);
    expect(withoutDropout({ name: "dropout", inputs: { x }, outputs: { y } }).outputs.y).toBe(x);
  });
});
