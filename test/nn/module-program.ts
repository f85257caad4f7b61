// Runs one module by itself: its outputs on given values, and its gradients against differences.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import { compile, type Feeds } from "../../src/engine/index.ts";
import { initialize, namedParameters, Parameter, parameterInputs, zeros, type Module } from "../../src/nn/index.ts";
import {
  inDoublePrecision,
  programNodes,
  randomLabel,
  withoutDropout,
  type Program,
  type Tensor,
} from "../../src/tensor/index.ts";
import { trainingProgram } from "../../src/train/index.ts";
import { expectClose } from "../close.ts";

export type Weights = Map<string, HostTensor<"float32">>;

/** First values with noise on all of them, so that offsets and scales take part. */
export function noisyWeights(module: Module, seed: number, deviation = 0.3): Weights {
  const random = new RandomStream(randomKey(seed, 771));
  const weights = initialize(namedParameters(module), seed);
  for (const { data } of weights.values())
    for (let i = 0; i < data.length; i++) data[i]! += deviation * random.normal();
  return weights;
}

export function normals(dims: readonly number[], seed: number): HostTensor<"float32"> {
  const random = new RandomStream(randomKey(seed, 772));
  const count = dims.reduce((a, b) => a * b, 1);
  return hostTensor(
    "float32",
    dims,
    Float32Array.from({ length: count }, () => random.normal()),
  );
}

/** Rows of truth values: one row a sentence, true for its first `length` places. */
export function validRows(lengths: readonly number[], time: number): HostTensor<"bool"> {
  return hostTensor(
    "bool",
    [lengths.length, time],
    lengths.flatMap((length) => Array.from({ length: time }, (_, i) => (i < length ? 1 : 0))),
  );
}

export interface RunOptions {
  /** Whether the program is rewritten for inference. */
  inference?: boolean;
  weights?: Weights;
  /** Values of random inputs, in the order in which the program asks for them. */
  bytes?: readonly HostTensor<"uint8">[];
  threads?: number;
}

/** What outputs of a module are, run once. */
export async function runModule(
  module: Module,
  { inputs, outputs }: Pick<Program, "inputs" | "outputs">,
  feeds: Feeds,
  { inference = false, weights = noisyWeights(module, 1), bytes = [], threads = 1 }: RunOptions = {},
): Promise<Record<string, HostTensor>> {
  const traced: Program = {
    name: "module",
    inputs: { ...parameterInputs(namedParameters(module)), ...inputs },
    outputs,
  };
  const sites = programNodes(traced).filter(({ attributes }) => attributes.label === randomLabel);
  const random = Object.fromEntries(sites.map(({ outputs: [site] }, i) => [`random${i}`, site!]));
  const program = inference ? withoutDropout(traced) : { ...traced, inputs: { ...traced.inputs, ...random } };
  const given = Object.fromEntries(bytes.map((value, i) => [`random${i}`, value]));
  await using executable = await compile(program, { threads });
  return await executable.run({ ...Object.fromEntries(weights), ...feeds, ...(inference ? {} : given) });
}

/**
 * Every trainable parameter's stated gradient against the slope of the loss along a random direction, in double precision:
 * the relative error is at most 1e-6. Parameters that `build` reads but the module does not own are given as `extra`.
 */
export async function expectSlopes(
  module: Module,
  { inputs, loss }: { inputs: Readonly<Record<string, Tensor>>; loss: Tensor },
  feeds: Feeds,
  {
    extra = {},
    weights = noisyWeights(module, 1),
  }: { extra?: Readonly<Record<string, { parameter: Parameter; value: HostTensor }>>; weights?: Weights } = {},
): Promise<void> {
  const parameters = new Map(namedParameters(module));
  const values: Record<string, HostTensor> = { ...feeds, ...Object.fromEntries(weights) };
  for (const [name, { parameter, value }] of Object.entries(extra)) {
    parameters.set(name, parameter);
    values[name] = value;
  }
  for (const [name, { dtype, dims, data }] of Object.entries(values))
    if (dtype === "float32") values[name] = hostTensor("float64", dims, Float64Array.from(data as Float32Array));
  const program = inDoublePrecision(trainingProgram(parameters, { inputs, loss, figures: {} }));
  await using backward = await compile(program, { threads: 1 });
  await using forward = await compile({ ...program, outputs: { loss: program.outputs.loss! } }, { threads: 1 });
  const stated = await backward.run(values);
  const lossOf = async (given: Feeds): Promise<number> => (await forward.run(given)).loss!.data[0] as number;
  const random = new RandomStream(randomKey(773));
  const step = 1e-5;
  for (const [name, { trainable }] of parameters) {
    if (!trainable) continue;
    const { dims, data } = values[name] as HostTensor<"float64">;
    const towards = data.map(() => random.normal());
    const moved = (by: number): Promise<number> =>
      lossOf({
        ...values,
        [name]: { dtype: "float64", dims, data: data.map((value, i) => value + by * towards[i]!) },
      });
    const difference = async (by: number): Promise<number> => ((await moved(by)) - (await moved(-by))) / (2 * by);
    // Richardson's extrapolation: the error of a central difference goes with the square of the step.
    const measured = (4 * (await difference(step)) - (await difference(2 * step))) / 3;
    const gradient = stated[`gradient.${name}`]!.data as Float64Array;
    const expected = gradient.reduce((total, value, i) => total + value * towards[i]!, 0);
    expectClose([expected], [measured], { within: 1e-8, relative: 1e-6, what: `slope along ${name}` });
  }
}

/** An input whose gradient is wanted too. */
export function leaf(shape: readonly number[]): Parameter {
  return new Parameter({ shape, initializer: zeros });
}
