// Two blocks of attention and feed-forward, with weights that leave nothing at zero or one.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../../src/base/index.ts";
import { compile } from "../../../src/engine/index.ts";
import { AttentionScope } from "../../../src/nn/attention/scope.ts";
import {
  FeedForward,
  initialize,
  Module,
  MultiHeadAttention,
  namedParameters,
  parameterInputs,
} from "../../../src/nn/index.ts";
import { add, dim, input, withoutDropout, type Dim, type Tensor } from "../../../src/tensor/index.ts";

type Values = Map<string, HostTensor<"float32">>;

const dModel = 12;

class Block extends Module {
  readonly selfAttention = new MultiHeadAttention({ dModel, heads: 3 });
  readonly feedForward = new FeedForward({ dModel, dFeedForward: 20 });

  forward(x: Tensor): Tensor {
    const scope = new AttentionScope({ queryTime: x.shape[1] as Dim, isCausal: true });
    const mixed = add(x, this.selfAttention.forward(x, scope).output);
    return add(mixed, this.feedForward.forward(mixed));
  }
}

export class SmallModel extends Module {
  readonly layers: readonly Block[] = [new Block(), new Block()];

  forward(x: Tensor): Tensor {
    return this.layers.reduce((y, block) => block.forward(y), x);
  }
}

const x: Tensor = input("x", "float32", [dim("batch"), dim("time"), dModel]);
const random = new RandomStream(randomKey(5));
const given: HostTensor<"float32"> = hostTensor(
  "float32",
  [2, 5, dModel],
  Float32Array.from({ length: 2 * 5 * dModel }, () => random.normal()),
);

/** First values of all parameters, the adapters' among them, with noise on those whose name passes. */
export function noisyValues(model: Module, isNoisy: (name: string) => boolean, seed = 1): Values {
  const noise = new RandomStream(randomKey(seed, 3));
  const values = initialize(namedParameters(model), seed);
  for (const [name, { data }] of values)
    if (isNoisy(name)) for (let i = 0; i < data.length; i++) data[i]! += 0.1 * noise.normal();
  return values;
}

/** What the model makes of `given`. */
export async function outputOf(
  model: SmallModel,
  values: ReadonlyMap<string, HostTensor>,
  { outputs = (y: Tensor): Record<string, Tensor> => ({ y }) } = {},
): Promise<Record<string, Float32Array>> {
  const inputs = { ...parameterInputs(namedParameters(model)), x };
  await using run = await compile(withoutDropout({ name: "adapters", inputs, outputs: outputs(model.forward(x)) }), {
    threads: 1,
  });
  const results = await run.run({ ...Object.fromEntries(values), x: given });
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]));
}
