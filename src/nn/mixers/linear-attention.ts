import { ConfigError } from "../../base/index.ts";
import {
  add,
  concat,
  div,
  exp,
  expand,
  matmul,
  minimum,
  mul,
  relu,
  reshape,
  scalar,
  slice,
  sum,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";
import type { AttentionScope } from "../attention/scope.ts";
import { xavierUniform } from "../initializers.ts";
import { Linear } from "../linear.ts";
import type { Mixed, MixerState, RecurrentMixer } from "../mixer.ts";
import { Module } from "../module.ts";
import type { AttentionPositions } from "../position/attention-positions.ts";
import { chunkedProducts, leftProducts, parallelProducts, type CausalProducts } from "./causal-products.ts";
import { mergeHeads, splitHeads } from "./heads.ts";
import { headWidth, wantCausal, wantCount, wantWholeSequence, withoutPadding } from "./limits.ts";

/** Linear attention as a configuration writes it. */
export interface LinearAttentionSettings {
  /** Length of the stretches inside which a causal pass is quadratic. */
  readonly chunk?: number;
}

export interface LinearAttentionOptions extends LinearAttentionSettings {
  dModel: number;
  /** Must divide dModel; dHead = dModel / heads. */
  heads: number;
  /** Whether projections add an offset. */
  bias?: boolean;
  /** Positions that turn (rotary), the same that the scope has; here so that `step` knows them. */
  positions?: AttentionPositions | undefined;
  /** Multiplies the first weights of values and output; below 1 in very deep models (DeepNorm). */
  gain?: number;
}

/** Added to what sums are divided by: zero where a query sees padding alone. */
const epsilon = 1e-6;

/** φ(x) = elu(x) + 1 = max(x, 0) + e^min(x, 0): above zero, so that weights are. */
function feature(x: Tensor): Tensor {
  return add(relu(x), exp(minimum(x, 0)));
}

/**
 * Attention whose weights are products of features, so that sums over keys need not wait for the query:
 * yₜ = Σₛ (φ(qₜ)·φ(kₛ)) vₛ / Σₛ φ(qₜ)·φ(kₛ) with φ(x) = elu(x) + 1, over all s, or over s ≤ t where the scope is causal.
 * Katharopoulos et al. 2020, "Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention", equations 5 to 12.
 *
 * Positions that turn (rotary) turn φ(q) and φ(k) above the fraction bar only: Su et al. 2021, "RoFormer", equation 19.
 * Positions that add to scores find no scores to add to and are refused.
 * @example
 * const mixer = new LinearAttention({ dModel: 256, heads: 4 });
 * const { output } = mixer.forward(x, new AttentionScope({ queryTime: dim("time"), isCausal: true }));
 */
export class LinearAttention extends Module implements RecurrentMixer {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  readonly positions: AttentionPositions | undefined;
  readonly heads: number;
  readonly dHead: number;
  readonly chunk: number;
  readonly state: { readonly keyValue: readonly number[]; readonly key: readonly number[] };

  constructor({ dModel, heads, bias = true, positions, gain = 1, chunk = 64 }: LinearAttentionOptions) {
    super();
    const dHead = headWidth("linear attention", dModel, heads);
    wantCount("linear attention", "chunk", chunk);
    if (positions?.bias !== undefined) throw noScores();
    this.query = new Linear({ from: dModel, to: dModel, bias });
    this.key = new Linear({ from: dModel, to: dModel, bias });
    this.value = new Linear({ from: dModel, to: dModel, bias, initializer: xavierUniform({ gain }) });
    this.output = new Linear({ from: dModel, to: dModel, bias, initializer: xavierUniform({ gain }) });
    this.positions = positions;
    this.heads = heads;
    this.dHead = dHead;
    this.chunk = chunk;
    this.state = { keyValue: [heads, dHead, dHead], key: [heads, dHead] };
  }

  get isRelative(): boolean {
    return this.positions === undefined || this.positions.isRelative === true;
  }

  /** x [batch, time, dModel] → the same shape, in time linear in the length; there are no weights to show. */
  forward(x: Tensor, scope: AttentionScope): Mixed {
    return { output: this.chunked(x, scope) };
  }

  /** All pairs of positions at once, quadratic in time: the definition. */
  parallel(x: Tensor, scope: AttentionScope): Tensor {
    return this.#attend(x, scope, scope.isCausal ? parallelProducts : everywhereParallel);
  }

  /** Causal by chunks; not causal by one sum over all keys. */
  chunked(x: Tensor, scope: AttentionScope): Tensor {
    return this.#attend(x, scope, scope.isCausal ? (products) => chunkedProducts(products, this.chunk) : everywhere);
  }

  /** x [rows, dModel], position int32 [1] → output [rows, dModel]; the state gains φ(k) vᵀ and φ(k). */
  step(x: Tensor, state: MixerState, position: Tensor): { output: Tensor; state: MixerState } {
    const [rows, dModel] = x.shape as readonly [Dim, number];
    const split = (projected: Tensor): Tensor => reshape(projected, [rows, this.heads, this.dHead]);
    const query = split(feature(this.query.forward(x)));
    const key = split(feature(this.key.forward(x)));
    const value = split(this.value.forward(x));
    const turned = (of: Tensor, role: "query" | "key"): Tensor => this.positions?.turn?.(of, position, role) ?? of;
    const column = [rows, this.heads, this.dHead, 1];
    const row = [rows, this.heads, 1, this.dHead];
    const keyValue = add(state.keyValue!, mul(reshape(turned(key, "key"), column), reshape(value, row)));
    const keys = add(state.key!, key); // [rows, heads, dHead]
    const weighted = reshape(matmul(reshape(turned(query, "query"), row), keyValue), [rows, this.heads, this.dHead]);
    const weight = sum(mul(query, keys), { axes: [-1], keepDims: true }); // [rows, heads, 1]
    const context = reshape(div(weighted, add(weight, epsilon)), [rows, dModel]);
    return { output: this.output.forward(context), state: { keyValue, key: keys } };
  }

  read(x: Tensor, scope: AttentionScope): { output: Tensor; state: MixerState } {
    wantCausal("linear attention", scope);
    const { key, value } = this.#keysAndValues(x, scope);
    const turned = this.positions?.turn?.(key, scope.keyPositions, "key") ?? key;
    return {
      output: this.chunked(x, scope),
      state: { keyValue: leftProducts({ key: turned, value }), key: sum(key, { axes: [2] }) },
    };
  }

  /** [batch, heads, time, dHead] each. */
  #keysAndValues(x: Tensor, scope: AttentionScope): { key: Tensor; value: Tensor } {
    return {
      key: splitHeads(withoutPadding(feature(this.key.forward(x)), scope.keys), this.heads),
      value: splitHeads(this.value.forward(x), this.heads),
    };
  }

  #attend(x: Tensor, scope: AttentionScope, products: (of: CausalProducts) => Tensor): Tensor {
    wantWholeSequence("linear attention", scope);
    this.#wantPositions(scope);
    const query = splitHeads(feature(this.query.forward(x)), this.heads); // [batch, heads, time, dHead]
    const { key, value } = this.#keysAndValues(x, scope);
    const ones = expand(scalar(1, x.dtype), [...value.shape.slice(0, -1), 1]);
    const turn = this.positions?.turn?.bind(this.positions);
    let weighted: Tensor; // [batch, heads, time, dHead]
    let weight: Tensor; // [batch, heads, time, 1]
    if (turn === undefined) {
      // With a column of ones on the values both sums are one product.
      const both = products({ query, key, value: concat([value, ones], -1) });
      weighted = slice(both, { axis: -1, end: this.dHead });
      weight = slice(both, { axis: -1, start: this.dHead });
    } else {
      const turnedKey = turn(key, scope.keyPositions, "key");
      weighted = products({ query: turn(query, scope.queryPositions, "query"), key: turnedKey, value });
      weight = products({ query, key, value: ones });
    }
    return this.output.forward(mergeHeads(div(weighted, add(weight, epsilon))));
  }

  #wantPositions({ positions }: AttentionScope): void {
    if (positions?.bias !== undefined) throw noScores();
    if (positions?.turn !== undefined && positions !== this.positions)
      throw new ConfigError(
        "linear attention",
        "the scope's positions turn queries and keys, and a step by itself would not know them; give them as the option `positions` too",
      );
  }
}

function noScores(): ConfigError {
  return new ConfigError(
    "linear attention",
    "positions that add a bias to attention scores (ALiBi, relative bias) do not apply, as there are no scores; " +
      "take rotary, sinusoidal, learned or no positions",
  );
}

/** Every query sees every key: S = Kᵀ V first. */
function everywhere({ query, key, value }: CausalProducts): Tensor {
  return matmul(query, matmul(key, value, { transposeA: true }));
}

/** The same, Q Kᵀ first. */
function everywhereParallel({ query, key, value }: CausalProducts): Tensor {
  return matmul(matmul(query, key, { transposeB: true }), value);
}
