// How a translation's model writes: token after token, by itself or with others, or all places at once.
import { ConfigError, type HostTensor } from "../base/index.ts";
import { ensemble, type Hypothesis, type Stepper } from "../decode/index.ts";
import type { SessionOptions } from "../engine/index.ts";
import {
  NonAutoregressiveDecoder,
  NonAutoregressiveTransformer,
  TransformerDecoder,
  type SequenceToSequence,
  type StepperOptions,
} from "../models/index.ts";
import type { SentenceFromIds } from "./decoding-joining.ts";
import { idRows } from "./decoding-score.ts";
import { decodeBatch, rowsASentence, stepperOptionsOf, type DecodeBatchOptions } from "./decoding-search.ts";
import type { Weights } from "./learning.ts";
import { predictedLengths, writeInOnePass, type TranslationModel } from "./non-autoregressive.ts";

export interface WriterOptions {
  weights: Weights;
  session: SessionOptions;
  precision: "float32" | "int8";
  /** Fills up sources. */
  pad: number;
}

export type TranslationWriter = StepwiseWriter | OnePassWriter;

/** What writes with this model. */
export function writerOf(model: TranslationModel, options: WriterOptions): TranslationWriter {
  return model instanceof NonAutoregressiveTransformer
    ? new OnePassWriter(model, options)
    : new StepwiseWriter(model, options);
}

/** Writes token after token. */
export class StepwiseWriter {
  readonly #decoder: TransformerDecoder;
  readonly #pad: number;

  constructor(model: SequenceToSequence, { weights, session, precision, pad }: WriterOptions) {
    this.#decoder = new TransformerDecoder(model, weights, session, { precision });
    this.#pad = pad;
  }

  /** Reads sources, with the models of the others too: every step then takes their mean. */
  async start(
    sources: readonly (readonly number[])[],
    options: StepperOptions,
    others: readonly TranslationWriter[] = [],
  ): Promise<Stepper> {
    const own = await this.#decoder.start(idRows(sources, this.#pad), options);
    if (others.length === 0) return own;
    const theirs: Stepper[] = [];
    for (const other of others) theirs.push(await stepwise(other).start(sources, options));
    return ensemble([own, ...theirs]);
  }

  /** A stepper for sentences that join, see `TransformerDecoder.open`. */
  open(sourceOf: (sentence: number) => readonly number[], options: StepperOptions): Stepper {
    return this.#decoder.open(sourceOf, options);
  }

  /** The outputs of every sentence of a batch, best first. */
  async write(
    sentences: readonly SentenceFromIds[],
    options: DecodeBatchOptions,
    others: readonly TranslationWriter[] = [],
  ): Promise<Hypothesis[][]> {
    const { choices } = options;
    const rows = sentences.flatMap(({ ids }) => new Array<readonly number[]>(rowsASentence(choices)).fill(ids));
    return decodeBatch(await this.start(rows, stepperOptionsOf(sentences, choices), others), sentences, options);
  }

  swapAdapter(values: Weights): void {
    this.#decoder.swapAdapter(values);
  }

  dispose(): Promise<void> {
    return this.#decoder.dispose();
  }
}

/** Writes all places at once. */
export class OnePassWriter {
  readonly predictsLengths: boolean;
  readonly #decoder: NonAutoregressiveDecoder;
  readonly #pad: number;

  constructor(model: NonAutoregressiveTransformer, { weights, session, precision, pad }: WriterOptions) {
    this.predictsLengths = model.options.length === "predicted";
    this.#decoder = new NonAutoregressiveDecoder(model, weights, session, { precision });
    this.#pad = pad;
  }

  write(sentences: readonly SentenceFromIds[], { choices, signal }: DecodeBatchOptions): Promise<Hypothesis[][]> {
    return writeInOnePass(this.#decoder, this.#rows(sentences.map(({ ids }) => ids)), {
      ...choices,
      ...(signal && { signal }),
    });
  }

  /** The likeliest length of each source's output, END counted. */
  lengths(sources: readonly (readonly number[])[]): Promise<number[]> {
    return predictedLengths(this.#decoder, this.#rows(sources));
  }

  swapAdapter(values: Weights): void {
    this.#decoder.swapAdapter(values);
  }

  dispose(): Promise<void> {
    return this.#decoder.dispose();
  }

  #rows(sources: readonly (readonly number[])[]): HostTensor<"int32"> {
    return idRows(sources, this.#pad);
  }
}

/** The writer, refused if it takes no steps. */
export function stepwise(writer: TranslationWriter): StepwiseWriter {
  if (writer instanceof StepwiseWriter) return writer;
  throw new ConfigError("model", "writes all places at once; there are no steps to take.");
}
