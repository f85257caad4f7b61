// The parts of one stack, made to measure from what was chosen for it.
import {
  AddPositions,
  ConcatenatePositions,
  Dropout,
  MultiHeadAttention,
  Pass,
  Module,
  type AttentionPositions,
  type DeepNormScale,
  type Embedding,
  type FeedForwardLayer,
  type Mixer,
  type Norm,
  type PositionCombination,
  type PositionTable,
  type Residual,
} from "../nn/index.ts";
import { add, type Tensor } from "../tensor/index.ts";
import type { StackName } from "./choices/choice.ts";
import { feedForwardPart, type FeedForwardChoice } from "./choices/feed-forwards.ts";
import { mixerPart, type MixerChoice } from "./choices/mixers.ts";
import { normPart, residualPart, type NormChoice, type NormPlacement } from "./choices/norms.ts";
import { positionParts, type PositionChoice, type PositionParts } from "./choices/positions.ts";

/** What a stack is made of: choices and sizes. */
export interface StackChoices {
  readonly stack: StackName;
  /** Whether positions may only look back. */
  readonly isCausal: boolean;
  readonly dModel: number;
  readonly heads: number;
  /** As heads if undefined. */
  readonly keyValueHeads: number | undefined;
  readonly layers: number;
  readonly dFeedForward: number;
  readonly dropout: number;
  readonly embeddingDropout: number;
  readonly attentionDropout: number;
  readonly activationDropout: number;
  readonly layerDrop: number;
  readonly attentionBias: boolean;
  readonly attention: MixerChoice;
  readonly feedForward: FeedForwardChoice;
  readonly normKind: NormChoice;
  readonly norm: NormPlacement;
  readonly normEpsilon: number | undefined;
  readonly positions: PositionChoice;
  readonly positionJoin: "add" | "concatenate";
  readonly maxPositions: number;
  /** A norm on the stack's input. */
  readonly embeddingNorm: boolean;
  /** DeepNorm's numbers for a stack of this depth. */
  readonly deep: DeepNormScale;
}

/** What a stack is where nothing else is said, whatever the family. */
export const plainStack = {
  keyValueHeads: undefined,
  attentionDropout: 0,
  activationDropout: 0,
  layerDrop: 0,
  attentionBias: true,
  attention: "full",
  normKind: "layer",
  norm: "post",
  normEpsilon: undefined,
  positionJoin: "add",
  maxPositions: 1024,
  embeddingNorm: false,
  pad: 0,
} as const;

/** Makes parts, a new one at every call, except for positions, which all layers share. */
export class StackParts {
  readonly choices: StackChoices;
  readonly #positions: PositionParts;

  constructor(choices: StackChoices) {
    this.choices = choices;
    this.#positions = positionParts(choices.positions, choices);
  }

  /** How attention learns of places. */
  get attentionPositions(): AttentionPositions | undefined {
    return this.#positions.attention;
  }

  norm(): Norm {
    const { normKind, dModel, normEpsilon: epsilon } = this.choices;
    return normPart(normKind, { dModel, epsilon });
  }

  /** After the last layer; only pre-norm stacks need one. */
  finalNorm(): Norm | undefined {
    return this.choices.norm === "pre" ? this.norm() : undefined;
  }

  residual(): Residual {
    const { norm, dropout, deep } = this.choices;
    return residualPart(norm, { norm: this.norm(), dropout, alpha: deep.alpha });
  }

  mixer(): Mixer {
    return mixerPart(this.choices.attention, { ...this.#attention(), positions: this.attentionPositions });
  }

  crossAttention(): MultiHeadAttention {
    return new MultiHeadAttention(this.#attention());
  }

  feedForward(): FeedForwardLayer {
    const { dModel, dFeedForward, activationDropout: dropout } = this.choices;
    return feedForwardPart(this.choices.feedForward, { dModel, dFeedForward, dropout, gain: this.#gain() });
  }

  /** What turns ids into the stack's input. */
  input(embedding: Embedding, segments?: Embedding): StackInput {
    const { dModel, positionJoin, embeddingNorm, embeddingDropout } = this.choices;
    const { table } = this.#positions;
    return new StackInput({
      embedding,
      segments,
      positions: table,
      combination: table && (positionJoin === "add" ? new AddPositions() : new ConcatenatePositions({ dModel })),
      norm: embeddingNorm ? this.norm() : undefined,
      dropout: new Dropout(embeddingDropout),
    });
  }

  #attention() {
    const { stack, isCausal, dModel, heads, keyValueHeads = heads, maxPositions } = this.choices;
    const { attentionDropout: dropout, attentionBias: bias } = this.choices;
    return {
      stack,
      isCausal,
      dModel,
      heads,
      keyValueHeads,
      maxPositions,
      dropout,
      bias,
      gain: this.#gain(),
    };
  }

  #gain(): number {
    const { norm, deep } = this.choices;
    return norm === "deep" ? deep.beta : 1;
  }
}

/** What the input of a stack is put together from. */
export interface StackInputParts {
  embedding: Embedding;
  /** Which of several texts a token belongs to, as one more vector. */
  segments?: Embedding | undefined;
  positions?: PositionTable | undefined;
  combination?: PositionCombination | undefined;
  norm?: Norm | undefined;
  dropout: Dropout;
}

/** Token and position vectors made one, then a norm where there is one, then dropout: the input of a stack. */
export class StackInput extends Module {
  readonly embedding: Embedding;
  readonly segments: Embedding | undefined;
  /** Absent where attention alone learns of places, or nothing does. */
  readonly positions: PositionTable | undefined;
  readonly combination: PositionCombination | undefined;
  readonly norm: Norm | undefined;
  readonly dropout: Dropout;

  constructor({ embedding, segments, positions, combination, norm, dropout }: StackInputParts) {
    super();
    this.embedding = embedding;
    this.segments = segments;
    this.positions = positions;
    this.combination = combination;
    this.norm = norm;
    this.dropout = dropout;
  }

  /** ids [batch, time] at positions [time], and of segments [batch, time] where there are some → [batch, time, dModel] */
  forward(ids: Tensor, positions: Tensor, pass = new Pass(), segments?: Tensor): Tensor {
    const tokens = this.embedding.forward(ids);
    const placed = this.positions ? this.combination!.forward(tokens, this.positions.forward(positions)) : tokens;
    const joined = this.segments && segments ? add(placed, this.segments.forward(segments)) : placed;
    return this.dropout.forward(this.norm === undefined ? joined : this.norm.forward(joined, pass));
  }
}
