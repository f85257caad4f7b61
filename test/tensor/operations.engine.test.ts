// One walk over every operation: the stated shape against the real one, and the stated gradient against central differences.
import { describe, expect, test } from "vitest";
import { allocate, elementCount, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import { compile } from "../../src/engine/index.ts";
import {
  add,
  allOperations,
  apply,
  gradients,
  input,
  mul,
  sum,
  type Operation,
  type Sample,
  type Tensor,
} from "../../src/tensor/index.ts";

const random = new RandomStream(randomKey(20_26));

function draw(sample: Sample, position: number): HostTensor {
  const {
    shape,
    dtype = sample.float32 === true ? "float32" : "float64",
    range: [low, high] = [-1, 1],
  } = sample.inputs[position]!;
  const data = allocate(dtype, elementCount(shape));
  for (let i = 0; i < data.length; i++) {
    const value = low + random.uniform() * (high - low);
    data[i] = dtype.includes("float") ? value : dtype === "int64" ? BigInt(Math.floor(value)) : Math.floor(value);
  }
  return { dtype, dims: shape, data };
}

async function check(operation: Operation, sample: Sample): Promise<void> {
  const values = sample.inputs.map((_, i) => draw(sample, i));
  const inputs = values.map(({ dtype, dims }, i) => input(`x${i}`, dtype, dims));
  const outputs = apply(operation, inputs, sample.attributes ?? {});
  const feeds = Object.fromEntries(values.map((value, i) => [`x${i}`, value]));
  const names = Object.fromEntries(inputs.map((tensor, i) => [`x${i}`, tensor]));
  const forward = await compile({ name: operation.name, inputs: names, outputs: { y: outputs[0]! } }, { threads: 1 });
  const { y } = await forward.run(feeds);
  expect(y!.dims, "stated shape").toEqual(outputs[0]!.shape);
  expect(y!.dtype, "stated dtype").toBe(outputs[0]!.dtype);
  if (operation.gradient === undefined || !outputs[0]!.dtype.includes("float")) return forward.dispose();

  // L = Σ w y with random w sees every output at once.
  const weights = { dtype: y!.dtype, dims: y!.dims, data: (y!.data as Float64Array).map(() => random.uniform() - 0.5) };
  const w = input("w", y!.dtype, y!.dims);
  const loss = sum(mul(outputs[0]!, w));
  const leaves = inputs.filter(({ dtype }) => dtype.includes("float"));
  if (leaves.length === 0) return forward.dispose();
  const backward = await compile(
    {
      name: operation.name,
      inputs: { ...names, w },
      outputs: Object.fromEntries(gradients(loss, leaves).map((g, i) => [`d${i}`, g])),
    },
    { threads: 1 },
  );
  const analytic = await backward.run({ ...feeds, w: weights });
  const value = async (): Promise<number> => {
    const { y: now } = await forward.run({ ...feeds });
    return (now!.data as Float64Array).reduce((total, v, i) => total + v * (weights.data[i] as number), 0);
  };
  const step = sample.float32 === true ? 1e-2 : 1e-5;
  for (const [i, leaf] of leaves.entries()) {
    const data = values[inputs.indexOf(leaf)]!.data as Float64Array;
    const stated = analytic[`d${i}`]!;
    expect(stated.dims).toEqual(leaf.shape);
    for (let at = 0; at < data.length; at++) {
      const kept = data[at]!;
      data[at] = kept + step;
      const above = await value();
      data[at] = kept - step;
      const below = await value();
      data[at] = kept;
      const numeric = (above - below) / (2 * step);
      const scale = Math.max(1, Math.abs(numeric));
      expect(Math.abs((stated.data[at] as number) - numeric) / scale, `${operation.name} d${i}[${at}]`).toBeLessThan(
        sample.tolerance ?? 1e-6,
      );
    }
  }
  await forward.dispose();
  await backward.dispose();
}

describe("every operation", () => {
  for (const operation of allOperations().values()) {
    for (const [i, sample] of operation.samples.entries()) {
      const shapes = sample.inputs.map(({ shape }) => `[${shape.join()}]`).join(" ");
      test(`${operation.name} ${i}: ${shapes} has the stated shape and gradient`, () => check(operation, sample));
    }
  }
});

test("second derivatives: d²/dx² of Σ x³ y is 6 x y", async () => {
  const x = input("x", "float64", [3]);
  const y = input("y", "float64", [3]);
  const [first] = gradients(sum(mul(mul(mul(x, x), x), y)), [x]) as [Tensor];
  const [second] = gradients(sum(first), [x]) as [Tensor];
  const run = await compile({ name: "second", inputs: { x, y }, outputs: { second: add(second, 0) } }, { threads: 1 });
  const values = { dtype: "float64" as const, dims: [3], data: Float64Array.of(1, 2, -3) };
  const { second: result } = await run.run({
    x: values,
    y: { dtype: "float64", dims: [3], data: Float64Array.of(1, 0.5, 2) },
  });
  expect([...(result!.data as Float64Array)]).toEqual([6, 6, -36]);
  await run.dispose();
});
