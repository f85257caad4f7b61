// The plain and the gated feed-forward layer: formula, parameters, positions, gradients.
import { describe, expect, test } from "vitest";
import { elementCount, hostTensor, type HostTensor } from "../../src/base/index.ts";
import {
  FeedForward,
  gelu,
  geluTanh,
  GatedFeedForward,
  namedParameters,
  silu,
  type Module,
} from "../../src/nn/index.ts";
import { dim, input, mul, relu, sigmoid, sum, tanh, type Tensor } from "../../src/tensor/index.ts";
import { expectClose, largestDifference } from "../close.ts";
import { expectSlopes, leaf, noisyWeights, normals, runModule } from "./module-program.ts";

const [dModel, dFeedForward] = [6, 10];
const x = input("x", "float32", [dim("batch"), dim("time"), dModel]);

const count = (module: Module): number =>
  [...namedParameters(module).values()].reduce((total, { shape }) => total + elementCount(shape), 0);

// Two matrices of 512 × 2048 and offsets of 2048 + 512; three matrices in the gated layer, so at 2/3 of the width as many weights.
test.each([
  ["plain", new FeedForward({ dModel: 512, dFeedForward: 2048 }), 2 * 512 * 2048 + 2048 + 512],
  ["plain without offsets", new FeedForward({ dModel: 512, dFeedForward: 2048, bias: false }), 2 * 512 * 2048],
  ["gated", new GatedFeedForward({ dModel: 512, dFeedForward: 1365 }), 3 * 512 * 1365],
  ["gated with offsets", new GatedFeedForward({ dModel: 8, dFeedForward: 5, bias: true }), 3 * 8 * 5 + 2 * 5 + 8],
])("the %s layer has exactly as many parameters as its formula says", (_, layer, expected) => {
  expect(count(layer)).toBe(expected);
});

type Activation = (x: Tensor) => Tensor;
const gates: readonly (readonly [string, Activation, (v: number) => number])[] = [
  ["SwiGLU", silu, (v) => v / (1 + Math.exp(-v))],
  // The normal distribution from the error function's series; good to 1e-12 for these arguments.
  [
    "a gate of GELU by tanh",
    geluTanh,
    (v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))),
  ],
  ["GeGLU", gelu, (v) => 0.5 * v * (1 + errorFunction(v / Math.SQRT2))],
  ["ReGLU", relu, (v) => Math.max(v, 0)],
  ["GLU", sigmoid, (v) => 1 / (1 + Math.exp(-v))],
];

function errorFunction(v: number): number {
  let [term, total] = [v, v];
  for (let n = 1; n < 200; n++) {
    term *= -(v * v) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

test.each(gates)("%s is (act(x W) ⊗ x V) W₂, worked out in double precision", async (_, activation, act) => {
  const layer = new GatedFeedForward({ dModel, dFeedForward, activation, bias: true });
  const weights = noisyWeights(layer, 2);
  const given = normals([2, 3, dModel], 3);
  const { y } = await runModule(layer, { inputs: { x }, outputs: { y: layer.forward(x) } }, { x: given }, { weights });
  const linear = (row: ArrayLike<number>, name: string): number[] => {
    const [weight, bias] = [weights.get(`${name}.weight`)!, weights.get(`${name}.bias`)!];
    const [from, to] = weight.dims as [number, number];
    return Array.from({ length: to }, (__, j) => {
      let total = bias.data[j]!;
      for (let i = 0; i < from; i++) total += row[i]! * weight.data[i * to + j]!;
      return total;
    });
  };
  const expected = [0, 1, 2, 3, 4, 5].flatMap((position) => {
    const row = given.data.subarray(position * dModel, (position + 1) * dModel);
    const through = linear(row, "expand");
    return linear(
      linear(row, "gate").map((value, i) => act(value) * through[i]!),
      "contract",
    );
  });
  expectClose(y!.data as Float32Array, expected, { within: 2e-5 });
});

const layers: readonly (readonly [string, FeedForward | GatedFeedForward])[] = [
  ["plain", new FeedForward({ dModel, dFeedForward, activation: relu })],
  ["SwiGLU", new GatedFeedForward({ dModel, dFeedForward, activation: silu })],
  ["GeGLU", new GatedFeedForward({ dModel, dFeedForward, activation: gelu })],
];

describe.each(layers)("the %s layer", (_, layer) => {
  test("gives permuted positions the same values, permuted, bit for bit", async () => {
    const order = [4, 1, 0, 6, 3, 2, 5];
    const given = normals([1, 7, dModel], 4);
    const row = ({ data }: HostTensor, i: number): number[] =>
      Array.from((data as Float32Array).subarray(i * dModel, (i + 1) * dModel));
    const permuted = hostTensor(
      "float32",
      given.dims,
      order.flatMap((from) => row(given, from)),
    );
    const program = { inputs: { x }, outputs: { y: layer.forward(x) } };
    const { y: straight } = await runModule(layer, program, { x: given });
    const { y: turned } = await runModule(layer, program, { x: permuted });
    expect(
      largestDifference(
        turned!.data as Float32Array,
        order.flatMap((from) => row(straight!, from)),
      ),
    ).toBe(0);
  });
});

// Without kinks, and with kernels in double precision, which the runtime lacks for erf and for its fused x · sigmoid(x).
test.each([
  ["plain", new FeedForward({ dModel, dFeedForward, activation: tanh })],
  ["plain, GELU by tanh", new FeedForward({ dModel, dFeedForward, activation: geluTanh })],
  ["gated by a sigmoid", new GatedFeedForward({ dModel, dFeedForward, activation: sigmoid, bias: true })],
  ["gated by tanh, without offsets", new GatedFeedForward({ dModel, dFeedForward, activation: tanh })],
])("the stated gradients of the %s layer are its slopes", async (_, layer) => {
  const given = leaf([5, dModel]);
  const weight = input("weight", "float32", [5, dModel]);
  await expectSlopes(
    layer,
    { inputs: { weight }, loss: sum(mul(layer.forward(given.value), weight)) },
    { weight: normals([5, dModel], 5) },
    { extra: { x: { parameter: given, value: normals([5, dModel], 6) } } },
  );
});

test("a gain scales the bounds of the first weights", () => {
  const draw = (gain: number): Float32Array =>
    noisyWeights(new GatedFeedForward({ dModel, dFeedForward, gain }), 1, 0).get("gate.weight")!.data;
  expectClose(
    draw(0.5),
    draw(1).map((value) => value / 2),
    { within: 1e-7 },
  );
});
