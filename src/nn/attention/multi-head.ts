import { ShapeError } from "../../base/index.ts";
import { expand, reshape, transpose, type Dim, type Tensor } from "../../tensor/index.ts";
import { Dropout } from "../dropout.ts";
import { xavierUniform } from "../initializers.ts";
import { Linear } from "../linear.ts";
import type { Mixed, Mixer } from "../mixer.ts";
import { Module } from "../module.ts";
import { FullAttention, type AttentionKernel } from "./kernel.ts";
import type { AttentionScope } from "./scope.ts";

export interface MultiHeadAttentionOptions {
  dModel: number;
  /** Must divide dModel; dHead = dModel / heads. */
  heads: number;
  /**
   * Heads of keys and values, each shared by heads / keyValueHeads heads of queries: all of them if not said, 1 is multi-query
   * attention (Shazeer 2019, "Fast Transformer Decoding: One Write-Head is All You Need"), between them lies grouped-query
   * attention (Ainslie et al. 2023, "GQA"). The cache of a decoder shrinks with them.
   */
  keyValueHeads?: number;
  /** Which keys a query looks at, and how that is computed. */
  kernel?: AttentionKernel;
  /** Chance to drop an attention weight while training. */
  dropout?: number;
  /** Whether projections add an offset. */
  bias?: boolean;
  /** Multiplies the first weights of values and output; below 1 in very deep models (DeepNorm). */
  gain?: number;
}

/** Keys and values as the heads see them, kept between decoding steps. */
export interface KeyValue {
  /** [batch, keyValueHeads, keyTime, dHead] */
  readonly key: Tensor;
  /** [batch, keyValueHeads, keyTime, dHead] */
  readonly value: Tensor;
}

/** What came of attention, and what its weights were made of, turned where positions turn. */
export interface Attended extends Mixed, KeyValue {
  /** [batch, heads, queryTime, dHead] */
  readonly query: Tensor;
}

/**
 * Attention in several subspaces at once: Concat(head₁ … headₕ) W_O, headᵢ = Attention(Q Wᵢ_Q, K Wᵢ_K, V Wᵢ_V).
 * Vaswani et al. 2017, section 3.2.2. The paper's d_k and d_v are dHead here; unlike the paper every projection has a bias.
 */
export class MultiHeadAttention extends Module implements Mixer {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  readonly dropout: Dropout;
  readonly kernel: AttentionKernel;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly dHead: number;

  constructor({
    dModel,
    heads,
    keyValueHeads = heads,
    kernel = new FullAttention(),
    dropout = 0,
    bias = true,
    gain = 1,
  }: MultiHeadAttentionOptions) {
    super();
    wantDivisor("heads", heads, "dModel", dModel);
    wantDivisor("keyValueHeads", keyValueHeads, "heads", heads);
    const dHead = dModel / heads;
    // Drawn as one matrix [dModel, 3 · dModel] would be: larger scores at the start can freeze attention where it is.
    const drawn = (factor = 1) => xavierUniform({ gain: factor * Math.SQRT1_2 });
    this.query = new Linear({ from: dModel, to: dModel, bias, initializer: drawn() });
    this.key = new Linear({ from: dModel, to: keyValueHeads * dHead, bias, initializer: drawn() });
    this.value = new Linear({ from: dModel, to: keyValueHeads * dHead, bias, initializer: drawn(gain) });
    this.output = new Linear({ from: dModel, to: dModel, bias, initializer: xavierUniform({ gain }) });
    this.dropout = new Dropout(dropout);
    this.kernel = kernel;
    this.heads = heads;
    this.keyValueHeads = keyValueHeads;
    this.dHead = dHead;
  }

  /** x [batch, time, dModel] looks at itself. */
  forward(x: Tensor, scope: AttentionScope): Mixed {
    return this.lookAt(x, x, scope);
  }

  /** x [batch, queryTime, dModel] looks at memory [batch, keyTime, dModel]. */
  lookAt(x: Tensor, memory: Tensor, scope: AttentionScope): Attended {
    return this.attend(this.splitHeads(this.query.forward(x), this.heads), this.keysAndValues(memory), scope);
  }

  /** What queries look at: memory [batch, keyTime, dModel] → keys and values [batch, keyValueHeads, keyTime, dHead]. */
  keysAndValues(memory: Tensor): KeyValue {
    return {
      key: this.splitHeads(this.key.forward(memory), this.keyValueHeads),
      value: this.splitHeads(this.value.forward(memory), this.keyValueHeads),
    };
  }

  /** query [batch, heads, queryTime, dHead] → output [batch, queryTime, dModel]. */
  attend(query: Tensor, { key, value }: KeyValue, scope: AttentionScope): Attended {
    const turned = { query: scope.turnQuery(query), key: scope.turnKey(key) };
    const { context, weights } = this.kernel.attend(
      turned.query,
      this.#forEachHead(turned.key),
      this.#forEachHead(value),
      scope,
      this.dropout,
    );
    return { output: this.output.forward(this.mergeHeads(context)), weights, ...turned, value };
  }

  /** [batch, time, heads · dHead] → [batch, heads, time, dHead] */
  splitHeads(x: Tensor, heads: number): Tensor {
    const [batch, time] = x.shape as readonly [Dim, Dim];
    if (time === 1) return reshape(x, [batch, heads, 1, this.dHead]);
    return transpose(reshape(x, [batch, time, heads, this.dHead]), [0, 2, 1, 3]);
  }

  /** [batch, heads, time, dHead] → [batch, time, dModel] */
  mergeHeads(x: Tensor): Tensor {
    const [batch, heads, time, dHead] = x.shape as readonly [Dim, number, Dim, number];
    return reshape(transpose(x, [0, 2, 1, 3]), [batch, time, heads * dHead]);
  }

  /** Gives each head of queries its keys: head i shares those of group ⌊i · keyValueHeads / heads⌋. */
  #forEachHead(x: Tensor): Tensor {
    if (this.keyValueHeads === this.heads) return x;
    const [batch, groups, time, dHead] = x.shape as readonly [Dim, number, Dim, number];
    const each = this.heads / groups;
    return reshape(expand(reshape(x, [batch, groups, 1, time, dHead]), [batch, groups, each, time, dHead]), [
      batch,
      this.heads,
      time,
      dHead,
    ]);
  }
}

function wantDivisor(name: string, value: number, of: string, whole: number): void {
  if (Number.isInteger(value) && value >= 1 && whole % value === 0) return;
  const fitting = Array.from({ length: whole }, (_, i) => i + 1).filter((n) => whole % n === 0 && n <= 64);
  const nearest = fitting.toSorted((a, b) => Math.abs(a - value) - Math.abs(b - value)).slice(0, 2);
  const title = `${name[0]!.toUpperCase()}${name.slice(1)}`;
  throw new ShapeError(
    `attention: ${name} must divide ${of} (got ${name} ${value}, ${of} ${whole}). ${title} ${nearest.join(" or ")} would fit.`,
  );
}
