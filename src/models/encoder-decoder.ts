// What every Transformer with an encoder and a decoder is made of; how the decoder writes is the business of each.
import { ConfigError, ShapeError } from "../base/index.ts";
import { AttentionScope, deepNormScale, Embedding, Module, notPadding, Parameter, Pass, zeros } from "../nn/index.ts";
import { affine, cast, mul, range, reshape, type Dim, type Tensor } from "../tensor/index.ts";
import { inStack, refuseUnknown, type PerStack, type StackName } from "./choices/choice.ts";
import { refuseImpossible } from "./choices/combinations.ts";
import type { FeedForwardChoice } from "./choices/feed-forwards.ts";
import type { MixerChoice } from "./choices/mixers.ts";
import type { NormChoice, NormPlacement } from "./choices/norms.ts";
import type { PositionChoice } from "./choices/positions.ts";
import { Decoder, DecoderLayer } from "./decoder.ts";
import { Encoder, EncoderLayer, type EncoderTrace } from "./encoder.ts";
import { MemoryRouting, type MemoryChoice } from "./memory-routing.ts";
import type { OutputLayer } from "./sequence-to-sequence.ts";
import { plainStack, StackParts, type StackInput } from "./stack-parts.ts";

export interface TransformerOptions {
  /** Number of tokens; one for both languages, or one each (then nothing is shared between them). */
  vocabularySize: number | { readonly source: number; readonly target: number };
  /** Width of the model; 512 in the paper's base size. */
  dModel?: number;
  /** Attention heads; must divide dModel. */
  heads?: PerStack<number>;
  /** Heads of keys and values, each shared by several heads of queries; must divide heads. As many as heads if not said. */
  keyValueHeads?: PerStack<number> | undefined;
  layers?: PerStack<number>;
  /** Hidden width of the feed-forward layers; 4 × dModel if not said. */
  dFeedForward?: PerStack<number>;
  /** Chance to drop a value, after each sublayer, while training. */
  dropout?: number;
  /** The same on the sum of embeddings and positions; as `dropout` if not said. */
  embeddingDropout?: number;
  /** The same for attention weights. */
  attentionDropout?: number;
  /** The same inside the feed-forward layers. */
  activationDropout?: number;
  /** Chance to leave out a whole layer in a training step. */
  layerDrop?: number;
  /** Whether attention's projections add an offset; the paper's do not, most who came after do. */
  attentionBias?: boolean;
  /** What exchanges between positions: attention of some kind, or what stands in its place. */
  attention?: PerStack<MixerChoice>;
  /** What a block does to each position. */
  feedForward?: PerStack<FeedForwardChoice>;
  normKind?: PerStack<NormChoice>;
  /** "post" is the paper's order; "pre" trains without warm-up and adds a final norm. */
  norm?: NormPlacement;
  /** As the norm's own if not said. */
  normEpsilon?: number | undefined;
  /** How a stack learns where its tokens stand. */
  positions?: PerStack<PositionChoice>;
  /** How position vectors meet embeddings: added (the paper), or put in front and projected. */
  positionJoin?: "add" | "concatenate";
  /** The longest sequence positions exist for. */
  maxPositions?: number;
  /** Which encoder layer each decoder layer looks at. */
  memory?: MemoryChoice;
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

/** The encoder's part of a pass, and what the decoder makes of it. */
export interface EncodedSource extends EncoderTrace {
  /** The encoder's output, zero at padding. */
  readonly memory: Tensor;
  /** What each decoder layer looks at, zero at padding. */
  readonly memories: readonly Tensor[];
  /** Source positions that are no padding: bool [batch, sourceTime]. */
  readonly keys: Tensor;
}

export interface DecoderTraits {
  /** Whether the decoder may only look back. */
  readonly isCausal: boolean;
  /** Whose ids go into the decoder. */
  readonly reads: "source" | "target";
  /** Options that this kind of model has besides those of all. */
  readonly ownOptions?: readonly string[];
}

/** Both stacks with their embeddings and output layer. */
export abstract class EncoderDecoder extends Module {
  readonly options: ResolvedTransformerOptions;
  readonly source: StackInput;
  readonly encoder: Encoder;
  readonly target: StackInput;
  readonly decoder: Decoder;
  readonly routing: MemoryRouting;
  /** The output's own table [vocabulary, dModel] where it is not tied. */
  readonly output: Embedding;
  readonly outputBias: Parameter | undefined;

  constructor(options: TransformerOptions, { isCausal, reads, ownOptions = [] }: DecoderTraits) {
    super();
    const { dModel = 512, dFeedForward = 4 * dModel, heads = 8, dropout = 0.1 } = options;
    const vocabularies = typeof options.vocabularySize === "number" ? undefined : options.vocabularySize;
    const defaults: Omit<ResolvedTransformerOptions, "vocabularySize"> = {
      ...plainStack,
      dModel,
      heads,
      layers: 6,
      dFeedForward,
      dropout,
      embeddingDropout: dropout,
      feedForward: "relu",
      positions: "sinusoidal",
      memory: "last",
      tying: vocabularies === undefined ? "three-way" : "two-way",
      scaleEmbeddings: true,
      outputBias: "none",
      learnsPadding: true,
    };
    refuseUnknown(options, ["vocabularySize", ...Object.keys(defaults), ...ownOptions]);
    this.options = { ...defaults, ...options };
    refuseImpossible(this.options, { readBothWays: isCausal ? ["encoder"] : ["encoder", "decoder"] });
    const { tying, outputBias, memory } = this.options;
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
    const sourceTable = this.#embedding(source);
    const targetTable = tying === "three-way" ? sourceTable : this.#embedding(target);
    const parts = { encoder: this.#parts("encoder", false), decoder: this.#parts("decoder", isCausal) };
    const [encoderLayers, decoderLayers] = [parts.encoder.choices.layers, parts.decoder.choices.layers];
    this.source = parts.encoder.input(sourceTable);
    this.encoder = new Encoder(parts.encoder, () => new EncoderLayer(parts.encoder));
    this.target = parts.decoder.input(reads === "source" ? sourceTable : targetTable);
    this.decoder = new Decoder(parts.decoder, () => new DecoderLayer(parts.decoder));
    this.routing = new MemoryRouting({ choice: memory, encoderLayers, decoderLayers });
    this.output = tying === "none" ? this.#embedding(target) : targetTable;
    this.outputBias =
      outputBias === "none"
        ? undefined
        : new Parameter({ shape: [target], initializer: zeros, trainable: outputBias === "learned" });
  }

  get pad(): number {
    return this.options.pad;
  }

  get maxPositions(): number {
    return this.options.maxPositions;
  }

  #embedding(vocabularySize: number): Embedding {
    const { dModel, scaleEmbeddings, learnsPadding, pad } = this.options;
    return new Embedding({
      vocabularySize,
      dModel,
      scale: scaleEmbeddings ? Math.sqrt(dModel) : 1,
      ...(!learnsPadding && { untaught: pad }),
    });
  }

  #parts(stack: StackName, isCausal: boolean): StackParts {
    const { options } = this;
    const depth = (of: StackName): number => inStack(options.layers, of);
    return new StackParts({
      ...options,
      stack,
      isCausal,
      heads: inStack(options.heads, stack),
      keyValueHeads: inStack(options.keyValueHeads, stack),
      layers: depth(stack),
      dFeedForward: inStack(options.dFeedForward, stack),
      attention: inStack(options.attention, stack),
      feedForward: inStack(options.feedForward, stack),
      normKind: inStack(options.normKind, stack),
      positions: inStack(options.positions, stack),
      deep: deepNormScale({ encoderLayers: depth("encoder"), decoderLayers: depth("decoder") })[stack],
    });
  }

  /** sourceIds [batch, sourceTime] → the encoder's output, zero at padding, and what led to it. */
  encode(sourceIds: Tensor, reports?: Pass["reports"]): EncodedSource {
    const time = timeOf(sourceIds);
    const keys = notPadding(sourceIds, this.options.pad);
    const scope = new AttentionScope({ queryTime: time, keys, positions: this.encoder.positions });
    const pass = new Pass(keys, reports);
    const encoded = this.encoder.forward(this.source.forward(sourceIds, range(time), pass), scope, pass);
    // A source of padding alone hides every key, and softmax then looks at all of them alike: with zeros to look at, what
    // comes out is the same for any amount of padding.
    const kept = reshape(cast(keys, "float32"), [sourceIds.shape[0]!, time, 1]);
    const cleared = new Map<Tensor, Tensor>();
    const clear = (memory: Tensor): Tensor => {
      const known = cleared.get(memory) ?? mul(memory, kept);
      cleared.set(memory, known);
      return known;
    };
    const memories = this.routing.forward(encoded.hidden, this.encoder.finalNorm, pass).map(clear);
    return { ...encoded, memory: clear(encoded.output), memories, keys };
  }

  outputLayer(): OutputLayer {
    return { table: this.output.table.value, bias: this.outputBias?.value };
  }

  /** hidden [.., dModel] → logits [.., vocabulary] */
  logits(hidden: Tensor): Tensor {
    const { table, bias } = this.outputLayer();
    return affine(hidden, table, bias, { transposeB: true });
  }
}

/** Positions of ids [batch, time]. */
export function timeOf(ids: Tensor): Dim {
  if (ids.rank !== 2)
    throw new ShapeError(`transformer: ids [batch, time] are wanted, got ${ids.dtype} of ${ids.rank} axes`);
  return ids.shape[1]!;
}
