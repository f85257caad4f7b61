import { relu, type Tensor } from "../../tensor/index.ts";
import { Dropout } from "../dropout.ts";
import { xavierUniform } from "../initializers.ts";
import { Linear } from "../linear.ts";
import { Module } from "../module.ts";
import type { Pass } from "../pass.ts";

/** What a block does to every position by itself. */
export interface FeedForwardLayer extends Module {
  /** x [.., dModel] → the same shape */
  forward(x: Tensor, pass?: Pass): Tensor;
}

export interface FeedForwardOptions {
  /** Width of the model. */
  dModel: number;
  /** Width between the two layers; the paper takes 4 × dModel. */
  dFeedForward: number;
  /** Between the two layers; the paper's is ReLU. */
  activation?: (x: Tensor) => Tensor;
  /** Chance to drop a hidden value while training. */
  dropout?: number;
  /** Whether each layer adds an offset. */
  bias?: boolean;
  /** Multiplies the bounds that first weights are drawn from; DeepNorm asks for its beta. */
  gain?: number;
}

/**
 * Two linear layers with a nonlinearity between them, the same for every position: max(0, x W₁ + b₁) W₂ + b₂.
 * Vaswani et al. 2017, "Attention Is All You Need", section 3.3, equation 2.
 * Parameters: 2 · dModel · dFeedForward, and dFeedForward + dModel more with offsets.
 * @example
 * const layer = new FeedForward({ dModel: 512, dFeedForward: 2048 });
 */
export class FeedForward extends Module implements FeedForwardLayer {
  readonly expand: Linear;
  readonly contract: Linear;
  readonly dropout: Dropout;
  readonly activation: (x: Tensor) => Tensor;

  constructor({ dModel, dFeedForward, activation = relu, dropout = 0, bias = true, gain = 1 }: FeedForwardOptions) {
    super();
    const initializer = xavierUniform({ gain });
    this.expand = new Linear({ from: dModel, to: dFeedForward, bias, initializer });
    this.contract = new Linear({ from: dFeedForward, to: dModel, bias, initializer });
    this.dropout = new Dropout(dropout);
    this.activation = activation;
  }

  /** x [.., dModel] → [.., dModel] */
  forward(x: Tensor): Tensor {
    const hidden = this.activation(this.expand.forward(x)); // [.., dFeedForward]
    return this.contract.forward(this.dropout.forward(hidden));
  }
}
