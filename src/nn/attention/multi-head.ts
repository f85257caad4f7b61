import { ShapeError } from "../../base/index.ts";
import { reshape, transpose, type Dim, type Tensor } from "../../tensor/index.ts";
import { Dropout } from "../dropout.ts";
import { xavierUniform } from "../initializers.ts";
import { Linear } from "../linear.ts";
import { Module } from "../module.ts";
import { scaledDotProduct } from "./scaled-dot-product.ts";

export interface MultiHeadAttentionOptions {
  dModel: number;
  /** Must divide dModel; dHead = dModel / heads. */
  heads: number;
  /** Chance to drop an attention weight while training. */
  dropout?: number;
}

/** Keys and values as the heads see them, kept between decoding steps. */
export interface KeyValue {
  /** [batch, heads, keyTime, dHead] */
  readonly key: Tensor;
  /** [batch, heads, keyTime, dHead] */
  readonly value: Tensor;
}

/**
 * Attention in several subspaces at once: Concat(head₁ … headₕ) W_O, headᵢ = Attention(Q Wᵢ_Q, K Wᵢ_K, V Wᵢ_V).
 * Vaswani et al. 2017, section 3.2.2. The paper's d_k and d_v are dHead here; unlike the paper every projection has a bias.
 */
export class MultiHeadAttention extends Module {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  readonly dropout: Dropout;
  readonly heads: number;
  readonly dHead: number;

  constructor({ dModel, heads, dropout = 0 }: MultiHeadAttentionOptions) {
    super();
    if (!Number.isInteger(heads) || heads < 1 || dModel % heads !== 0) {
      const fitting = Array.from({ length: dModel }, (_, i) => i + 1).filter((n) => dModel % n === 0 && n <= 64);
      const nearest = fitting.toSorted((a, b) => Math.abs(a - heads) - Math.abs(b - heads)).slice(0, 2);
      throw new ShapeError(
        `attention: heads must divide dModel (got heads ${heads}, dModel ${dModel}). Heads ${nearest.join(" or ")} would fit.`,
      );
    }
    // Drawn as one matrix [dModel, 3 · dModel] would be: larger scores at the start can freeze attention where it is.
    const initializer = xavierUniform({ gain: Math.SQRT1_2 });
    this.query = new Linear({ from: dModel, to: dModel, initializer });
    this.key = new Linear({ from: dModel, to: dModel, initializer });
    this.value = new Linear({ from: dModel, to: dModel, initializer });
    this.output = new Linear({ from: dModel, to: dModel });
    this.dropout = new Dropout(dropout);
    this.heads = heads;
    this.dHead = dModel / heads;
  }

  /** x [batch, queryTime, dModel], memory [batch, keyTime, dModel]; memory = x is self-attention. */
  forward(x: Tensor, memory: Tensor, bias?: Tensor): { output: Tensor; weights: Tensor } {
    return this.attend(this.splitHeads(this.query.forward(x)), this.keysAndValues(memory), bias);
  }

  /** What queries look at: memory [batch, keyTime, dModel] → keys and values [batch, heads, keyTime, dHead]. */
  keysAndValues(memory: Tensor): KeyValue {
    return { key: this.splitHeads(this.key.forward(memory)), value: this.splitHeads(this.value.forward(memory)) };
  }

  /** query [batch, heads, queryTime, dHead] → output [batch, queryTime, dModel] and weights [batch, heads, queryTime, keyTime]. */
  attend(query: Tensor, { key, value }: KeyValue, bias?: Tensor): { output: Tensor; weights: Tensor } {
    const { context, weights } = scaledDotProduct(query, key, value, { bias, dropout: this.dropout });
    return { output: this.output.forward(this.mergeHeads(context)), weights };
  }

  /** [batch, time, dModel] → [batch, heads, time, dHead] */
  splitHeads(x: Tensor): Tensor {
    const [batch, time] = x.shape as readonly [Dim, Dim];
    if (time === 1) return reshape(x, [batch, this.heads, 1, this.dHead]);
    return transpose(reshape(x, [batch, time, this.heads, this.dHead]), [0, 2, 1, 3]);
  }

  /** [batch, heads, time, dHead] → [batch, time, dModel] */
  mergeHeads(x: Tensor): Tensor {
    const [batch, heads, time, dHead] = x.shape as readonly [Dim, number, Dim, number];
    return reshape(transpose(x, [0, 2, 1, 3]), [batch, time, heads * dHead]);
  }
}
