// The Transformer whose decoder writes the whole output at once. Gu et al. 2018, "Non-Autoregressive Neural Machine Translation".
import { ConfigError } from "../base/index.ts";
import { AttentionScope, notPadding, Pass, type KeyValue, type PassReports } from "../nn/index.ts";
import {
  add,
  addDims,
  cast,
  constant,
  equal,
  expand,
  floorDiv,
  less,
  maximum,
  minimum,
  mul,
  mulDims,
  pick,
  range,
  reshape,
  sub,
  sum,
  where,
  type Dim,
  type Tensor,
} from "../tensor/index.ts";
import { sparePlaces } from "./block-places.ts";
import type { DecoderTrace } from "./decoder.ts";
import {
  EncoderDecoder,
  timeOf,
  type EncodedSource,
  type ResolvedTransformerOptions,
  type TransformerOptions,
} from "./encoder-decoder.ts";
import { LengthPredictor } from "./length-predictor.ts";

/**
 * How an output gets its length. "predicted": a predictor says it beforehand. "cut-at-end": a block that is long enough is
 * filled, and cut at the first END. "ctc": such a block is read as connectionist temporal classification reads its frames.
 */
export type OutputLength = "predicted" | "cut-at-end" | "ctc";

/**
 * What stands at a place that is still to be written. "start": START. "source": the source, stretched or shrunk to the output's
 * length. "masked": START too, but training shows a part of the target, so that decoding can write in several passes.
 */
export type DecoderInput = "start" | "source" | "masked";

export interface NonAutoregressiveOptions extends TransformerOptions {
  length?: OutputLength;
  decoderInput?: DecoderInput;
  /** Places of a block a source token, END counted: of cut-at-end and ctc. */
  upsampling?: number | undefined;
  /** The most tokens by which a predicted length may differ from the source's. */
  lengthReach?: number | undefined;
  /** Id that stands where nothing is written yet; ctc takes it for its blank. No target holds it but at its beginning. */
  start: number;
  /** Id of the end of a target. */
  end: number;
}

export interface ResolvedNonAutoregressiveOptions extends ResolvedTransformerOptions {
  length: OutputLength;
  decoderInput: DecoderInput;
  upsampling: number;
  lengthReach: number;
  start: number;
  end: number;
}

/**
 * A Transformer whose output's places are all written in one pass: the decoder's self-attention sees every place, and what goes
 * in is a canvas, START where nothing is written yet. The other parts are those of `Transformer`.
 * @example
 * const model = new NonAutoregressiveTransformer({ vocabularySize: 8000, dModel: 256, heads: 4, start: 2, end: 3 });
 */
export class NonAutoregressiveTransformer extends EncoderDecoder {
  declare readonly options: ResolvedNonAutoregressiveOptions;
  /** Where the length is predicted. */
  readonly lengths: LengthPredictor | undefined;

  constructor(given: NonAutoregressiveOptions) {
    const { length = "predicted", decoderInput = "start", upsampling, lengthReach } = given;
    const refuse = (key: string, problem: string): never => {
      throw new ConfigError(`model.${key}`, problem);
    };
    if (decoderInput === "masked" && length !== "predicted")
      refuse(
        "decoderInput",
        `masked needs places that keep their meaning between passes: length predicted (got ${length}).`,
      );
    if (length === "predicted" && upsampling !== undefined)
      refuse("upsampling", "has no effect with length predicted. Remove it.");
    if (length !== "predicted" && lengthReach !== undefined)
      refuse("lengthReach", `has no effect with length ${length}. Remove it.`);
    const chosen = { ...given, length, decoderInput, upsampling: upsampling ?? 2, lengthReach: lengthReach ?? 50 };
    super(chosen, {
      isCausal: false,
      reads: decoderInput === "source" ? "source" : "target",
      ownOptions: ["length", "decoderInput", "upsampling", "lengthReach", "start", "end"],
    });
    this.lengths =
      length === "predicted"
        ? new LengthPredictor({ dModel: this.options.dModel, reach: chosen.lengthReach })
        : undefined;
  }

  /** The most tokens of a source: its block, too, has to have positions. */
  override get maxPositions(): number {
    const { length, maxPositions, upsampling } = this.options;
    return length === "predicted" ? maxPositions : Math.floor((maxPositions - sparePlaces) / upsampling);
  }

  /** Places of the block for a source of so many tokens, END counted. */
  blockTime(sourceTokens: Dim): Dim {
    return addDims(mulDims(this.options.upsampling, sourceTokens), sparePlaces);
  }

  /** An empty canvas for these sources: int32 [batch, blockTime], START at each row's own places, padding behind them. */
  emptyBlock(sourceIds: Tensor): Tensor {
    const { start, pad, upsampling } = this.options;
    const tokens = tokensOf(notPadding(sourceIds, pad)); // [batch]
    const places = add(mul(tokens, whole(upsampling)), whole(sparePlaces));
    const time = this.blockTime(timeOf(sourceIds));
    const isPlace = less(reshape(range(time), [1, time]), reshape(places, [tokens.shape[0]!, 1]));
    return where(isPlace, whole(start), whole(pad));
  }

  /**
   * One pass over canvases int32 [batch, time]: START where something is to be written, a token where it is written already,
   * padding behind the last place → what the decoder makes of every place, [batch, time, dModel] and how.
   */
  fill(sourceIds: Tensor, canvas: Tensor, encoded: EncodedSource, reports?: PassReports): DecoderTrace {
    const memory = this.decoder.memoryKeysAndValues(encoded.memories);
    const [batch, time] = canvas.shape as readonly [Dim, Dim];
    return this.fillFrom(memory, sourceIds, reshape(canvas, [batch, 1, time]), reports);
  }

  /**
   * The same for several canvases a source, int32 [batch, candidates, time], from the keys and values of each decoder layer,
   * [batch, keyValueHeads, sourceTime, dHead] → [batch · candidates, time, dModel]. A source's canvases look at it side by side,
   * as queries of one product, so nothing of it is repeated for them.
   */
  fillFrom(memory: readonly KeyValue[], sourceIds: Tensor, canvas: Tensor, reports?: PassReports): DecoderTrace {
    const { pad, dModel } = this.options;
    const [batch, candidates, time] = canvas.shape as readonly [Dim, Dim, Dim];
    const rows = mulDims(batch, candidates);
    const flat = reshape(canvas, [rows, time]);
    const sourceKeys = notPadding(sourceIds, pad);
    const isPlace = notPadding(flat, pad);
    const pass = new Pass(isPlace, reports);
    const self = new AttentionScope({ queryTime: time, keys: isPlace, positions: this.decoder.positions });
    const asked = mulDims(candidates, time);
    const cross = new AttentionScope({ queryTime: asked, keyTime: timeOf(sourceIds), keys: sourceKeys });
    const ids =
      this.options.decoderInput === "source"
        ? where(equal(flat, whole(this.options.start)), this.#copied(sourceIds, sourceKeys, canvas, isPlace), flat)
        : flat;
    const x = this.target.forward(ids, range(time), pass);
    return this.decoder.forward(
      x,
      (layer) => ({
        self: (mixer, y) => mixer.forward(y, self, pass),
        cross: (attention, y) => {
          const query = attention.splitHeads(
            attention.query.forward(reshape(y, [batch, asked, dModel])),
            attention.heads,
          );
          const { output, weights } = attention.attend(query, memory[layer]!, cross);
          return { output: reshape(output, [rows, time, dModel]), weights };
        },
      }),
      pass,
    );
  }

  /**
   * The source's ids at the places of the canvas, evenly: place t of m takes source token ⌊(t + ½) · n / m⌋ of n. (Gu et al.
   * 2018, section 3.1, "copy source inputs uniformly".) → [batch · candidates, time]
   */
  #copied(sourceIds: Tensor, sourceKeys: Tensor, canvas: Tensor, isPlace: Tensor): Tensor {
    const [batch, candidates, time] = canvas.shape as readonly [Dim, Dim, Dim];
    const rows = mulDims(batch, candidates);
    const sourceTime = timeOf(sourceIds);
    const repeat = (x: Tensor, width: Dim): Tensor =>
      reshape(expand(reshape(x, [batch, 1, width]), [batch, candidates, width]), [rows, width]);
    const n = repeat(tokensOf(sourceKeys), 1); // [rows, 1]
    const m = maximum(reshape(tokensOf(isPlace), [rows, 1]), whole(1));
    const twice = add(mul(reshape(range(time), [1, time]), whole(2)), whole(1)); // 2t + 1
    const from = minimum(floorDiv(mul(twice, n), mul(m, whole(2))), maximum(sub(n, whole(1)), whole(0)));
    return where(isPlace, pick(repeat(sourceIds, sourceTime), from, 1), whole(this.options.pad));
  }

  /**
   * Where each token of a target [batch, targetTime] would look, were it written in one pass at its true length: [batch, heads,
   * targetTime, sourceTime] a layer. Only where places stand for tokens: with a predicted length.
   */
  crossAttention(sourceIds: Tensor, targetIds: Tensor): readonly Tensor[] {
    const { length, start, pad } = this.options;
    if (length !== "predicted") return [];
    const canvas = where(notPadding(targetIds, pad), whole(start), whole(pad));
    return this.fill(sourceIds, canvas, this.encode(sourceIds)).crossAttention.flatMap((weights) => weights ?? []);
  }
}

/** How many of each row count: bool [rows, time] → int32 [rows]. */
export function tokensOf(counts: Tensor): Tensor {
  return sum(cast(counts, "int32"), { axes: [1] });
}

/** A whole number beside ids. */
export function whole(value: number): Tensor {
  return constant({ dtype: "int32", dims: [], data: Int32Array.of(value) });
}
