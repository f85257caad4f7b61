import { add, concat, matmul, softmax, tanh, type Tensor } from "../../tensor/index.ts";
import { Linear } from "../linear.ts";
import { Module } from "../module.ts";

/** What was read, as this attention looks at it. */
export interface LuongMemory {
  /** [batch, time, width] */
  readonly values: Tensor;
  /** What queries are multiplied with: [batch, time, width] */
  readonly keys: Tensor;
  /** 0 where something was read, large and negative at padding: [batch, 1, time] */
  readonly bias: Tensor;
}

/**
 * Attention of a recurrent decoder's states h to an encoder's outputs s: weights softmax(hᵀ W s), context c = Σ weight · s, and
 * what is read off, tanh(U (c, h)). Luong et al. 2015, "Effective Approaches to Attention-based Neural Machine Translation",
 * equations 5 and 8 ("general"), without its input feeding.
 */
export class LuongAttention extends Module {
  readonly score: Linear;
  readonly combine: Linear;

  constructor({ width, to }: { width: number; to: number }) {
    super();
    this.score = new Linear({ from: width, to: width, bias: false });
    this.combine = new Linear({ from: 2 * width, to, bias: false });
  }

  /** values [batch, time, width] → W s, worked out once for all queries. */
  keys(values: Tensor): Tensor {
    return this.score.forward(values);
  }

  /** h [batch, queryTime, width] → output [batch, queryTime, to], weights [batch, queryTime, time] */
  forward(h: Tensor, { values, keys, bias }: LuongMemory): { output: Tensor; weights: Tensor } {
    const weights = softmax(add(matmul(h, keys, { transposeB: true }), bias));
    return { output: tanh(this.combine.forward(concat([matmul(weights, values), h], -1))), weights };
  }
}
