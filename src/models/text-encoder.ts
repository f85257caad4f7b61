// The encoder alone, with the heads that tasks put on it. Devlin et al. 2019 (BERT).
import {
  AttentionScope,
  Dropout,
  Embedding,
  gelu,
  LayerNorm,
  Linear,
  Module,
  notPadding,
  Parameter,
  Pass,
  zeros,
  type Norm,
  type PassReports,
} from "../nn/index.ts";
import {
  affine,
  cast,
  dim,
  div,
  input,
  maximum,
  mul,
  range,
  reshape,
  slice,
  sum,
  tanh,
  type Tensor,
} from "../tensor/index.ts";
import { Encoder, EncoderLayer, type EncoderTrace } from "./encoder.ts";
import type { OutputLayer } from "./sequence-to-sequence.ts";
import { resolveSingleStack, singleStackParts, type SingleStackOptions } from "./single-stack.ts";
import type { StackInput } from "./stack-parts.ts";
import { tokenLoss, type LossProgram } from "./token-loss.ts";

export interface TextEncoderOptions extends SingleStackOptions {
  /** Texts that one input may hold, told apart by one more vector a token; 2 for sentence pairs, 0 for none. */
  segments?: number;
  /** Whether looking up the padding teaches its vector. */
  learnsPadding?: boolean;
}

export type ResolvedTextEncoderOptions = Required<TextEncoderOptions>;

export interface TextEncoderTrace extends EncoderTrace {
  readonly reports: PassReports;
  /** Positions that are no padding: bool [batch, time]. */
  readonly keys: Tensor;
}

/**
 * A stack that reads in both directions. By itself it is BERT: post-norm, GELU, learned positions, a norm on the input, vectors
 * for two segments.
 * @example
 * const encoder = new TextEncoder({ vocabularySize: 8000, ...bertPresets["bert-tiny"] });
 */
export class TextEncoder extends Module {
  readonly options: ResolvedTextEncoderOptions;
  readonly input: StackInput;
  readonly encoder: Encoder;

  constructor(options: TextEncoderOptions) {
    super();
    const { segments = 2, learnsPadding = true, vocabularySize, dModel } = options;
    const defaults = { embeddingNorm: options.norm !== "pre", maxPositions: 512 };
    const resolved = resolveSingleStack(options, "encoder", defaults, ["segments", "learnsPadding"]);
    this.options = { ...resolved, segments, learnsPadding };
    const parts = singleStackParts(resolved, "encoder");
    const table = (size: number, untaught: { untaught?: number } = {}): Embedding =>
      new Embedding({ vocabularySize: size, dModel, scale: 1, ...untaught });
    this.input = parts.input(
      table(vocabularySize, learnsPadding ? {} : { untaught: resolved.pad }),
      segments > 0 ? table(segments) : undefined,
    );
    this.encoder = new Encoder(parts, () => new EncoderLayer(parts));
  }

  /** ids [batch, time] and, where there are several texts in one, which one each belongs to [batch, time] → [batch, time, dModel]. */
  forward(ids: Tensor, segmentIds?: Tensor): TextEncoderTrace {
    const time = ids.shape[1]!;
    const keys = notPadding(ids, this.options.pad);
    const pass = new Pass(keys);
    const scope = new AttentionScope({ queryTime: time, keys, positions: this.encoder.positions });
    const x = this.input.forward(ids, range(time), pass, segmentIds);
    return { ...this.encoder.forward(x, scope, pass), reports: pass.reports, keys };
  }
}

/**
 * Says what stands behind a mask: logits = norm(gelu(h W)) · tableᵀ + bias, the table being that of the embeddings.
 * Devlin et al. 2019, section 3.1, task 1; the layer between is in their code.
 */
export class MaskedLanguageModel extends Module {
  readonly encoder: TextEncoder;
  readonly transform: Linear;
  readonly norm: Norm;
  readonly outputBias: Parameter;
  readonly activation: (x: Tensor) => Tensor;

  constructor(encoder: TextEncoder, { activation = gelu }: { activation?: (x: Tensor) => Tensor } = {}) {
    super();
    const { dModel, vocabularySize, normEpsilon: epsilon } = encoder.options;
    this.encoder = encoder;
    this.activation = activation;
    this.transform = new Linear({ from: dModel, to: dModel });
    this.norm = new LayerNorm({ dModel, ...(epsilon !== undefined && { epsilon }) });
    this.outputBias = new Parameter({ shape: [vocabularySize], initializer: zeros });
  }

  forward(ids: Tensor, segmentIds?: Tensor): TextEncoderTrace & { prediction: Tensor } {
    const trace = this.encoder.forward(ids, segmentIds);
    return { ...trace, prediction: this.norm.forward(this.activation(this.transform.forward(trace.output))) };
  }

  outputLayer(): OutputLayer {
    return { table: this.encoder.input.embedding.table.value, bias: this.outputBias.value };
  }

  /** prediction [.., dModel] → logits [.., vocabulary] */
  logits(prediction: Tensor): Tensor {
    const { table, bias } = this.outputLayer();
    return affine(prediction, table, bias, { transposeB: true });
  }
}

/** A label that says: not asked here. */
export const notAsked = -100;

/**
 * Cross-entropy of the tokens behind masks. Inputs, int32 [batch, time]: `ids`, some of them masked (`maskTokens` in heddle/data
 * does it), `labels`, the true ids where one is asked for and −100 elsewhere, and `segmentIds` where the encoder has segments;
 * `tokenWeight`: 1 / (tokens asked for).
 */
export function maskedTokens(model: MaskedLanguageModel): LossProgram {
  const shape = [dim("batch"), dim("time")];
  const ids = input("ids", "int32", shape);
  const labels = input("labels", "int32", shape);
  const tokenWeight = input("tokenWeight", "float32", []);
  const segmentIds = model.encoder.options.segments > 0 ? input("segmentIds", "int32", shape) : undefined;
  const { prediction: hidden, reports } = model.forward(ids, segmentIds);
  return {
    inputs: { ids, labels, tokenWeight, ...(segmentIds && { segmentIds }) },
    ...tokenLoss({ hidden, labels, ignored: notAsked, output: model.outputLayer(), tokenWeight, reports }),
  };
}

/** How the vectors of a text become one: what stands at its first token, as BERT's do, or the mean over its tokens. */
export type Pooling = "first" | "mean";

/** One answer a text: classes of tanh(W h) of the pooled vector. Devlin et al. 2019, section 3.2 and figure 4 (a, b). */
export class TextClassifier extends Module {
  readonly encoder: TextEncoder;
  readonly pooler: Linear;
  readonly dropout: Dropout;
  readonly output: Linear;
  readonly pooling: Pooling;

  constructor({
    encoder,
    classes,
    pooling = "first",
    dropout = encoder.options.dropout,
  }: {
    encoder: TextEncoder;
    classes: number;
    pooling?: Pooling;
    dropout?: number;
  }) {
    super();
    const { dModel } = encoder.options;
    this.encoder = encoder;
    this.pooler = new Linear({ from: dModel, to: dModel });
    this.dropout = new Dropout(dropout);
    this.output = new Linear({ from: dModel, to: classes });
    this.pooling = pooling;
  }

  /** ids [batch, time] → pooled [batch, dModel] and logits [batch, classes] */
  forward(ids: Tensor, segmentIds?: Tensor): TextEncoderTrace & { pooled: Tensor; logits: Tensor } {
    const trace = this.encoder.forward(ids, segmentIds);
    const pooled = tanh(this.pooler.forward(this.#pool(trace)));
    return { ...trace, pooled, logits: this.output.forward(this.dropout.forward(pooled)) };
  }

  #pool({ output, keys }: TextEncoderTrace): Tensor {
    const [batch, , dModel] = output.shape;
    if (this.pooling === "first") return reshape(slice(output, { axis: 1, end: 1 }), [batch!, dModel!]);
    const counts = cast(reshape(keys, [...keys.shape, 1]), "float32");
    return div(sum(mul(output, counts), { axes: [1] }), maximum(sum(counts, { axes: [1] }), 1));
  }
}

/** One answer a token: classes of each vector. Devlin et al. 2019, figure 4 (c, d). */
export class TokenClassifier extends Module {
  readonly encoder: TextEncoder;
  readonly dropout: Dropout;
  readonly output: Linear;

  constructor({
    encoder,
    classes,
    dropout = encoder.options.dropout,
  }: {
    encoder: TextEncoder;
    classes: number;
    dropout?: number;
  }) {
    super();
    this.encoder = encoder;
    this.dropout = new Dropout(dropout);
    this.output = new Linear({ from: encoder.options.dModel, to: classes });
  }

  /** ids [batch, time] → logits [batch, time, classes] */
  forward(ids: Tensor, segmentIds?: Tensor): TextEncoderTrace & { logits: Tensor } {
    const trace = this.encoder.forward(ids, segmentIds);
    return { ...trace, logits: this.output.forward(this.dropout.forward(trace.output)) };
  }
}
