import { relu, type Tensor } from "../../tensor/index.ts";
import { Dropout } from "../dropout.ts";
import { Linear } from "../linear.ts";
import { Module } from "../module.ts";

export interface FeedForwardOptions {
  /** Width of the model. */
  dModel: number;
  /** Width between the two layers; the paper takes 4 × dModel. */
  dFeedForward: number;
  /** Between the two layers; the paper's is ReLU. */
  activation?: (x: Tensor) => Tensor;
  /** Chance to drop a hidden value while training. */
  dropout?: number;
}

/**
 * Two linear layers with a nonlinearity between them, the same for every position: max(0, x W₁ + b₁) W₂ + b₂.
 * Vaswani et al. 2017, "Attention Is All You Need", section 3.3, equation 2.
 */
export class FeedForward extends Module {
  readonly expand: Linear;
  readonly contract: Linear;
  readonly dropout: Dropout;
  readonly activation: (x: Tensor) => Tensor;

  constructor({ dModel, dFeedForward, activation = relu, dropout = 0 }: FeedForwardOptions) {
    super();
    this.expand = new Linear({ from: dModel, to: dFeedForward });
    this.contract = new Linear({ from: dFeedForward, to: dModel });
    this.dropout = new Dropout(dropout);
    this.activation = activation;
  }

  /** x [.., dModel] → [.., dModel] */
  forward(x: Tensor): Tensor {
    const hidden = this.activation(this.expand.forward(x)); // [.., dFeedForward]
    return this.contract.forward(this.dropout.forward(hidden));
  }
}
