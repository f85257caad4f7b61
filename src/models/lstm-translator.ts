// The encoder-decoder of LSTMs, with attention and without: what translated before the Transformer, and what it is compared with.
import {
  BidirectionalLstm,
  Dropout,
  Embedding,
  Linear,
  Lstm,
  LuongAttention,
  maskBias,
  Module,
  notPadding,
  Parameter,
  PassReports,
  zeros,
  type LstmState,
  type LuongMemory,
} from "../nn/index.ts";
import { dim, reshape, tanh, transpose, type Dim, type Tensor } from "../tensor/index.ts";
import { ConfigError } from "../base/index.ts";
import type { OutputLayer, SequenceToSequence } from "./sequence-to-sequence.ts";
import type { StepTrace } from "./step-trace.ts";

export interface LstmTranslatorOptions {
  /** Number of tokens; one for both languages, or one each (then nothing is shared between them). */
  vocabularySize: number | { readonly source: number; readonly target: number };
  /** Width of embeddings and of what the output layer reads. */
  dModel?: number;
  /** Width of the states, both directions of the encoder together; must be even. As dModel if not said. */
  dHidden?: number;
  /** Layers of the encoder and as many of the decoder. */
  layers?: number;
  /** Chance to drop a value between layers, never between positions (Zaremba et al. 2014), while training. */
  dropout?: number;
  /**
   * "luong": each target position looks at all source positions. "none": all that the decoder knows of the source is the state
   * in which the encoder ended, a vector of fixed size whatever the length (Sutskever et al. 2014).
   */
  attention?: "luong" | "none";
  /** "three-way" shares one table between source, target and output; "two-way" between target and output; "none" nothing. */
  tying?: "three-way" | "two-way" | "none";
  /** The most tokens that may be read or written; the model itself knows no limit. */
  maxPositions?: number;
  /** Id of padding. */
  pad?: number;
}

/**
 * A bidirectional LSTM reads the source; another LSTM, which starts in the state where the first ended, writes the target.
 * Sutskever et al. 2014, "Sequence to Sequence Learning with Neural Networks"; with attention as in Luong et al. 2015.
 *
 * Of the two classic kinds of attention this has Luong's: its context is not fed back into the recurrence as in Bahdanau et al.
 * 2015, so that only h U waits for the position before, and attention to all target positions is two products, as in a
 * Transformer. The comparison is then between recurrence and self-attention, and nothing else.
 * @example
 * const model = new LstmTranslator({ vocabularySize: 8000, dModel: 256, layers: 2, attention: "none" });
 */
export class LstmTranslator extends Module implements SequenceToSequence {
  readonly options: Required<LstmTranslatorOptions>;
  readonly source: Embedding;
  readonly target: Embedding;
  readonly encoder: readonly BidirectionalLstm[];
  readonly decoder: readonly Lstm[];
  readonly attention: LuongAttention | undefined;
  /** What stands in attention's place: the state alone is read off. */
  readonly readOff: Linear | undefined;
  /** The output's own table [vocabulary, dModel] where it is not tied. */
  readonly output: Embedding;
  /** [vocabulary] */
  readonly outputBias: Parameter;
  readonly #dropout: Dropout;

  constructor(options: LstmTranslatorOptions) {
    super();
    const { vocabularySize, dModel = 512, dHidden = dModel } = options;
    const isJoint = typeof vocabularySize === "number";
    this.options = {
      dModel,
      dHidden,
      layers: 2,
      dropout: 0.2,
      attention: "luong",
      tying: isJoint ? "three-way" : "two-way",
      maxPositions: 1024,
      pad: 0,
      ...options,
    };
    const { layers, tying, dropout, attention } = this.options;
    if (tying === "three-way" && !isJoint) {
      throw new ConfigError(
        "model.tying",
        "three-way tying needs one vocabulary for both languages (got one each). Take two-way or a joint vocabulary.",
      );
    }
    const sizes = isJoint ? { source: vocabularySize, target: vocabularySize } : vocabularySize;
    this.source = new Embedding({ vocabularySize: sizes.source, dModel });
    this.target = tying === "three-way" ? this.source : new Embedding({ vocabularySize: sizes.target, dModel });
    const widths = Array.from({ length: layers }, (_, layer) => ({
      from: layer === 0 ? dModel : dHidden,
      to: dHidden,
    }));
    this.encoder = widths.map((width) => new BidirectionalLstm(width));
    this.decoder = widths.map((width) => new Lstm(width));
    this.attention = attention === "luong" ? new LuongAttention({ width: dHidden, to: dModel }) : undefined;
    this.readOff = attention === "luong" ? undefined : new Linear({ from: dHidden, to: dModel, bias: false });
    this.output = tying === "none" ? new Embedding({ vocabularySize: sizes.target, dModel }) : this.target;
    this.outputBias = new Parameter({ shape: [sizes.target], initializer: zeros });
    this.#dropout = new Dropout(dropout);
  }

  get pad(): number {
    return this.options.pad;
  }

  get maxPositions(): number {
    return this.options.maxPositions;
  }

  outputLayer(): OutputLayer {
    return { table: this.output.table.value, bias: this.outputBias.value };
  }

  /** sourceIds [batch, sourceTime] → what attention looks at, and the state of each layer at the end. */
  encode(sourceIds: Tensor): { memory: LuongMemory | undefined; states: readonly LstmState[] } {
    const valid = notPadding(sourceIds, this.options.pad);
    const states: LstmState[] = [];
    let x = this.source.forward(sourceIds);
    for (const layer of this.encoder) {
      const { output, state } = layer.forward(this.#dropout.forward(x), { valid });
      states.push(state);
      x = output;
    }
    if (this.attention === undefined) return { memory: undefined, states };
    const values = this.#dropout.forward(x); // [batch, sourceTime, dHidden]
    const [batch, sourceTime] = sourceIds.shape as readonly [Dim, Dim];
    const bias = reshape(maskBias(valid), [batch, 1, sourceTime]);
    return { memory: { values, keys: this.attention.keys(values), bias }, states };
  }

  /** Padding behind a target changes nothing before it, so targets need no mask. */
  teacherForced(sourceIds: Tensor, targetIds: Tensor): { hidden: Tensor; reports: PassReports } {
    return { hidden: this.#write(sourceIds, targetIds).output, reports: new PassReports() };
  }

  crossAttention(sourceIds: Tensor, targetIds: Tensor): readonly Tensor[] {
    const { weights } = this.#write(sourceIds, targetIds);
    if (weights === undefined) return [];
    const [batch, targetTime, sourceTime] = weights.shape as readonly [Dim, Dim, Dim];
    return [reshape(weights, [batch, 1, targetTime, sourceTime])];
  }

  #write(sourceIds: Tensor, targetIds: Tensor): { output: Tensor; weights?: Tensor } {
    const { memory, states } = this.encode(sourceIds);
    let x = this.target.forward(targetIds);
    for (const [i, layer] of this.decoder.entries())
      x = layer.forward(this.#dropout.forward(x), { state: states[i] }).output;
    return this.#look(x, memory);
  }

  /**
   * `state.0.hidden`, `state.0.cell` … [batch, dHidden] of every layer; with attention also `values` and `keys`
   * [batch, sourceTime, dHidden] and `bias` [batch, 1, sourceTime].
   */
  readSource(sourceIds: Tensor): Record<string, Tensor> {
    const { memory, states } = this.encode(sourceIds);
    const begun = states.flatMap(({ hidden, cell }, i) => [
      [`state.${i}.hidden`, hidden],
      [`state.${i}.cell`, cell],
    ]);
    return { ...Object.fromEntries(begun), ...memory };
  }

  step(trace: StepTrace): Tensor {
    const { dHidden } = this.options;
    let x = this.target.forward(trace.tokens); // [rows, dModel]
    for (const [i, layer] of this.decoder.entries()) {
      const state = {
        hidden: trace.state(`${i}.hidden`, [dHidden]),
        cell: trace.state(`${i}.cell`, [dHidden]),
      };
      const next = layer.step(this.#dropout.forward(x), state);
      trace.leave(`${i}.hidden`, next.hidden);
      trace.leave(`${i}.cell`, next.cell);
      x = next.hidden;
    }
    if (this.attention === undefined) return this.#look(x, undefined).output;
    const { batch, beams, rows } = trace;
    const sourceTime = dim("sourceTime");
    const memory = {
      values: trace.given("values", "float32", [batch, sourceTime, dHidden]),
      keys: trace.given("keys", "float32", [batch, sourceTime, dHidden]),
      bias: trace.given("bias", "float32", [batch, 1, sourceTime]),
    };
    // Rows lie beam by beam; the beams of a sentence are queries side by side.
    const asked = transpose(reshape(x, [beams, batch, dHidden]), [1, 0, 2]); // [batch, beams, dHidden]
    const { output, weights } = this.#look(asked, memory);
    trace.looked.push(reshape(weights!, [batch, 1, beams, sourceTime]));
    return reshape(transpose(output, [1, 0, 2]), [rows, this.options.dModel]);
  }

  /** [.., dHidden] → what the output layer reads, [.., dModel], and with attention where it looked, [.., time] */
  #look(x: Tensor, memory: LuongMemory | undefined): { output: Tensor; weights?: Tensor } {
    const kept = this.#dropout.forward(x);
    if (this.attention === undefined || memory === undefined)
      return { output: this.#dropout.forward(tanh(this.readOff!.forward(kept))) };
    const { output, weights } = this.attention.forward(kept, memory);
    return { output: this.#dropout.forward(output), weights };
  }
}
