// A trained language model that goes on writing where texts begin.
import { ShapeError, type HostTensor } from "../base/index.ts";
import { withoutDropout } from "../tensor/index.ts";
import { readProgram, type Reader } from "./read-trace.ts";
import type { Writer } from "./sequence-to-sequence.ts";
import { StepPrograms, type StepperOptions } from "./step-programs.ts";
import { TransformerStepper } from "./transformer-stepper.ts";

/**
 * Goes on writing where texts begin. With `stream` a text may go on for ever: memory and time a token stay as they are, for
 * models that are told of places within attention or not at all.
 * @example
 * const decoder = new LanguageModelDecoder(model, weights, {}, { stream: { sinks: 4, window: 1024 } });
 */
export class LanguageModelDecoder extends StepPrograms {
  /**
   * Reads the beginnings of texts, all of one length, up to their last token; a search goes on from that one, so its `start` is
   * the last token of each. Without a beginning the search's own start token is the first.
   */
  async start(
    beginnings: readonly (readonly number[])[],
    { dropoutSeeds }: Pick<StepperOptions, "dropoutSeeds"> = {},
  ): Promise<TransformerStepper> {
    const length = beginnings[0]?.length ?? 0;
    if (beginnings.some((tokens) => tokens.length !== length))
      throw new ShapeError("beginnings of one length are wanted in a batch; sort texts by their number of tokens");
    const sentences = beginnings.length;
    this.check({ dropoutSeeds }, sentences);
    // Which values are dropped is drawn step by step.
    const atOnce = dropoutSeeds === undefined ? this.#tokensAtOnce(length - 1) : 0;
    const { entries, ...states }: Readonly<Record<string, HostTensor>> =
      atOnce === 0 ? {} : await this.#readAtOnce(beginnings, atOnce);
    const stepper = new TransformerStepper(this, states, sentences, { dropoutSeeds });
    if (atOnce > 0) stepper.begin(atOnce, entries);
    const rows = Int32Array.from({ length: sentences }, (_, i) => i);
    for (let place = atOnce; place + 1 < length; place++)
      await stepper.read({
        sentences: rows,
        beams: 1,
        tokens: Int32Array.from(beginnings, (tokens) => tokens[place]!),
        parents: rows,
      });
    return stepper;
  }

  /** How many of so many tokens are read in one pass: where a text has no end, as many as stay in sight. */
  #tokensAtOnce(tokens: number): number {
    const { stream } = this.kept;
    const most = Math.min(tokens, stream === undefined ? Infinity : stream.sinks + stream.window - 1);
    return most >= fewTokens && isReader(this.model) && this.model.readsAtOnce ? most : 0;
  }

  async #readAtOnce(
    beginnings: readonly (readonly number[])[],
    tokens: number,
  ): Promise<Readonly<Record<string, HostTensor>>> {
    const program = await this.program("read", () =>
      withoutDropout(readProgram(this.model as Reader, this.kept.stream)),
    );
    const data = Int32Array.from(beginnings.flatMap((beginning) => beginning.slice(0, tokens)));
    return program.run({ ...this.adapter, ids: { dtype: "int32", dims: [beginnings.length, tokens], data } });
  }
}

/** Fewer tokens are read one by one: a program of its own would take longer to make than it saves. */
const fewTokens = 8;

function isReader(model: Writer): model is Reader {
  return "read" in model;
}
