// Convolution and pooling in float32, where their kernels are, against sums over shifted slices in float64.
import fc from "fast-check";
import { expect, test } from "vitest";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import { compile } from "../../src/engine/index.ts";
import * as t from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";
import { draw, evaluate, inputsFor, numbers } from "./evaluate.ts";

const wide = ({ dtype, dims, data }: HostTensor): HostTensor =>
  dtype === "float32"
    ? { dtype: "float64", dims, data: Float64Array.from(data as Float32Array) }
    : { dtype, dims, data };

/** Every stride-th place of the last axis from `start` on. */
function strided(x: t.Tensor, start: number, stride: number, places: number): t.Tensor {
  return t.gather(
    x,
    t.constant(
      hostTensor(
        "int32",
        [places],
        Array.from({ length: places }, (_, i) => start + i * stride),
      ),
    ),
    x.rank - 1,
  );
}

interface Geometry {
  stride: number;
  dilation: number;
  before: number;
  after: number;
}

/** Σ over taps of kernel[.., tap] · x[.., place · stride + tap · dilation], group by group. */
function plainConvolution(
  x: t.Tensor,
  kernel: t.Tensor,
  groups: number,
  { stride, dilation, before, after }: Geometry,
): t.Tensor {
  const padded = t.pad(x, { axis: 2, before, after });
  const taps = kernel.shape[2] as number;
  const places = Math.floor(((padded.shape[2] as number) - dilation * (taps - 1) - 1) / stride) + 1;
  const parts = t.split(padded, { axis: 1, parts: groups }).map((images, group) => {
    const own = t.split(kernel, { axis: 0, parts: groups })[group]!; // [to / groups, from / groups, taps]
    const products = Array.from({ length: taps }, (_, tap) =>
      t.matmul(
        t.squeeze(t.slice(own, { axis: 2, start: tap, end: tap + 1 }), 2),
        strided(images, tap * dilation, stride, places),
      ),
    );
    return products.reduce((a, b) => t.add(a, b));
  });
  return t.concat(parts, 1);
}

test("one axis: value and gradients for any stride, dilation, padding and groups", async () => {
  const cases = fc.record({
    batch: fc.integer({ min: 1, max: 3 }),
    groups: fc.constantFrom(1, 2),
    from: fc.integer({ min: 1, max: 2 }),
    to: fc.integer({ min: 1, max: 3 }),
    taps: fc.integer({ min: 1, max: 4 }),
    length: fc.integer({ min: 8, max: 13 }),
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    before: fc.nat(3),
    after: fc.nat(3),
    seed: fc.nat(10_000),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ batch, groups, from, to, taps, length, seed, ...geometry }) => {
      const { stride, dilation, before, after } = geometry;
      const x = draw({ dims: [batch, from * groups, length], seed, dtype: "float32" });
      const kernel = draw({ dims: [to * groups, from, taps], seed: seed + 1, dtype: "float32" });
      const both = async (
        values: HostTensor[],
        build: (x: t.Tensor, kernel: t.Tensor) => t.Tensor,
      ): Promise<number[][]> => {
        const [a, b] = inputsFor(values) as [t.Tensor, t.Tensor];
        const y = build(a, b);
        // Σ sin(y) makes every place count differently; its second gradient goes through convolutions of gradients.
        const [dx, dKernel] = t.gradients(t.sum(t.sin(y)), [a, b]) as [t.Tensor, t.Tensor];
        const second = t.gradients(t.sum(t.mul(dx, dx)), [a, b]);
        return (await evaluate([a, b], values, [y, dx, dKernel, ...second])).map(numbers);
      };
      const fast = await both([x, kernel], (a, b) =>
        t.convolution(a, b, { stride, dilation, groups, padding: [[before, after]] }),
      );
      const slow = await both([wide(x), wide(kernel)], (a, b) => plainConvolution(a, b, groups, geometry));
      fast.forEach((values, i) =>
        expectClose(values, slow[i]!, {
          within: 2e-5,
          relative: 2e-5,
          what: ["value", "dx", "dKernel", "second dx", "second dKernel"][i]!,
        }),
      );
    }),
    { numRuns: 25 },
  );
});

test("the transpose is the adjoint: Σ conv(x) · y = Σ x · transpose(y)", async () => {
  const [stride, dilation] = [2, 2];
  const values = [
    draw({ dims: [2, 4, 9], seed: 1, dtype: "float32" }),
    draw({ dims: [6, 2, 3], seed: 2, dtype: "float32" }),
    draw({ dims: [2, 6, 3], seed: 3, dtype: "float32" }),
  ];
  const inputs = inputsFor(values) as [t.Tensor, t.Tensor, t.Tensor];
  const [x, kernel, y] = inputs;
  const forward = t.sum(t.mul(t.convolution(x, kernel, { stride, dilation, groups: 2 }), y));
  const back = t.sum(t.mul(x, t.convolutionTranspose(y, kernel, { stride, dilation, groups: 2 })));
  const [a, b] = await evaluate(inputs, values, [forward, back]);
  expect(numbers(a!)[0]).toBeCloseTo(numbers(b!)[0]!, 4);
});

test("a speech front end over a named length: its sizes are right for every length, and its gradient has the input's", async () => {
  const frames = t.input("frames", "float32", [t.dim("batch"), 2, t.dim("time")]);
  const kernel = t.input("kernel", "float32", [3, 2, 3]);
  const halved = t.convolution(frames, kernel, { stride: 2, padding: 1 });
  expect(String(halved.shape[2])).toBe("floor((time + 1)/2)");
  const quartered = t.maxPool(halved, { size: 2 });
  const [dFrames, dKernel] = t.gradients(t.sum(t.mul(quartered, quartered)), [frames, kernel]) as [t.Tensor, t.Tensor];
  const program = { name: "front", inputs: { frames, kernel }, outputs: { halved, quartered, dFrames, dKernel } };
  await using executable = await compile(program, { threads: 1 });
  for (const time of [3, 4, 5, 8, 9]) {
    const x = draw({ dims: [2, 2, time], seed: time, dtype: "float32" });
    const w = draw({ dims: [3, 2, 3], seed: 1, dtype: "float32" });
    const results = await executable.run({ frames: x, kernel: w });
    expect(results.halved!.dims).toEqual([2, 3, Math.floor((time + 1) / 2)]);
    const fixed = inputsFor([x, w]) as [t.Tensor, t.Tensor];
    const pooled = t.maxPool(t.convolution(...fixed, { stride: 2, padding: 1 }), { size: 2 });
    const expected = await evaluate(fixed, [x, w], t.gradients(t.sum(t.mul(pooled, pooled)), fixed));
    expectClose(numbers(results.dFrames!), numbers(expected[0]!), { within: 1e-5, what: `dFrames at ${time}` });
    expectClose(numbers(results.dKernel!), numbers(expected[1]!), { within: 1e-5, what: `dKernel at ${time}` });
  }
});

test("a causal convolution does not see what comes later", async () => {
  const x = draw({ dims: [1, 2, 6], seed: 1, dtype: "float32" });
  const kernel = draw({ dims: [2, 2, 3], seed: 2, dtype: "float32" });
  const later = { ...x, data: (x.data as Float32Array).slice() };
  later.data[5] = 9; // the last place of the first channel
  const run = async (value: HostTensor) => {
    const inputs = inputsFor([value, kernel]) as [t.Tensor, t.Tensor];
    return numbers((await evaluate(inputs, [value, kernel], [t.convolution(...inputs, { padding: [[2, 0]] })]))[0]!);
  };
  const [before, after] = [await run(x), await run(later)];
  for (const place of [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]) expect(after[place]).toBe(before[place]);
  expect(after[5]).not.toBe(before[5]);
});

test("pooling of 1, 5, 2, 8, 3, 4 by hand", async () => {
  const values = [hostTensor("float32", [1, 1, 6], [1, 5, 2, 8, 3, 4])];
  const [x] = inputsFor(values) as [t.Tensor];
  const outputs = [
    t.maxPool(x, { size: 2 }),
    t.averagePool(x, { size: 2 }),
    t.maxPool(x, { size: 3, stride: 1 }),
    t.averagePool(x, { size: 3, stride: 3, padding: 1 }),
  ];
  const results = (await evaluate([x], values, [...outputs, ...t.gradients(t.sum(outputs[2]!), [x])])).map(numbers);
  expect(results.slice(0, 3)).toEqual([
    [5, 8, 4],
    [3, 5, 3.5],
    [5, 8, 8, 8],
  ]);
  expectClose(results[3]!, [2, 13 / 3], { within: 1e-6 }); // (0+1+5)/3, (2+8+3)/3
  expect(results[4]).toEqual([0, 1, 0, 3, 0, 0]);
});
