import type { Tensor } from "../tensor/index.ts";
import { Module, type FeedForward, type KeyValue, type MultiHeadAttention, type Residual } from "../nn/index.ts";
import type { LayerParts } from "./encoder.ts";
import { Stack } from "./stack.ts";

/** Attention to the output so far, given the queries' input: teacher forcing sees all positions, decoding one and a cache. */
export type SelfAttend = (attention: MultiHeadAttention, x: Tensor) => { output: Tensor; weights: Tensor };

/** Attention to the encoder's output. */
export type CrossAttend = SelfAttend;

export interface DecoderLayerTrace {
  readonly output: Tensor;
  readonly selfWeights: Tensor;
  readonly crossWeights: Tensor;
}

/** Masked self-attention, attention to the encoder, feed-forward, each in a residual connection. Vaswani et al. 2017, section 3.1. */
export class DecoderLayer extends Module {
  readonly selfAttention: MultiHeadAttention;
  readonly selfAttentionResidual: Residual;
  readonly crossAttention: MultiHeadAttention;
  readonly crossAttentionResidual: Residual;
  readonly feedForward: FeedForward;
  readonly feedForwardResidual: Residual;

  constructor(parts: LayerParts) {
    super();
    this.selfAttention = parts.attention();
    this.selfAttentionResidual = parts.residual();
    this.crossAttention = parts.attention();
    this.crossAttentionResidual = parts.residual();
    this.feedForward = parts.feedForward();
    this.feedForwardResidual = parts.residual();
  }

  /** x [batch, targetTime, dModel] → the same. What the queries look at is the caller's affair. */
  forward(x: Tensor, selfAttend: SelfAttend, crossAttend: CrossAttend): DecoderLayerTrace {
    let selfWeights: Tensor | undefined;
    let crossWeights: Tensor | undefined;
    const own = this.selfAttentionResidual.forward(x, (y) => {
      const { output, weights } = selfAttend(this.selfAttention, y);
      selfWeights = weights;
      return output;
    });
    const crossed = this.crossAttentionResidual.forward(own, (y) => {
      const { output, weights } = crossAttend(this.crossAttention, y);
      crossWeights = weights;
      return output;
    });
    const output = this.feedForwardResidual.forward(crossed, (y) => this.feedForward.forward(y));
    return { output, selfWeights: selfWeights!, crossWeights: crossWeights! };
  }
}

export interface DecoderTrace {
  /** After the last layer and, where there is one, the final norm: [batch, targetTime, dModel]. */
  readonly output: Tensor;
  /** Before the first layer and after each: layers + 1 tensors. */
  readonly hidden: readonly Tensor[];
  readonly selfAttention: readonly Tensor[];
  readonly crossAttention: readonly Tensor[];
}

export class Decoder extends Stack<DecoderLayer> {
  /** Runs the stack; `attend` says for each layer what its queries look at. */
  forward(x: Tensor, attend: (layer: number) => { self: SelfAttend; cross: CrossAttend }): DecoderTrace {
    const selfAttention: Tensor[] = [];
    const crossAttention: Tensor[] = [];
    const hidden = this.climb(x, (layer, below, index) => {
      const { self, cross } = attend(index);
      const { output, selfWeights, crossWeights } = layer.forward(below, self, cross);
      selfAttention.push(selfWeights);
      crossAttention.push(crossWeights);
      return output;
    });
    return { output: hidden.at(-1)!, hidden, selfAttention, crossAttention };
  }

  /** Attention over whole sequences, as in training: `memory` and both biases are known at once. */
  teacherForced(x: Tensor, memory: Tensor, biases: { self: Tensor; cross: Tensor }): DecoderTrace {
    return this.forward(x, () => ({
      self: (attention, y) => attention.forward(y, y, biases.self),
      cross: (attention, y) => attention.forward(y, memory, biases.cross),
    }));
  }

  /** Keys and values of the encoder's output for every layer, worked out once a sentence. */
  memoryKeysAndValues(memory: Tensor): KeyValue[] {
    return this.layers.map(({ crossAttention }) => crossAttention.keysAndValues(memory));
  }
}
