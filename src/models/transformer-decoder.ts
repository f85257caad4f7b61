// A trained model that reads a source and writes a target.
import { ConfigError, type HostTensor } from "../base/index.ts";
import { withoutDropout } from "../tensor/index.ts";
import { sourceProgram } from "./decoding-programs.ts";
import type { SequenceToSequence } from "./sequence-to-sequence.ts";
import { StepPrograms, type StepperOptions } from "./step-programs.ts";
import { TransformerStepper } from "./transformer-stepper.ts";

/** Writes targets of sources that it reads first. */
export class TransformerDecoder extends StepPrograms<SequenceToSequence> {
  /** Reads a batch of sources [sentences, sourceTime] and returns what a search needs to write their targets. */
  async start(sourceIds: HostTensor<"int32">, options: StepperOptions = {}): Promise<TransformerStepper> {
    const [sentences, sourceTime] = sourceIds.dims as readonly [number, number];
    this.check(options, sentences);
    const memory = await this.#read(sourceIds);
    const { pad } = this.model;
    const lengthOf = (sentence: number): number => {
      const own = sourceIds.data.subarray(sentence * sourceTime, (sentence + 1) * sourceTime);
      return own.reduce((count, id) => count + (id === pad ? 0 : 1), 0);
    };
    return new TransformerStepper(this, memory, sentences, { ...options, lengthOf });
  }

  /**
   * Writes targets of sources that come later: a sentence joins when a search's steps first name it, and `sourceOf` must then know
   * the ids of its source.
   * @example
   * const stepper = decoder.open((sentence) => sources[sentence]!);
   * const outputs = await beamSearch(stepper, { start: 1, end: 2, maxTokens: 50, admit: inPlaces(sources.length, 32) });
   */
  open(sourceOf: (sentence: number) => readonly number[], options: StepperOptions = {}): TransformerStepper {
    if (!this.letsJoin)
      throw new ConfigError(
        "model",
        `sentences cannot join a batch of this model under way: ${this.kept.bound.join(", ")} must know where a text began. Start with all sentences.`,
      );
    this.check(options);
    const lengthOf = (sentence: number): number => sourceOf(sentence).length;
    return new TransformerStepper(this, {}, 0, {
      ...options,
      lengthOf,
      sources: {
        read: (sentences) => {
          const sources = sentences.map(sourceOf);
          const time = Math.max(...sources.map(({ length }) => length));
          const data = new Int32Array(sources.length * time).fill(this.model.pad);
          sources.forEach((ids, row) => data.set(ids, row * time));
          return this.#read({ dtype: "int32", dims: [sources.length, time], data });
        },
        lengthOf,
      },
    });
  }

  async #read(sourceIds: HostTensor<"int32">): Promise<Record<string, HostTensor>> {
    const source = await this.program("source", () => withoutDropout(sourceProgram(this.model)));
    return source.run({ ...this.adapter, sourceIds });
  }
}
