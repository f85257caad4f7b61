// The kernels that are compared, at settings that a long sequence would get, and the program that each of them is timed in.
import {
  AttentionScope,
  BigBirdAttention,
  CausalBlocksAttention,
  FullAttention,
  LongformerAttention,
  SlidingWindowAttention,
  TiledAttention,
  type AttentionKernel,
} from "../src/nn/index.ts";
import { chunkedProducts } from "../src/nn/mixers/causal-products.ts";
import {
  add,
  concat,
  dim,
  div,
  exp,
  expand,
  gradients,
  input,
  minimum,
  mul,
  relu,
  scalar,
  slice,
  sum,
  type Program,
  type Tensor,
} from "../src/tensor/index.ts";

export const heads = 4;
export const dHead = 64;

/** Linear attention without its projections: φ(Q) (φ(K)ᵀ V) by chunks, divided by the sums of weights. */
const linear: AttentionKernel = {
  name: "linear",
  attend(query, key, value) {
    const feature = (x: Tensor): Tensor => add(relu(x), exp(minimum(x, 0)));
    // A column of ones on the values makes the sums of weights part of the same product.
    const ones = expand(scalar(1), [...value.shape.slice(0, -1), 1]);
    const both = chunkedProducts({ query: feature(query), key: feature(key), value: concat([value, ones], -1) }, 64);
    return { context: div(slice(both, { axis: -1, end: dHead }), slice(both, { axis: -1, start: dHead })) };
  },
};

/** By name. All of them look back only. */
export const kernels: Readonly<Record<string, () => AttentionKernel>> = {
  full: () => new FullAttention(),
  "causal-blocks": () => new CausalBlocksAttention(),
  tiled: () => new TiledAttention(),
  "sliding-window": () => new SlidingWindowAttention({ window: 128 }),
  longformer: () => new LongformerAttention({ window: 128, globalTokens: 16 }),
  bigbird: () => new BigBirdAttention(),
  linear: () => linear,
};

/**
 * Forward and backward: query, key, value and the gradient that comes from above, all [1, heads, time, dHead], → the gradients
 * of the first three.
 */
export function attentionProgram(name: string): Program {
  const shape = [1, heads, dim("time"), dHead];
  const [query, key, value, above] = ["query", "key", "value", "above"].map((part) =>
    input(part, "float32", shape),
  ) as [Tensor, Tensor, Tensor, Tensor];
  const scope = new AttentionScope({ queryTime: dim("time"), isCausal: true });
  const { context } = kernels[name]!().attend(query, key, value, scope);
  const [dQuery, dKey, dValue] = gradients(sum(mul(context, above)), [query, key, value]) as [Tensor, Tensor, Tensor];
  return { name, inputs: { query, key, value, above }, outputs: { dQuery, dKey, dValue } };
}
