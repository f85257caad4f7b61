// Gradients of traced modules against central differences, in double precision.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../../src/base/index.ts";
import { compile, type Feeds } from "../../../src/engine/index.ts";
import { gradients, inDoublePrecision, input, mul, sum, type Program, type Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../close.ts";

/**
 * The gradients of Σ w · output for random w with respect to the named inputs, along a random direction each, against the
 * differences of the values. `inputs` are float32 in the trace, as modules write them; the program runs in float64.
 */
export async function expectSlopes(
  inputs: Readonly<Record<string, Tensor>>,
  output: Tensor,
  { feeds, of, seed }: { feeds: Readonly<Record<string, HostTensor>>; of: readonly string[]; seed: number },
): Promise<void> {
  const random = new RandomStream(randomKey(seed, 79));
  const normals = ({ dims, data }: HostTensor): HostTensor<"float64"> =>
    hostTensor(
      "float64",
      dims,
      Float64Array.from({ length: data.length }, () => random.normal()),
    );
  const weight = input("weight", "float32", output.shape);
  const loss = sum(mul(output, weight));
  const leaves = of.map((name) => inputs[name]!);
  const stated = Object.fromEntries(gradients(loss, leaves).map((gradient, i) => [`slope.${of[i]!}`, gradient]));
  const compiled = (outputs: Program["outputs"]) =>
    compile(inDoublePrecision({ name: "slopes", inputs: { ...inputs, weight }, outputs }), { threads: 1 });
  const widened = Object.entries(feeds).map(([name, value]): [string, HostTensor] => [
    name,
    value.dtype === "float32"
      ? hostTensor("float64", value.dims, Float64Array.from(value.data as Float32Array))
      : value,
  ]);
  await using values = await compiled({ output });
  const shapeOf = (await values.run(Object.fromEntries(widened))).output!;
  const given: Feeds = { ...Object.fromEntries(widened), weight: normals(shapeOf) };
  await using forward = await compiled({ loss });
  await using backward = await compiled(stated);
  const found = await backward.run(given);
  for (const name of of) {
    const at = given[name] as HostTensor<"float64">;
    const towards = normals(at).data;
    const lossAt = async (step: number): Promise<number> => {
      const data = at.data.map((value, i) => value + step * towards[i]!);
      return (await forward.run({ ...given, [name]: { ...at, data } })).loss!.data[0] as number;
    };
    const step = 1e-5;
    const measured = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
    const along = (found[`slope.${name}`]!.data as Float64Array).reduce(
      (total, slope, i) => total + slope * towards[i]!,
      0,
    );
    expectClose([along], [measured], { within: 1e-8, relative: 1e-8, what: `slope along ${name}` });
  }
}
