// The encoder-decoder Transformer of "Attention Is All You Need" (Vaswani et al. 2017), put together from parts.
import { ConfigError } from "../base/index.ts";
import { AttentionScope, notPadding, Pass } from "../nn/index.ts";
import { dim, lessOrEqual, or, range, transpose, type Tensor } from "../tensor/index.ts";
import type { DecoderTrace } from "./decoder.ts";
import { EncoderDecoder, timeOf, type EncodedSource, type TransformerOptions } from "./encoder-decoder.ts";
import type { SequenceToSequence } from "./sequence-to-sequence.ts";
import { stepCrossAttention, stepMix } from "./step-mixing.ts";
import type { StepTrace } from "./step-trace.ts";

export interface TransformerTrace {
  readonly encoder: EncodedSource;
  readonly decoder: DecoderTrace;
  readonly reports: Pass["reports"];
}

/** One decoder layer's attention to the source, as it is traced: where q, k and v come from, what they are, and where it looked. */
export interface CrossAttentionParts {
  /** q is made of it: what masked self-attention left, [batch, targetTime, dModel]. */
  readonly input: Tensor;
  /** k and v are made of it: [batch, sourceTime, dModel]. */
  readonly memory: Tensor;
  /** [batch, heads, targetTime, dHead] */
  readonly query: Tensor;
  /** [batch, keyValueHeads, sourceTime, dHead] each. */
  readonly key: Tensor;
  readonly value: Tensor;
  /** softmax(q kᵀ / √dHead): [batch, heads, targetTime, sourceTime]. */
  readonly weights: Tensor;
}

/**
 * Encoder and decoder with everything between token ids and logits. All masks are worked out inside from the ids.
 * @example
 * const model = new Transformer({ vocabularySize: 8000, dModel: 256, heads: 4, layers: 3, dFeedForward: 1024 });
 */
export class Transformer extends EncoderDecoder implements SequenceToSequence {
  constructor(options: TransformerOptions) {
    super(options, { isCausal: true, reads: "target" });
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

  /** What each decoder layer asks the encoder, teacher-forced, and of what; see `CrossAttentionParts`. */
  crossAttentionParts(sourceIds: Tensor, targetIds: Tensor): { hidden: Tensor; layers: CrossAttentionParts[] } {
    const { encoder, decoder } = this.forward(sourceIds, targetIds);
    const layers = decoder.layers.map(({ crossInput, cross, crossWeights }, layer) => {
      if (!("query" in cross) || crossWeights === undefined)
        throw new ConfigError(`layer ${layer}`, "its attention to the source keeps no weights as a whole.");
      const { query, key, value } = cross;
      return { input: crossInput, memory: encoder.memories[layer]!, query, key, value, weights: crossWeights };
    });
    return { hidden: decoder.output, layers };
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
    return this.decoder.forward(this.target.forward(trace.tokens, trace.places), (layer) => ({
      self: (mixer, x) => stepMix(trace, mixer, x, { layer, positions }),
      cross: (attention, x) => stepCrossAttention(trace, attention, x, memory[layer]!, bias),
    })).output;
  }
}
