import type { Tensor } from "../tensor/index.ts";
import {
  Module,
  Pass,
  type AttentionScope,
  type FeedForwardLayer,
  type Mixed,
  type Mixer,
  type MultiHeadAttention,
  type Residual,
} from "../nn/index.ts";
import { Stack } from "./stack.ts";

/** The parts one layer is put together from; a variant is another part. */
export interface LayerParts {
  /** A residual connection in the wanted arrangement, with its own norm. */
  residual(): Residual;
  /** What exchanges between the positions of one sequence. */
  mixer(): Mixer;
  /** What looks from one sequence at another. */
  crossAttention(): MultiHeadAttention;
  feedForward(): FeedForwardLayer;
}

/** Self-attention, then a feed-forward layer, each in a residual connection. Vaswani et al. 2017, section 3.1. */
export class EncoderLayer extends Module {
  readonly selfAttention: Mixer;
  readonly selfAttentionResidual: Residual;
  readonly feedForward: FeedForwardLayer;
  readonly feedForwardResidual: Residual;

  constructor(parts: LayerParts) {
    super();
    this.selfAttention = parts.mixer();
    this.selfAttentionResidual = parts.residual();
    this.feedForward = parts.feedForward();
    this.feedForwardResidual = parts.residual();
  }

  /** x [batch, time, dModel] → the same, and who looked where. `mix` stands in for the mixer while decoding. */
  forward(x: Tensor, mix: (mixer: Mixer, x: Tensor) => Mixed, pass: Pass): Mixed {
    let weights: Tensor | undefined;
    const mixed = this.selfAttentionResidual.forward(
      x,
      (y) => {
        const result = mix(this.selfAttention, y);
        weights = result.weights;
        return result.output;
      },
      pass,
    );
    return {
      output: this.feedForwardResidual.forward(mixed, (y) => this.feedForward.forward(y, pass), pass),
      weights,
    };
  }
}

export interface EncoderTrace {
  /** After the last layer and, where there is one, the final norm: [batch, time, dModel]. */
  readonly output: Tensor;
  /** Before the first layer and after each: layers + 1 tensors, the last one after the final norm. */
  readonly hidden: readonly Tensor[];
  /** A layer's weights where they exist as a whole. */
  readonly selfAttention: readonly (Tensor | undefined)[];
}

/** Layers that see one sequence: an encoder, or with a causal scope a decoder that has nothing else to look at. */
export class Encoder extends Stack<EncoderLayer> {
  /** x [batch, time, dModel]; the scope says who may look at whom. */
  forward(x: Tensor, scope: AttentionScope, pass = new Pass()): EncoderTrace {
    return this.each(x, () => (mixer, y) => mixer.forward(y, scope, pass), pass);
  }

  /** The same with `mix` in place of each layer's mixer: decoding goes on from what it has kept. */
  each(x: Tensor, mix: (layer: number) => (mixer: Mixer, x: Tensor) => Mixed, pass = new Pass()): EncoderTrace {
    const selfAttention: (Tensor | undefined)[] = [];
    const hidden = this.climb(x, pass, (layer, below, index) => {
      const { output, weights } = layer.forward(below, mix(index), pass);
      selfAttention.push(weights);
      return output;
    });
    return { output: hidden.at(-1)!, hidden, selfAttention };
  }
}
