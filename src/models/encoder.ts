import type { Tensor } from "../tensor/index.ts";
import { Module, type FeedForward, type MultiHeadAttention, type Residual } from "../nn/index.ts";
import { Stack } from "./stack.ts";

/** The parts one layer is put together from; a variant is another part. */
export interface LayerParts {
  /** A residual connection in the wanted arrangement, with its own norm. */
  residual(): Residual;
  attention(): MultiHeadAttention;
  feedForward(): FeedForward;
}

/** Self-attention, then a feed-forward layer, each in a residual connection. Vaswani et al. 2017, section 3.1. */
export class EncoderLayer extends Module {
  readonly selfAttention: MultiHeadAttention;
  readonly selfAttentionResidual: Residual;
  readonly feedForward: FeedForward;
  readonly feedForwardResidual: Residual;

  constructor(parts: LayerParts) {
    super();
    this.selfAttention = parts.attention();
    this.selfAttentionResidual = parts.residual();
    this.feedForward = parts.feedForward();
    this.feedForwardResidual = parts.residual();
  }

  /** x [batch, sourceTime, dModel] → the same, and the weights [batch, heads, sourceTime, sourceTime]. */
  forward(x: Tensor, bias: Tensor): { output: Tensor; weights: Tensor } {
    let weights: Tensor | undefined;
    const attended = this.selfAttentionResidual.forward(x, (y) => {
      const result = this.selfAttention.forward(y, y, bias);
      weights = result.weights;
      return result.output;
    });
    return {
      output: this.feedForwardResidual.forward(attended, (y) => this.feedForward.forward(y)),
      weights: weights!,
    };
  }
}

export interface EncoderTrace {
  /** After the last layer and, where there is one, the final norm: [batch, sourceTime, dModel]. */
  readonly memory: Tensor;
  /** Before the first layer and after each: layers + 1 tensors, the last one after the final norm. */
  readonly hidden: readonly Tensor[];
  readonly selfAttention: readonly Tensor[];
}

export class Encoder extends Stack<EncoderLayer> {
  /** x [batch, sourceTime, dModel]; `bias` hides padding from every query. */
  forward(x: Tensor, bias: Tensor): EncoderTrace {
    const selfAttention: Tensor[] = [];
    const hidden = this.climb(x, (layer, below) => {
      const { output, weights } = layer.forward(below, bias);
      selfAttention.push(weights);
      return output;
    });
    return { memory: hidden.at(-1)!, hidden, selfAttention };
  }
}
