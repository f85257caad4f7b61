// The encoder-decoder Transformer of "Attention Is All You Need" (Vaswani et al. 2017), put together from parts.
import { ConfigError, ShapeError } from "../base/index.ts";
import { AttentionScope, deepNormScale, Embedding, Module, notPadding, Parameter, Pass, zeros } from "../nn/index.ts";
import {
  affine,
  cast,
  dim,
  lessOrEqual,
  mul,
  or,
  range,
  reshape,
  transpose,
  type Dim,
  type Tensor,
} from "../tensor/index.ts";
import { inStack, type PerStack, type StackName } from "./choices/choice.ts";
import { refuseImpossible } from "./choices/combinations.ts";
import type { FeedForwardChoice } from "./choices/feed-forwards.ts";
import type { MixerChoice } from "./choices/mixers.ts";
import type { NormChoice, NormPlacement } from "./choices/norms.ts";
import type { PositionChoice } from "./choices/positions.ts";
import { Decoder, DecoderLayer, type DecoderTrace } from "./decoder.ts";
import { Encoder, EncoderLayer, type EncoderTrace } from "./encoder.ts";
import { MemoryRouting, type MemoryChoice } from "./memory-routing.ts";
import type { OutputLayer, SequenceToSequence } from "./sequence-to-sequence.ts";
import { StackParts, type StackInput } from "./stack-parts.ts";
import { stepCrossAttention, stepMix } from "./step-mixing.ts";
import type { StepTrace } from "./step-trace.ts";

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
  /** What exchanges between positions: attention of some kind, or what stands in its place. */
  attention?: PerStack<MixerChoice>;
  /** What a block does to each position. */
  feedForward?: PerStack<FeedForwardChoice>;
  norm?: PerStack<NormChoice>;
  /** "post" is the paper's order; "pre" trains without warm-up and adds a final norm. */
  normPlacement?: NormPlacement;
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

export interface TransformerTrace {
  readonly encoder: EncodedSource;
  readonly decoder: DecoderTrace;
  readonly reports: Pass["reports"];
}

/**
 * Encoder and decoder with everything between token ids and logits. All masks are worked out inside from the ids.
 * @example
 * const model = new Transformer({ vocabularySize: 8000, dModel: 256, heads: 4, layers: 3, dFeedForward: 1024 });
 */
export class Transformer extends Module implements SequenceToSequence {
  readonly options: ResolvedTransformerOptions;
  readonly source: StackInput;
  readonly encoder: Encoder;
  readonly target: StackInput;
  readonly decoder: Decoder;
  readonly routing: MemoryRouting;
  /** The output's own table [vocabulary, dModel] where it is not tied. */
  readonly output: Embedding;
  readonly outputBias: Parameter | undefined;

  constructor(options: TransformerOptions) {
    super();
    const { dModel = 512, dFeedForward = 4 * dModel, heads = 8, dropout = 0.1 } = options;
    const vocabularies = typeof options.vocabularySize === "number" ? undefined : options.vocabularySize;
    this.options = {
      dModel,
      heads,
      keyValueHeads: undefined,
      layers: 6,
      dFeedForward,
      dropout,
      embeddingDropout: dropout,
      attentionDropout: 0,
      activationDropout: 0,
      layerDrop: 0,
      attention: "full",
      feedForward: "relu",
      norm: "layer",
      normPlacement: "post",
      normEpsilon: undefined,
      positions: "sinusoidal",
      positionJoin: "add",
      maxPositions: 1024,
      memory: "last",
      tying: vocabularies === undefined ? "three-way" : "two-way",
      scaleEmbeddings: true,
      embeddingNorm: false,
      outputBias: "none",
      learnsPadding: true,
      pad: 0,
      ...options,
    };
    refuseImpossible(this.options);
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
    const parts = { encoder: this.#parts("encoder"), decoder: this.#parts("decoder") };
    const [encoderLayers, decoderLayers] = [parts.encoder.choices.layers, parts.decoder.choices.layers];
    this.source = parts.encoder.input(sourceTable);
    this.encoder = new Encoder(parts.encoder, () => new EncoderLayer(parts.encoder));
    this.target = parts.decoder.input(targetTable);
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

  #parts(stack: StackName): StackParts {
    const { options } = this;
    const depth = (of: StackName): number => inStack(options.layers, of);
    return new StackParts({
      ...options,
      stack,
      isCausal: stack === "decoder",
      heads: inStack(options.heads, stack),
      keyValueHeads: inStack(options.keyValueHeads, stack),
      layers: depth(stack),
      dFeedForward: inStack(options.dFeedForward, stack),
      attention: inStack(options.attention, stack),
      feedForward: inStack(options.feedForward, stack),
      norm: inStack(options.norm, stack),
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

  /** The decoder over whole targets, teacher-forced: position t sees targets up to t and the whole source. */
  forward(sourceIds: Tensor, targetIds: Tensor): TransformerTrace {
    const pass = new Pass();
    const { reports } = pass;
    const encoder = this.encode(sourceIds, reports);
    const time = timeOf(targetIds);
    const places = range(time);
    const scopes = {
      self: new AttentionScope({ queryTime: time, isCausal: true, positions: this.decoder.positions }),
      cross: new AttentionScope({ queryTime: time, keyTime: timeOf(sourceIds), keys: encoder.keys }),
    };
    // Some decoders start from the padding token: the first place always counts.
    const isFirst = lessOrEqual(places, range(1));
    const own = new Pass(or(notPadding(targetIds, this.options.pad), isFirst), reports);
    const x = this.target.forward(targetIds, places, own);
    return { encoder, decoder: this.decoder.teacherForced(x, encoder.memories, scopes, own), reports };
  }

  teacherForced(sourceIds: Tensor, targetIds: Tensor) {
    const { decoder, reports } = this.forward(sourceIds, targetIds);
    return { hidden: decoder.output, reports };
  }

  crossAttention(sourceIds: Tensor, targetIds: Tensor): readonly Tensor[] {
    return this.forward(sourceIds, targetIds).decoder.crossAttention.flatMap((weights) => weights ?? []);
  }

  outputLayer(): OutputLayer {
    return { table: this.output.table.value, bias: this.outputBias?.value };
  }

  /** hidden [.., dModel] → logits [.., vocabulary] */
  logits(hidden: Tensor): Tensor {
    const { table, bias } = this.outputLayer();
    return affine(hidden, table, bias, { transposeB: true });
  }

  /**
   * Keys of every decoder layer `key.0`, `key.1` … [batch, keyValueHeads, dHead, sourceTime], ready to be multiplied with
   * queries, values `value.0` … [batch, keyValueHeads, sourceTime, dHead], and `bias` [batch, 1, 1, sourceTime], large and
   * negative at padding.
   */
  readSource(sourceIds: Tensor): Record<string, Tensor> {
    const { memories, keys } = this.encode(sourceIds);
    const { bias } = new AttentionScope({ queryTime: 1, keyTime: timeOf(sourceIds), keys });
    const outputs: Record<string, Tensor> = { bias: bias! };
    for (const [i, { key, value }] of this.decoder.memoryKeysAndValues(memories).entries()) {
      outputs[`key.${i}`] = transpose(key, [0, 1, 3, 2]);
      outputs[`value.${i}`] = value;
    }
    return outputs;
  }

  step(trace: StepTrace): Tensor {
    const { batch } = trace;
    const sourceTime = dim("sourceTime");
    const bias = trace.given("bias", "float32", [batch, 1, 1, sourceTime]);
    const memory = this.decoder.layers.map(({ crossAttention: { keyValueHeads, dHead } }, i) => ({
      key: trace.given(`key.${i}`, "float32", [batch, keyValueHeads, dHead, sourceTime]),
      value: trace.given(`value.${i}`, "float32", [batch, keyValueHeads, sourceTime, dHead]),
    }));
    // Rows stay two-dimensional between attentions: at one token a hypothesis every reshape counts.
    const { positions } = this.decoder;
    return this.decoder.forward(this.target.forward(trace.tokens, trace.position), (layer) => ({
      self: (mixer, x) => stepMix(trace, mixer, x, { layer, positions }),
      cross: (attention, x) => stepCrossAttention(trace, attention, x, memory[layer]!, bias),
    })).output;
  }
}

function timeOf(ids: Tensor): Dim {
  if (ids.rank !== 2)
    throw new ShapeError(`transformer: ids [batch, time] are wanted, got ${ids.dtype} of ${ids.rank} axes`);
  return ids.shape[1]!;
}
