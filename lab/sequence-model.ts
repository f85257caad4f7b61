// A stack over one sequence, put together from the library's parts, and the loss of the positions that have a label.
import {
  Encoder,
  EncoderLayer,
  feedForwardPart,
  mixerPart,
  normPart,
  positionParts,
  residualPart,
  StackInput,
  type FeedForwardChoice,
  type LossProgram,
  type MixerChoice,
  type NormChoice,
  type NormPlacement,
  type PositionChoice,
} from "heddle/models";
import {
  AddPositions,
  AttentionScope,
  Dropout,
  Embedding,
  Module,
  MultiHeadAttention,
  Pass,
  type PassReports,
} from "heddle/nn";
import {
  add,
  affine,
  argmax,
  cast,
  constant,
  dim,
  equal,
  greaterOrEqual,
  input,
  linearCrossEntropy,
  maximum,
  mul,
  range,
  reshape,
  scalar,
  sizeOf,
  sum,
  where,
  type Tensor,
} from "heddle/tensor";

export interface SequenceModelOptions {
  vocabularySize: number;
  dModel?: number;
  heads?: number;
  keyValueHeads?: number;
  layers?: number;
  dFeedForward?: number;
  /** Whether a position sees only what came before it. */
  isCausal?: boolean;
  attention?: MixerChoice;
  feedForward?: FeedForwardChoice;
  norm?: NormChoice;
  normPlacement?: Exclude<NormPlacement, "deep">;
  positions?: PositionChoice;
  maxPositions?: number;
}

/** Tokens in, a vector for each out; the output layer is the table of embeddings. Small, and without dropout. */
export class SequenceModel extends Module {
  readonly input: StackInput;
  readonly stack: Encoder;
  readonly isCausal: boolean;
  readonly vocabularySize: number;

  constructor({
    vocabularySize,
    dModel = 64,
    heads = 4,
    keyValueHeads = heads,
    layers = 2,
    dFeedForward = 4 * dModel,
    isCausal = true,
    attention = "full",
    feedForward = "relu",
    norm = "layer",
    normPlacement = "pre",
    positions = "sinusoidal",
    maxPositions = 2048,
  }: SequenceModelOptions) {
    super();
    const sizes = { stack: isCausal ? "decoder" : "encoder", isCausal, dModel, heads, maxPositions } as const;
    const places = positionParts(positions, sizes);
    const makeNorm = () => normPart(norm, { dModel, epsilon: undefined });
    this.input = new StackInput({
      embedding: new Embedding({ vocabularySize, dModel }),
      positions: places.table,
      combination: new AddPositions(),
      dropout: new Dropout(0),
    });
    this.stack = new Encoder({
      layers,
      positions: places.attention,
      finalNorm: normPlacement === "pre" ? makeNorm() : undefined,
      layer: () =>
        new EncoderLayer({
          residual: () => residualPart(normPlacement, { norm: makeNorm(), dropout: 0, alpha: 1 }),
          mixer: () => mixerPart(attention, { ...sizes, keyValueHeads, dropout: 0, gain: 1 }),
          crossAttention: () => new MultiHeadAttention({ dModel, heads }),
          feedForward: () => feedForwardPart(feedForward, { dModel, dFeedForward, dropout: 0, gain: 1 }),
        }),
    });
    this.isCausal = isCausal;
    this.vocabularySize = vocabularySize;
  }

  /** ids [batch, time] → hidden [batch, time, dModel] */
  forward(ids: Tensor): { hidden: Tensor; reports: PassReports } {
    const time = ids.shape[1]!;
    const scope = new AttentionScope({
      queryTime: time,
      isCausal: this.isCausal,
      positions: this.stack.positions,
    });
    const pass = new Pass();
    const { output } = this.stack.forward(this.input.forward(ids, range(time), pass), scope, pass);
    return { hidden: output, reports: pass.reports };
  }
}

/**
 * Cross-entropy at every position that has a label. Inputs: `ids` and `labels` [batch, time], both int32, a label below 0 where
 * nothing is asked; `tokenWeight`, which each label's loss is multiplied with. Figures are sums: `negativeLogLikelihood` in
 * nats and, where wanted, `correct`, the labels that are the model's first choice.
 */
export function labelLoss(model: SequenceModel, { isCounted = false }: { isCounted?: boolean } = {}): LossProgram {
  const ids = input("ids", "int32", [dim("batch"), dim("time")]);
  const given = input("labels", "int32", ids.shape);
  const tokenWeight = input("tokenWeight", "float32", []);
  const rows = sizeOf(ids.shape);
  const labels = reshape(given, [rows]);
  const nothing = constant({ dtype: "int32", dims: [], data: Int32Array.of(0) });
  const isAsked = greaterOrEqual(labels, nothing);

  const { hidden, reports } = model.forward(ids);
  const flat = reshape(hidden, [rows, hidden.shape.at(-1)!]);
  const table = model.input.embedding.table.value;
  const { loss } = linearCrossEntropy(flat, table, maximum(labels, nothing));
  const weights = where(isAsked, tokenWeight, scalar(0));
  const total = sum(mul(loss, weights));
  const figures: Record<string, Tensor> = { negativeLogLikelihood: total, ...Object.fromEntries(reports.figures) };
  if (isCounted) {
    const choice = cast(argmax(affine(flat, table, undefined, { transposeB: true })), "int32");
    figures.correct = sum(where(equal(choice, labels), weights, scalar(0)));
  }
  return {
    inputs: { ids, labels: given, tokenWeight },
    // What parts add, such as the balance of experts, is a mean over tokens already.
    loss: reports.losses.reduce((whole, part) => add(whole, mul(part, sum(weights))), total),
    figures,
    statistics: reports.statistics,
  };
}
