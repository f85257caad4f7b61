// The decoder alone: every token is asked for the next one. Radford et al. 2018 (GPT).
import { ConfigError } from "../base/index.ts";
import {
  AttentionScope,
  Embedding,
  Module,
  notPadding,
  Parameter,
  Pass,
  zeros,
  type PassReports,
} from "../nn/index.ts";
import { affine, dim, input, lessOrEqual, or, range, slice, subDims, type Tensor } from "../tensor/index.ts";
import { Encoder, EncoderLayer, type EncoderTrace } from "./encoder.ts";
import { readMix, readsAtOnce, type Reader, type ReadTrace } from "./read-trace.ts";
import type { OutputLayer } from "./sequence-to-sequence.ts";
import { resolveSingleStack, singleStackParts, type SingleStackOptions } from "./single-stack.ts";
import type { StackInput } from "./stack-parts.ts";
import { stepMix } from "./step-mixing.ts";
import type { StepTrace } from "./step-trace.ts";
import { tokenLoss, type LossProgram } from "./token-loss.ts";

export interface LanguageModelOptions extends SingleStackOptions {
  /** Whether the output layer is the embedding table. */
  tying?: boolean;
  /** Multiply embeddings by √dModel. */
  scaleEmbeddings?: boolean;
  outputBias?: boolean;
}

export type ResolvedLanguageModelOptions = Required<LanguageModelOptions>;

export interface LanguageModelTrace extends EncoderTrace {
  readonly reports: PassReports;
}

/**
 * A causal stack with everything between ids and logits. By itself it is GPT: pre-norm, GELU, learned positions, one table for
 * input and output.
 * @example
 * const model = new LanguageModel({ vocabularySize: 256, ...gptPresets["gpt-tiny"], positions: "rotary" });
 */
export class LanguageModel extends Module implements Reader {
  readonly options: ResolvedLanguageModelOptions;
  readonly input: StackInput;
  readonly decoder: Encoder;
  /** The output's own table [vocabulary, dModel] where it is not tied. */
  readonly output: Embedding;
  readonly outputBias: Parameter | undefined;

  constructor(options: LanguageModelOptions) {
    super();
    const { tying = true, scaleEmbeddings = false, outputBias = false } = options;
    const resolved = resolveSingleStack(options, "decoder", { norm: "pre" }, [
      "tying",
      "scaleEmbeddings",
      "outputBias",
    ]);
    this.options = { ...resolved, tying, scaleEmbeddings, outputBias };
    const { vocabularySize, dModel } = options;
    const parts = singleStackParts(resolved, "decoder");
    const table = (): Embedding =>
      new Embedding({ vocabularySize, dModel, scale: scaleEmbeddings ? Math.sqrt(dModel) : 1 });
    this.input = parts.input(table());
    this.decoder = new Encoder(parts, () => new EncoderLayer(parts));
    this.output = tying ? this.input.embedding : table();
    this.outputBias = outputBias ? new Parameter({ shape: [vocabularySize], initializer: zeros }) : undefined;
  }

  get pad(): number {
    return this.options.pad;
  }

  get maxPositions(): number {
    return this.options.maxPositions;
  }

  /** ids [batch, time], padded at the end → what stands at each position after the last layer. */
  forward(ids: Tensor): LanguageModelTrace {
    const [time, pass] = [ids.shape[1]!, this.#pass(ids)];
    const scope = new AttentionScope({ queryTime: time, isCausal: true, positions: this.decoder.positions });
    const x = this.input.forward(ids, range(time), pass);
    return { ...this.decoder.forward(x, scope, pass), reports: pass.reports };
  }

  /** Experts and norms must not count padding; what comes first counts, whatever its id. */
  #pass(ids: Tensor): Pass {
    const isFirst = lessOrEqual(range(ids.shape[1]!), range(1));
    return new Pass(or(notPadding(ids, this.options.pad), isFirst));
  }

  outputLayer(): OutputLayer {
    return { table: this.output.table.value, bias: this.outputBias?.value };
  }

  /** hidden [.., dModel] → logits [.., vocabulary] */
  logits(hidden: Tensor): Tensor {
    const { table, bias } = this.outputLayer();
    return affine(hidden, table, bias, { transposeB: true });
  }

  get readsAtOnce(): boolean {
    return this.decoder.layers.every(({ selfAttention }) => readsAtOnce(selfAttention));
  }

  read(trace: ReadTrace): void {
    const scope = trace.scope(this.decoder.positions);
    const x = this.input.forward(trace.ids, range(trace.time));
    this.decoder.each(x, (layer) => (mixer, y) => readMix(trace, mixer, y, { layer, scope }));
  }

  step(trace: StepTrace): Tensor {
    const { positions } = this.decoder;
    if (trace.stream !== undefined && this.input.positions !== undefined) {
      throw new ConfigError(
        "model.positions",
        "a table of positions runs out, so this model cannot read a text without end. Take rotary, alibi, relative or none",
      );
    }
    return this.decoder.each(
      this.input.forward(trace.tokens, trace.places),
      (layer) => (mixer, x) => stepMix(trace, mixer, x, { layer, positions }),
    ).output;
  }
}

/**
 * Cross-entropy of each token given those before it. Inputs: `ids` [batch, length] int32, padded at the end; each place but the
 * last is asked for the id that follows it, unless that is padding. `tokenWeight` as in `teacherForcing`.
 */
export function nextToken(model: LanguageModel, { labelSmoothing = 0 }: { labelSmoothing?: number } = {}): LossProgram {
  const ids = input("ids", "int32", [dim("batch"), dim("length")]);
  const tokenWeight = input("tokenWeight", "float32", []);
  const labels = slice(ids, { axis: 1, start: 1 });
  const { output: hidden, reports } = model.forward(slice(ids, { axis: 1, end: subDims(ids.shape[1]!, 1) }));
  const output = model.outputLayer();
  return {
    inputs: { ids, tokenWeight },
    ...tokenLoss({ hidden, labels, ignored: model.pad, output, tokenWeight, labelSmoothing, reports }),
  };
}
