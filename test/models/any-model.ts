// Models of one stack with weights that leave nothing at zero or one, run on ids.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import { compile, type Feeds } from "../../src/engine/index.ts";
import type { LossProgram } from "../../src/models/index.ts";
import { initialize, namedParameters, parameterInputs, type Module } from "../../src/nn/index.ts";
import { dim, inDoublePrecision, input, withoutDropout, type Tensor } from "../../src/tensor/index.ts";
import { trainingProgram } from "../../src/train/index.ts";
import { expectClose } from "../close.ts";
import { session, type Weights } from "./small-transformer.ts";

export const ids: Tensor = input("ids", "int32", [dim("batch"), dim("time")]);
export const segmentIds: Tensor = input("segmentIds", "int32", ids.shape);

/** First values with noise on all of them. */
export function noisy(model: Module, seed = 1): Weights {
  const random = new RandomStream(randomKey(seed, 77));
  const weights = initialize(namedParameters(model), seed);
  for (const { data } of weights.values()) for (let i = 0; i < data.length; i++) data[i]! += 0.1 * random.normal();
  return weights;
}

/** A model compiled with its weights: outputs as a function of the other inputs. */
export async function compiled(
  model: Module,
  weights: Weights,
  inputs: Readonly<Record<string, Tensor>>,
  outputs: Readonly<Record<string, Tensor>>,
) {
  const given = { ...parameterInputs(namedParameters(model)), ...inputs };
  const run = await compile(withoutDropout({ name: "test", inputs: given, outputs }), session);
  return {
    run: (feeds: Feeds): Promise<Record<string, HostTensor>> => run.run({ ...Object.fromEntries(weights), ...feeds }),
    [Symbol.asyncDispose]: () => run.dispose(),
  };
}

/**
 * Compares every parameter's gradient of a loss with the slope of that loss, in double precision, along two random directions
 * each: along one every number of a parameter takes part, and a wrong one would have to be wrong at right angles to it.
 */
export async function expectSlopes(model: Module, loss: LossProgram, feeds: Feeds): Promise<void> {
  const parameters = namedParameters(model);
  const whole = inDoublePrecision(withoutDropout(trainingProgram(parameters, loss)));
  await using backward = await compile(whole, session);
  await using forward = await compile({ ...whole, outputs: { loss: whole.outputs.loss! } }, session);
  const given: Record<string, HostTensor> = { ...(feeds as Record<string, HostTensor>) };
  for (const [name, { dims, data }] of noisy(model, 5))
    given[name] = hostTensor("float64", dims, Float64Array.from(data));
  const stated = await backward.run(given);
  const lossOf = async (at: Feeds): Promise<number> => (await forward.run(at)).loss!.data[0] as number;
  const random = new RandomStream(randomKey(6));
  const step = 1e-5;
  for (const [name, { trainable }] of parameters) {
    if (!trainable) continue;
    const { dims, data } = given[name] as HostTensor<"float64">;
    const gradient = stated[`gradient.${name}`]!.data as Float64Array;
    for (let direction = 0; direction < 2; direction++) {
      const towards = data.map(() => random.normal());
      const moved = (by: number) =>
        lossOf({ ...given, [name]: { dtype: "float64", dims, data: data.map((x, i) => x + by * towards[i]!) } });
      const difference = async (by: number) => ((await moved(by)) - (await moved(-by))) / (2 * by);
      // Richardson's extrapolation: the error of a central difference goes with the square of the step.
      const measured = (4 * (await difference(step)) - (await difference(2 * step))) / 3;
      const expected = gradient.reduce((total, value, i) => total + value * towards[i]!, 0);
      expectClose([expected], [measured], { within: 1e-9, relative: 1e-8, what: `slope along ${name}` });
    }
  }
}

/** −Σ q ln p a row in double precision, q = (1 − smoothing) onehot(label) + smoothing / vocabulary. */
export function crossEntropy(logits: ArrayLike<number>, label: number, smoothing = 0): number {
  const row = Array.from(logits);
  const largest = Math.max(...row);
  const logSum = largest + Math.log(row.reduce((total, x) => total + Math.exp(x - largest), 0));
  return row.reduce((total, x, i) => {
    const share = (i === label ? 1 - smoothing : 0) + smoothing / row.length;
    return total - share * (x - logSum);
  }, 0);
}
