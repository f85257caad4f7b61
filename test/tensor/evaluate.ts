// Runs traced tensors on given values, and compares gradients with differences.
import { expect } from "vitest";
import { allocate, elementCount, RandomStream, randomKey, type DType, type HostTensor } from "../../src/base/index.ts";
import { compile, type CompileOptions } from "../../src/engine/index.ts";
import { gradients, input, mul, sum, type Tensor } from "../../src/tensor/index.ts";

export type Values = readonly HostTensor[];

/** An input for each value, in order. */
export function inputsFor(values: Values): Tensor[] {
  return values.map(({ dtype, dims }, i) => input(`x${i}`, dtype, dims));
}

/** What the tensors are when the inputs have these values. */
export async function evaluate(
  inputs: readonly Tensor[],
  values: Values,
  outputs: readonly Tensor[],
  options: CompileOptions = {},
): Promise<HostTensor[]> {
  const program = {
    name: "evaluate",
    inputs: Object.fromEntries(inputs.map((tensor, i) => [`x${i}`, tensor])),
    outputs: Object.fromEntries(outputs.map((tensor, i) => [`y${i}`, tensor])),
  };
  await using executable = await compile(program, { threads: 1, ...options });
  const results = await executable.run(Object.fromEntries(values.map((value, i) => [`x${i}`, value])));
  return outputs.map((_, i) => results[`y${i}`]!);
}

/** What a function of tensors gives on values. */
export async function applyTo(
  values: Values,
  build: (...inputs: Tensor[]) => Tensor,
  options: CompileOptions = {},
): Promise<HostTensor> {
  const inputs = inputsFor(values);
  return (await evaluate(inputs, values, [build(...inputs)], options))[0]!;
}

export function numbers({ data }: HostTensor): number[] {
  return Array.from(data as Float64Array, Number);
}

export interface Draw {
  dims: readonly number[];
  seed: number;
  dtype?: DType;
  range?: readonly [number, number];
}

/** Random values; whole numbers where the dtype has no others. */
export function draw({ dims, seed, dtype = "float64", range: [low, high] = [-1, 1] }: Draw): HostTensor {
  const random = new RandomStream(randomKey(seed, ...dims));
  const data = allocate(dtype, elementCount(dims));
  for (let i = 0; i < data.length; i++) {
    const value = low + random.uniform() * (high - low);
    data[i] = dtype.includes("float") ? value : dtype === "int64" ? BigInt(Math.floor(value)) : Math.floor(value);
  }
  return { dtype, dims, data };
}

/**
 * The gradient of Σ w · build(x) for random w, along a random direction through all float inputs at once, against the central
 * difference of the values along it.
 */
export async function expectGradient(
  values: Values,
  build: (...inputs: Tensor[]) => Tensor,
  { seed, step = 1e-5, within = 1e-6 }: { seed: number; step?: number; within?: number },
): Promise<void> {
  const inputs = inputsFor(values);
  const output = build(...inputs);
  const w = draw({ dims: output.shape as number[], seed: seed + 1, dtype: output.dtype });
  const weight = input("weight", w.dtype, w.dims);
  const loss = sum(mul(output, weight));
  const leaves = inputs.filter(({ dtype }) => dtype.startsWith("float"));
  const results = await evaluate([...inputs, weight], [...values, w], gradients(loss, leaves));
  const directions = values.map((value, i) =>
    value.dtype.startsWith("float") ? draw({ dims: value.dims, seed: seed + 2 + i, dtype: value.dtype }) : undefined,
  );
  const moved = (sign: number): Values =>
    values.map((value, i) => {
      const direction = directions[i];
      if (direction === undefined) return value;
      const data = (value.data as Float64Array).map((v, at) => v + sign * step * (direction.data[at] as number));
      return { ...value, data };
    });
  const lossAt = async (sign: number): Promise<number> =>
    numbers((await evaluate([...inputs, weight], [...moved(sign), w], [loss]))[0]!)[0]!;
  const numeric = ((await lossAt(1)) - (await lossAt(-1))) / (2 * step);
  let analytic = 0;
  let at = 0;
  for (const [i, direction] of directions.entries()) {
    if (direction === undefined) continue;
    const gradient = results[at++]!;
    expect(gradient.dims, `gradient ${i}`).toEqual(values[i]!.dims);
    gradient.data.forEach((g, k) => (analytic += Number(g) * Number(direction.data[k])));
  }
  expect(
    Math.abs(analytic - numeric) / Math.max(1, Math.abs(numeric)),
    `analytic ${analytic}, numeric ${numeric}`,
  ).toBeLessThan(within);
}
