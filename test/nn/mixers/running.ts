// Runs mixers by themselves: over whole sequences, and a token at a time.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../../src/base/index.ts";
import { compile, type Feeds } from "../../../src/engine/index.ts";
import { AttentionScope } from "../../../src/nn/attention/scope.ts";
import { initialize, namedParameters, parameterInputs } from "../../../src/nn/index.ts";
import type { Mixer, RecurrentMixer } from "../../../src/nn/mixer.ts";
import { dim, inDoublePrecision, input, type Program, type Tensor } from "../../../src/tensor/index.ts";

export type Precision = "float32" | "float64";

/** Numbers of a normal distribution. */
export function draw(dims: readonly number[], seed: number, dtype: Precision = "float32"): HostTensor<Precision> {
  const random = new RandomStream(randomKey(seed, 91));
  const values = Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal());
  return hostTensor(dtype, dims, values);
}

/** First values with noise on all of them, so that offsets and scales take part. */
export function noisyFeeds(mixer: Mixer, dtype: Precision, noise = 0.1): Record<string, HostTensor> {
  const random = new RandomStream(randomKey(3, 77));
  return Object.fromEntries(
    [...initialize(namedParameters(mixer), 3)].map(([name, { dims, data }]) => [
      name,
      hostTensor(
        dtype,
        dims,
        Array.from(data, (value) => value + noise * random.normal()),
      ),
    ]),
  );
}

/** Rows of bool [batch, time] from strings: "#" a word, "." padding. */
export function keyRows(rows: readonly string[]): HostTensor<"bool"> {
  return hostTensor(
    "bool",
    [rows.length, rows[0]!.length],
    rows.flatMap((row) => [...row].map((letter) => (letter === "#" ? 1 : 0))),
  );
}

const precise = (program: Program, dtype: Precision): Program =>
  dtype === "float64" ? inDoublePrecision(program) : program;

/** What is computed of x [batch, time, dModel] under a scope; `weight`, of the same shape, is there to make losses of. */
export type Build = (x: Tensor, scope: AttentionScope, weight: Tensor) => Readonly<Record<string, Tensor>>;

/** A program over whole sequences, compiled once for any batch and time; where `isPadded` it wants `keys`. */
export function overSequences(
  mixer: Mixer,
  build: Build,
  {
    dtype = "float32",
    dModel,
    isCausal = true,
    isPadded = false,
  }: { dtype?: Precision; dModel: number; isCausal?: boolean; isPadded?: boolean },
) {
  const [batch, time] = [dim("batch"), dim("time")];
  const x = input("x", "float32", [batch, time, dModel]);
  const keys = input("keys", "bool", [batch, time]);
  const weight = input("weight", "float32", [batch, time, dModel]);
  const scope = new AttentionScope({ queryTime: time, isCausal, ...(isPadded && { keys }) });
  const program = {
    name: "mixer",
    inputs: { ...parameterInputs(namedParameters(mixer)), x, keys, weight },
    outputs: build(x, scope, weight),
  };
  return compile(precise(program, dtype), { threads: 1 });
}

/** Outputs of `step`, chained from zeros, for x [batch, time, dModel]: [batch, time, dModel]. */
export async function stepwise(mixer: RecurrentMixer, feeds: Feeds, x: HostTensor, dtype: Precision = "float32") {
  const [batch, time, dModel] = x.dims as readonly [number, number, number];
  const rows = dim("rows");
  const token = input("token", "float32", [rows, dModel]);
  const position = input("position", "int32", [1]);
  const state = Object.fromEntries(
    Object.entries(mixer.state).map(([name, shape]) => [name, input(name, "float32", [rows, ...shape])]),
  );
  const after = mixer.step(token, state, position);
  const stateInputs = Object.fromEntries(Object.entries(state).map(([name, tensor]) => [`state.${name}`, tensor]));
  const program = {
    name: "step",
    inputs: { ...parameterInputs(namedParameters(mixer)), token, position, ...stateInputs },
    outputs: {
      output: after.output,
      ...Object.fromEntries(Object.entries(after.state).map(([name, tensor]) => [`next.${name}`, tensor])),
    },
  };
  await using run = await compile(precise(program, dtype), { threads: 1 });
  let held: Record<string, HostTensor> = Object.fromEntries(
    Object.entries(mixer.state).map(([name, shape]) => {
      const dims = [batch, ...shape];
      return [`state.${name}`, hostTensor(dtype, dims, new Array<number>(dims.reduce((a, b) => a * b)).fill(0))];
    }),
  );
  const all = new Float64Array(batch * time * dModel);
  for (let t = 0; t < time; t++) {
    const values = Array.from({ length: batch }, (_, row) => {
      const start = (row * time + t) * dModel;
      return Array.from((x.data as Float64Array).subarray(start, start + dModel));
    });
    const { output, ...next } = await run.run({
      ...feeds,
      token: hostTensor(dtype, [batch, dModel], values.flat()),
      position: hostTensor("int32", [1], [t]),
      ...held,
    });
    held = Object.fromEntries(Object.entries(next).map(([name, value]) => [name.replace("next", "state"), value]));
    for (let row = 0; row < batch; row++) {
      const part = (output!.data as Float64Array).subarray(row * dModel, (row + 1) * dModel);
      all.set(part, (row * time + t) * dModel);
    }
  }
  return all;
}

export const numbersOf = ({ data }: HostTensor): Float64Array => Float64Array.from(data as Float64Array);
