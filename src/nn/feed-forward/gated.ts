import { mul, type Tensor } from "../../tensor/index.ts";
import { silu } from "../activations.ts";
import { Dropout } from "../dropout.ts";
import { xavierUniform } from "../initializers.ts";
import { Linear } from "../linear.ts";
import { Module } from "../module.ts";
import type { FeedForwardLayer } from "./feed-forward.ts";

export interface GatedFeedForwardOptions {
  /** Width of the model. */
  dModel: number;
  /** Width between the layers. There are three matrices where the plain layer has two: 2/3 of its width costs the same. */
  dFeedForward: number;
  /** What the gate goes through: silu makes it SwiGLU, gelu GeGLU, relu ReGLU, sigmoid the first GLU. */
  activation?: (x: Tensor) => Tensor;
  /** Chance to drop a hidden value while training. */
  dropout?: number;
  /** Whether each layer adds an offset; the paper leaves them out. */
  bias?: boolean;
  /** Multiplies the bounds that first weights are drawn from; DeepNorm asks for its beta. */
  gain?: number;
}

/**
 * A feed-forward layer whose hidden values are let through by a gate: (act(x W) ⊗ x V) W₂, the same for every position.
 * Shazeer 2020, "GLU Variants Improve Transformer", equation 6. W is `gate` here, V `expand`, W₂ `contract`.
 * Parameters: 3 · dModel · dFeedForward, and 2 · dFeedForward + dModel more with offsets.
 * @example
 * const swiGlu = new GatedFeedForward({ dModel: 512, dFeedForward: 1365 });
 */
export class GatedFeedForward extends Module implements FeedForwardLayer {
  readonly gate: Linear;
  readonly expand: Linear;
  readonly contract: Linear;
  readonly dropout: Dropout;
  readonly activation: (x: Tensor) => Tensor;

  constructor({
    dModel,
    dFeedForward,
    activation = silu,
    dropout = 0,
    bias = false,
    gain = 1,
  }: GatedFeedForwardOptions) {
    super();
    const initializer = xavierUniform({ gain });
    this.gate = new Linear({ from: dModel, to: dFeedForward, bias, initializer });
    this.expand = new Linear({ from: dModel, to: dFeedForward, bias, initializer });
    this.contract = new Linear({ from: dFeedForward, to: dModel, bias, initializer });
    this.dropout = new Dropout(dropout);
    this.activation = activation;
  }

  /** x [.., dModel] → [.., dModel] */
  forward(x: Tensor): Tensor {
    const hidden = mul(this.activation(this.gate.forward(x)), this.expand.forward(x)); // [.., dFeedForward]
    return this.contract.forward(this.dropout.forward(hidden));
  }
}
