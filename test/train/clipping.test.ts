import { expect, test } from "vitest";
import { Parameter, zeros } from "../../src/nn/index.ts";
import { clippingScale, gradientNorm } from "../../src/train/clipping.ts";
import { ParameterStore } from "../../src/train/parameter-store.ts";

const store = () =>
  new ParameterStore(
    new Map([
      ["a", new Parameter({ shape: [2], initializer: zeros })],
      ["table", new Parameter({ shape: [2], initializer: zeros, trainable: false })],
      ["b", new Parameter({ shape: [3], initializer: zeros })],
    ]),
  );

test("the norm is that of all gradients together, and NaN where one is", () => {
  const held = store();
  held.gradients.a!.data.set([3, 0]);
  held.gradients.b!.data.set([0, 0, -4]);
  expect(gradientNorm(held)).toBe(5);
  held.gradients.b!.data[1] = NaN;
  expect(gradientNorm(held)).toBeNaN();
});

test.each([
  [5, 1, 0.2],
  [5, 5, 1],
  [5, 10, 1],
  [0, 1, 1],
  [5, Infinity, 1],
  [NaN, 1, NaN],
  [Infinity, 1, NaN],
])("a norm of %d clipped to %d takes the factor %d", (norm, maximum, expected) => {
  expect(clippingScale(norm, maximum)).toBe(expected);
});
