// The encoder-decoder Transformer of "Attention Is All You Need" (Vaswani et al. 2017), put together from parts.
import { ConfigError, ShapeError } from "../base/index.ts";
import {
  activations,
  AddPositions,
  causalMask,
  ConcatenatePositions,
  Dropout,
  Embedding,
  FeedForward,
  keyMask,
  LayerNorm,
  LearnedPositions,
  maskBias,
  Module,
  MultiHeadAttention,
  Parameter,
  PostNorm,
  PreNorm,
  SinusoidalPositions,
  zeros,
  type ActivationName,
  type Norm,
  type PositionCombination,
  type PositionTable,
} from "../nn/index.ts";
import { affine, cast, mul, range, reshape, type Dim, type Tensor } from "../tensor/index.ts";
import { Decoder, DecoderLayer, type DecoderTrace } from "./decoder.ts";
import { Encoder, EncoderLayer, type EncoderTrace, type LayerParts } from "./encoder.ts";

/** One value for both stacks, or one each. */
export type PerStack<T> = T | { readonly encoder: T; readonly decoder: T };

export interface TransformerOptions {
  /** Number of tokens; one for both languages, or one each (then nothing is shared between them). */
  vocabularySize: number | { readonly source: number; readonly target: number };
  /** Width of the model; 512 in the paper's base size. */
  dModel?: number;
  /** Attention heads; must divide dModel. */
  heads?: PerStack<number>;
  layers?: PerStack<number>;
  /** Hidden width of the feed-forward layers; 4 × dModel if not said. */
  dFeedForward?: PerStack<number>;
  /** Chance to drop a value, after embeddings and each sublayer, while training. */
  dropout?: number;
  /** The same for attention weights. */
  attentionDropout?: number;
  /** The same inside the feed-forward layers. */
  activationDropout?: number;
  /** "post" is the paper's order; "pre" trains without warm-up and adds a final norm. */
  norm?: "post" | "pre";
  normEpsilon?: number;
  activation?: ActivationName;
  positions?: "sinusoidal" | "sinusoidal-halves" | "learned";
  /** How positions meet embeddings: added (the paper), or put in front and projected. */
  positionJoin?: "add" | "concatenate";
  /** The longest sequence positions exist for. */
  maxPositions?: number;
  /** "three-way" shares one table between source, target and output; "two-way" between target and output; "none" nothing. */
  tying?: "three-way" | "two-way" | "none";
  /** Multiply embeddings by √dModel, as in section 3.4. */
  scaleEmbeddings?: boolean;
  /** A norm on each stack's input. */
  embeddingNorm?: boolean;
  /** An offset on the logits: none, learned, or stored with the weights and never trained. */
  outputBias?: "none" | "learned" | "fixed";
  /** Whether looking up padding teaches its vector; it does not where the decoder starts from the padding token (Marian). */
  learnsPadding?: boolean;
  /** Id of padding, which masks hide. */
  pad?: number;
}

export type ResolvedTransformerOptions = Required<TransformerOptions>;

function perStack<T>(value: PerStack<T>): { encoder: T; decoder: T } {
  return typeof value === "object" && value !== null && "encoder" in value ? value : { encoder: value, decoder: value };
}

/** Token and position vectors made one, then a norm where there is one, then dropout: the input of a stack. */
export class StackInput extends Module {
  readonly embedding: Embedding;
  readonly positions: PositionTable;
  readonly combination: PositionCombination;
  readonly norm: Norm | undefined;
  readonly dropout: Dropout;

  constructor(
    embedding: Embedding,
    positions: PositionTable,
    combination: PositionCombination,
    norm: Norm | undefined,
    dropout: Dropout,
  ) {
    super();
    this.embedding = embedding;
    this.positions = positions;
    this.combination = combination;
    this.norm = norm;
    this.dropout = dropout;
  }

  /** ids [batch, time] at positions [time] → [batch, time, dModel] */
  forward(ids: Tensor, positions: Tensor): Tensor {
    const joined = this.combination.forward(this.embedding.forward(ids), this.positions.forward(positions));
    return this.dropout.forward(this.norm === undefined ? joined : this.norm.forward(joined));
  }
}

export interface TransformerTrace {
  readonly encoder: EncoderTrace;
  readonly decoder: DecoderTrace;
}

/**
 * Encoder and decoder with everything between token ids and logits. All masks are worked out inside from the ids.
 * @example
 * const model = new Transformer({ vocabularySize: 8000, dModel: 256, heads: 4, layers: 3, dFeedForward: 1024 });
 */
export class Transformer extends Module {
  readonly options: ResolvedTransformerOptions;
  readonly source: StackInput;
  readonly encoder: Encoder;
  readonly target: StackInput;
  readonly decoder: Decoder;
  /** The output's own table [vocabulary, dModel] where it is not tied. */
  readonly output: Embedding;
  readonly outputBias: Parameter | undefined;

  constructor(options: TransformerOptions) {
    super();
    const { dModel = 512, dFeedForward = 4 * dModel } = options;
    const vocabularies = typeof options.vocabularySize === "number" ? undefined : options.vocabularySize;
    this.options = {
      dModel,
      heads: 8,
      layers: 6,
      dFeedForward,
      dropout: 0.1,
      attentionDropout: 0,
      activationDropout: 0,
      norm: "post",
      normEpsilon: 1e-5,
      activation: "relu",
      positions: "sinusoidal",
      positionJoin: "add",
      maxPositions: 1024,
      tying: vocabularies === undefined ? "three-way" : "two-way",
      scaleEmbeddings: true,
      embeddingNorm: false,
      outputBias: "none",
      learnsPadding: true,
      pad: 0,
      ...options,
    };
    const { dropout, tying, scaleEmbeddings, embeddingNorm, outputBias, learnsPadding, pad } = this.options;
    if (tying === "three-way" && vocabularies !== undefined) {
      throw new ConfigError(
        "model.tying",
        "three-way tying needs one vocabulary for both languages (got one each). Take two-way or a joint vocabulary.",
      );
    }
    const { source, target } = vocabularies ?? {
      source: options.vocabularySize as number,
      target: options.vocabularySize as number,
    };
    const embedding = (vocabularySize: number): Embedding =>
      new Embedding({
        vocabularySize,
        dModel,
        scale: scaleEmbeddings ? Math.sqrt(dModel) : 1,
        ...(!learnsPadding && { untaught: pad }),
      });
    const input = (table: Embedding): StackInput =>
      new StackInput(
        table,
        this.#positions(),
        this.#combination(),
        embeddingNorm ? this.#norm() : undefined,
        new Dropout(dropout),
      );
    const sourceTable = embedding(source);
    const targetTable = tying === "three-way" ? sourceTable : embedding(target);
    this.source = input(sourceTable);
    this.encoder = new Encoder({
      layers: perStack(this.options.layers).encoder,
      layer: () => new EncoderLayer(this.#parts("encoder")),
      finalNorm: this.#finalNorm(),
    });
    this.target = input(targetTable);
    this.decoder = new Decoder({
      layers: perStack(this.options.layers).decoder,
      layer: () => new DecoderLayer(this.#parts("decoder")),
      finalNorm: this.#finalNorm(),
    });
    this.output = tying === "none" ? embedding(target) : targetTable;
    this.outputBias =
      outputBias === "none"
        ? undefined
        : new Parameter({ shape: [target], initializer: zeros, trainable: outputBias === "learned" });
  }

  #positions(): PositionTable {
    const { positions, dModel, maxPositions } = this.options;
    if (positions === "learned") return new LearnedPositions({ dModel, maxPositions });
    return new SinusoidalPositions({
      dModel,
      maxPositions,
      layout: positions === "sinusoidal" ? "interleaved" : "halves",
    });
  }

  #combination(): PositionCombination {
    const { dModel, positionJoin } = this.options;
    return positionJoin === "add" ? new AddPositions() : new ConcatenatePositions({ dModel });
  }

  #norm(): LayerNorm {
    return new LayerNorm({ dModel: this.options.dModel, epsilon: this.options.normEpsilon });
  }

  #finalNorm(): LayerNorm | undefined {
    return this.options.norm === "pre" ? this.#norm() : undefined;
  }

  #parts(stack: "encoder" | "decoder"): LayerParts {
    const { dModel, heads, dFeedForward, dropout, attentionDropout, activationDropout, norm, activation } =
      this.options;
    const Arrangement = norm === "post" ? PostNorm : PreNorm;
    return {
      residual: () => new Arrangement(this.#norm(), new Dropout(dropout)),
      attention: () => new MultiHeadAttention({ dModel, heads: perStack(heads)[stack], dropout: attentionDropout }),
      feedForward: () =>
        new FeedForward({
          dModel,
          dFeedForward: perStack(dFeedForward)[stack],
          activation: activations[activation],
          dropout: activationDropout,
        }),
    };
  }

  /** sourceIds [batch, sourceTime] → the encoder's output, zero at padding, and what led to it. */
  encode(sourceIds: Tensor): EncoderTrace & { bias: Tensor } {
    const time = timeOf(sourceIds);
    const mask = keyMask(sourceIds, this.options.pad);
    const bias = maskBias(mask);
    const encoded = this.encoder.forward(this.source.forward(sourceIds, range(time)), bias);
    // A source of padding alone hides every key, and softmax then looks at all of them alike: with zeros to look at, what
    // comes out is the same for any amount of padding.
    const kept = reshape(cast(mask, "float32"), [sourceIds.shape[0]!, time, 1]);
    return { ...encoded, memory: mul(encoded.memory, kept), bias };
  }

  /** The decoder over whole targets, teacher-forced: position t sees targets up to t and the whole source. */
  forward(sourceIds: Tensor, targetIds: Tensor): TransformerTrace {
    const encoder = this.encode(sourceIds);
    const time = timeOf(targetIds);
    const biases = { self: maskBias(causalMask(time)), cross: encoder.bias };
    const decoder = this.decoder.teacherForced(this.target.forward(targetIds, range(time)), encoder.memory, biases);
    return { encoder, decoder };
  }

  /** hidden [.., dModel] → logits [.., vocabulary] */
  logits(hidden: Tensor): Tensor {
    return affine(hidden, this.output.table.value, this.outputBias?.value, { transposeB: true });
  }
}

function timeOf(ids: Tensor): Dim {
  if (ids.rank !== 2)
    throw new ShapeError(`transformer: ids [batch, time] are wanted, got ${ids.dtype} of ${ids.rank} axes`);
  return ids.shape[1]!;
}
