import type { Tensor } from "../tensor/index.ts";
import {
  Module,
  Pass,
  type Attended,
  type AttentionScope,
  type FeedForwardLayer,
  type KeyValue,
  type Mixed,
  type Mixer,
  type MultiHeadAttention,
  type Residual,
} from "../nn/index.ts";
import type { LayerParts } from "./encoder.ts";
import { Stack } from "./stack.ts";

/** How a layer looks at the output so far: teacher forcing sees all positions, decoding one and what it kept. */
export type SelfMix = (mixer: Mixer, x: Tensor) => Mixed;

/** How a layer looks at the encoder's output. */
export type CrossAttend = (attention: MultiHeadAttention, x: Tensor) => Mixed | Attended;

export interface DecoderLayerTrace {
  readonly output: Tensor;
  readonly selfWeights: Tensor | undefined;
  readonly crossWeights: Tensor | undefined;
  /** What queries of the encoder's output are made of: what masked self-attention left, normed as the layer's arrangement says. */
  readonly crossInput: Tensor;
  readonly cross: Mixed | Attended;
}

/** Masked self-attention, attention to the encoder, feed-forward, each in a residual connection. Vaswani et al. 2017, section 3.1. */
export class DecoderLayer extends Module {
  readonly selfAttention: Mixer;
  readonly selfAttentionResidual: Residual;
  readonly crossAttention: MultiHeadAttention;
  readonly crossAttentionResidual: Residual;
  readonly feedForward: FeedForwardLayer;
  readonly feedForwardResidual: Residual;

  constructor(parts: LayerParts) {
    super();
    this.selfAttention = parts.mixer();
    this.selfAttentionResidual = parts.residual();
    this.crossAttention = parts.crossAttention();
    this.crossAttentionResidual = parts.residual();
    this.feedForward = parts.feedForward();
    this.feedForwardResidual = parts.residual();
  }

  /** x [batch, targetTime, dModel] → the same. What the queries look at is the caller's affair. */
  forward(x: Tensor, selfMix: SelfMix, crossAttend: CrossAttend, pass: Pass): DecoderLayerTrace {
    let selfWeights: Tensor | undefined;
    let crossInput = x;
    let cross: Mixed | undefined;
    const own = this.selfAttentionResidual.forward(
      x,
      (y) => {
        const { output, weights } = selfMix(this.selfAttention, y);
        selfWeights = weights;
        return output;
      },
      pass,
    );
    const crossed = this.crossAttentionResidual.forward(
      own,
      (y) => {
        crossInput = y;
        cross = crossAttend(this.crossAttention, y);
        return cross.output;
      },
      pass,
    );
    const output = this.feedForwardResidual.forward(crossed, (y) => this.feedForward.forward(y, pass), pass);
    return { output, selfWeights, crossWeights: cross!.weights, crossInput, cross: cross! };
  }
}

export interface DecoderTrace {
  /** After the last layer and, where there is one, the final norm: [batch, targetTime, dModel]. */
  readonly output: Tensor;
  /** Before the first layer and after each: layers + 1 tensors. */
  readonly hidden: readonly Tensor[];
  /** A layer's weights where they exist as a whole. */
  readonly selfAttention: readonly (Tensor | undefined)[];
  readonly crossAttention: readonly (Tensor | undefined)[];
  /** Layer by layer what was traced between decoder and encoder. */
  readonly layers: readonly DecoderLayerTrace[];
}

export class Decoder extends Stack<DecoderLayer> {
  /** Runs the stack; `attend` says for each layer what its queries look at. */
  forward(
    x: Tensor,
    attend: (layer: number) => { self: SelfMix; cross: CrossAttend },
    pass = new Pass(),
  ): DecoderTrace {
    const layers: DecoderLayerTrace[] = [];
    const hidden = this.climb(x, pass, (layer, below, index) => {
      const { self, cross } = attend(index);
      const trace = layer.forward(below, self, cross, pass);
      layers.push(trace);
      return trace.output;
    });
    const selfAttention = layers.map(({ selfWeights }) => selfWeights);
    const crossAttention = layers.map(({ crossWeights }) => crossWeights);
    return { output: hidden.at(-1)!, hidden, selfAttention, crossAttention, layers };
  }

  /** Attention over whole sequences, as in training: one memory a layer, and both scopes, are known at once. */
  teacherForced(
    x: Tensor,
    memories: readonly Tensor[],
    scopes: { self: AttentionScope; cross: AttentionScope },
    pass = new Pass(),
  ): DecoderTrace {
    return this.forward(
      x,
      (layer) => ({
        self: (mixer, y) => mixer.forward(y, scopes.self, pass),
        cross: (attention, y) => attention.lookAt(y, memories[layer]!, scopes.cross),
      }),
      pass,
    );
  }

  /** Keys and values of each layer's memory, worked out once a sentence. */
  memoryKeysAndValues(memories: readonly Tensor[]): KeyValue[] {
    return this.layers.map(({ crossAttention }, layer) => crossAttention.keysAndValues(memories[layer]!));
  }
}
