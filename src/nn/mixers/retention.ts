import { ConfigError } from "../../base/index.ts";
import { add, constant, matmul, mul, reshape, transpose, type Dim, type Tensor } from "../../tensor/index.ts";
import { silu } from "../activations.ts";
import type { AttentionScope } from "../attention/scope.ts";
import { xavierUniform } from "../initializers.ts";
import { Linear } from "../linear.ts";
import type { Mixed, MixerState, RecurrentMixer } from "../mixer.ts";
import { Module } from "../module.ts";
import { RotaryPositions } from "../position/rotary.ts";
import { chunkedProducts, leftProducts, parallelProducts, type CausalProducts } from "./causal-products.ts";
import { HeadNorm } from "./head-norm.ts";
import { splitHeads } from "./heads.ts";
import { headWidth, wantCausal, wantCount, wantNoPositions, wantWholeSequence, withoutPadding } from "./limits.ts";

/** Retention as a configuration writes it. */
export interface RetentionSettings {
  /** Width of values, gate and heads' outputs relative to dModel: 1 in the paper's formulas, 2 in its language models. */
  readonly expand?: number;
  /** Length of the stretches inside which a pass is quadratic. */
  readonly chunk?: number;
}

export interface RetentionOptions extends RetentionSettings {
  dModel: number;
  /** Must divide dModel into heads of an even width; dHead = dModel / heads. */
  heads: number;
  /** Whether projections add an offset; the paper's do not. */
  bias?: boolean;
  /** Multiplies the first weights of values and output; below 1 in very deep models (DeepNorm). */
  gain?: number;
}

/**
 * Multi-scale retention: attention without softmax whose weights fade by γ a position, a γ for each head, so that a past of any
 * length is one matrix: Sₜ = γ Sₜ₋₁ + kₜ vₜᵀ, oₜ = qₜ Sₜ; together (Q Kᵀ ⊙ D) V with D_ts = γ^(t − s) for s ≤ t. Queries and
 * keys are turned by e^(i n θ), γ = 1 − 2^(−5 − head), and y = (swish(x W_G) ⊙ group norm(o)) W_O.
 * Sun et al. 2023, "Retentive Network: A Successor to Transformer for Large Language Models", equations 5 to 8.
 *
 * Keys are scaled by 1/√dHead. The paper's two other normalisations (rows of D to the root of their sum, rows of scores to a
 * sum of at most 1) multiply a head's output at one position by one number, which the group norm takes out again: left out.
 * @example
 * const mixer = new Retention({ dModel: 256, heads: 4 });
 * const { output } = mixer.forward(x, new AttentionScope({ queryTime: dim("time"), isCausal: true }));
 */
export class Retention extends Module implements RecurrentMixer {
  readonly isRelative = true;
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly gate: Linear;
  readonly norm: HeadNorm;
  readonly output: Linear;
  readonly heads: number;
  readonly dHead: number;
  readonly dValue: number;
  readonly chunk: number;
  readonly state: { readonly keyValue: readonly number[] };
  readonly #turning: RotaryPositions;
  /** γ of each head, [heads]. */
  readonly #decay: Tensor;

  constructor({ dModel, heads, expand = 1, bias = false, gain = 1, chunk = 64 }: RetentionOptions) {
    super();
    const dHead = headWidth("retention", dModel, heads);
    if (dHead % 2 !== 0)
      throw new ConfigError("retention", `heads of an even width are wanted, as pairs are turned (got dHead ${dHead})`);
    wantCount("retention", "expand", expand);
    wantCount("retention", "chunk", chunk);
    const width = expand * dModel;
    this.query = new Linear({ from: dModel, to: dModel, bias });
    this.key = new Linear({ from: dModel, to: dModel, bias });
    this.value = new Linear({ from: dModel, to: width, bias, initializer: xavierUniform({ gain }) });
    this.gate = new Linear({ from: dModel, to: width, bias });
    this.norm = new HeadNorm({ heads, dHead: expand * dHead });
    this.output = new Linear({ from: width, to: dModel, bias, initializer: xavierUniform({ gain }) });
    this.heads = heads;
    this.dHead = dHead;
    this.dValue = expand * dHead;
    this.chunk = chunk;
    this.state = { keyValue: [heads, dHead, expand * dHead] };
    this.#turning = new RotaryPositions({ dHead });
    const decays = Float32Array.from({ length: heads }, (_, head) => 1 - 2 ** (-5 - head));
    this.#decay = constant({ dtype: "float32", dims: [heads], data: decays });
  }

  /** x [batch, time, dModel] → the same shape, in time linear in the length; there are no weights to show. */
  forward(x: Tensor, scope: AttentionScope): Mixed {
    return { output: this.chunked(x, scope) };
  }

  /** Equation 5, all pairs of positions at once and quadratic in time: the definition. */
  parallel(x: Tensor, scope: AttentionScope): Tensor {
    return this.#retain(x, scope, parallelProducts);
  }

  /** Equation 7, chunk by chunk. */
  chunked(x: Tensor, scope: AttentionScope): Tensor {
    return this.#retain(x, scope, (products) => chunkedProducts(products, this.chunk));
  }

  /** Equation 6: x [rows, dModel], position int32 [1] → output [rows, dModel]; the state fades by γ and gains k vᵀ. */
  step(x: Tensor, state: MixerState, position: Tensor): { output: Tensor; state: MixerState } {
    const { heads, dHead, dValue } = this;
    const rows: Dim = x.shape[0]!;
    const query = this.#turning.turn(reshape(this.query.forward(x), [rows, heads, dHead]), position);
    const key = this.#turning.turn(reshape(this.#scaledKey(x), [rows, heads, dHead]), position);
    const value = reshape(this.value.forward(x), [rows, heads, 1, dValue]);
    const gained = mul(reshape(key, [rows, heads, dHead, 1]), value);
    const keyValue = add(mul(state.keyValue!, reshape(this.#decay, [heads, 1, 1])), gained);
    const context = matmul(reshape(query, [rows, heads, 1, dHead]), keyValue); // [rows, heads, 1, dValue]
    return { output: this.#finish(reshape(context, [rows, heads, dValue]), x), state: { keyValue } };
  }

  read(x: Tensor, scope: AttentionScope): { output: Tensor; state: MixerState } {
    return { output: this.chunked(x, scope), state: { keyValue: leftProducts(this.#keysAndValues(x, scope)) } };
  }

  /** Turned keys [batch, heads, time, dHead], values [batch, heads, time, dValue], and how they fade. */
  #keysAndValues(x: Tensor, scope: AttentionScope): Omit<CausalProducts, "query"> {
    const key = splitHeads(withoutPadding(this.#scaledKey(x), scope.keys), this.heads);
    const value = splitHeads(this.value.forward(x), this.heads);
    return { key: this.#turning.turn(key, scope.keyPositions), value, decay: this.#decay };
  }

  #retain(x: Tensor, scope: AttentionScope, products: (of: CausalProducts) => Tensor): Tensor {
    wantCausal("retention", scope);
    wantWholeSequence("retention", scope);
    wantNoPositions("retention", scope, "it turns queries and keys itself");
    const query = splitHeads(this.query.forward(x), this.heads); // [batch, heads, time, dHead]
    const context = products({
      query: this.#turning.turn(query, scope.queryPositions),
      ...this.#keysAndValues(x, scope),
    });
    return this.#finish(transpose(context, [0, 2, 1, 3]), x);
  }

  #scaledKey(x: Tensor): Tensor {
    return mul(this.key.forward(x), this.dHead ** -0.5);
  }

  /** context [.., heads, dValue] of x [.., dModel] → [.., dModel] */
  #finish(context: Tensor, x: Tensor): Tensor {
    const normalised = reshape(this.norm.forward(context), [...x.shape.slice(0, -1), this.heads * this.dValue]);
    return this.output.forward(mul(silu(this.gate.forward(x)), normalised));
  }
}
