// The programs of decoding, compiled when they are first asked for, with the weights of one model in them.
import { ConfigError, type HostTensor } from "../base/index.ts";
import { compile, quantized, type Executable, type SessionOptions } from "../engine/index.ts";
import { isAdapterParameter } from "../nn/index.ts";
import { randomInputs, withoutDropout, type Program } from "../tensor/index.ts";
import { stepProgram, type StepOptions } from "./decoding-programs.ts";
import { listedRowsProgram, type TokenLists } from "./listed-outputs.ts";
import { withRowDropout } from "./row-dropout.ts";
import type { Writer } from "./sequence-to-sequence.ts";
import { sourceAttention, type SourceAttentionChoice } from "./source-attention.ts";
import { StepTrace, type StreamReach } from "./step-trace.ts";

export interface StepProgramsOptions {
  /** Reads a text without end. */
  stream?: StreamReach;
  /**
   * "int8" rounds weights, and what they are multiplied with, to whole numbers of 8 bits: faster on processors that have products of
   * these, a little less exact, and no longer independent of what else is in the batch, which shares the rounding's step.
   */
  precision?: "float32" | "int8";
}

/** What steps do besides scoring tokens. */
export interface StepperOptions {
  /** They also show where they look in the source, by the attention of this layer and head; `{}` is the last layer's mean. */
  attention?: SourceAttentionChoice | undefined;
  /**
   * They drop values as in training, for variety or to see how sure a model is (Gal and Ghahramani 2016, "Dropout as a Bayesian
   * Approximation"; Shen et al. 2018, "Tacotron 2", section 2.3): a seed for each sentence, which with the number of the step
   * decides what is dropped, whatever else is in the batch. What reads the source drops nothing.
   */
  dropoutSeeds?: readonly number[] | undefined;
  /** They score listed tokens alone, and all others −∞: the softmax is over the list. */
  lists?: TokenLists | undefined;
}

/** Compiled steps of one model with its weights, shared by all batches that are written with it. */
export class StepPrograms<Model extends Writer = Writer> {
  readonly model: Model;
  readonly vocabularySize: number;
  /** What steps keep from one to the next, as one traced step asked for it. */
  readonly kept: StepTrace;
  /** Weights of adapters; they are fed at every run, so that others can take their place. */
  #adapter: Readonly<Record<string, HostTensor>>;
  readonly #stream: StreamReach | undefined;
  readonly #precision: "float32" | "int8";
  readonly #frozen: ReadonlyMap<string, HostTensor>;
  readonly #session: SessionOptions;
  #hasDropout: boolean | undefined;
  readonly #compiled = new Map<string, Promise<Executable>>();

  /**
   * `weights` by parameter name; they are copied into the programs, but for those of
   * adapters, so later changes have no effect here.
   */
  constructor(
    model: Model,
    weights: ReadonlyMap<string, HostTensor>,
    session: SessionOptions = {},
    { stream, precision = "float32" }: StepProgramsOptions = {},
  ) {
    this.model = model;
    this.#precision = precision;
    this.#stream = stream;
    this.vocabularySize = model.outputLayer().table.shape[0] as number;
    const trace = new StepTrace(1, stream);
    model.step(trace);
    this.kept = trace;
    const entries = [...weights];
    this.#frozen = new Map(entries.filter(([name]) => !isAdapterParameter(name)));
    this.#adapter = Object.fromEntries(entries.filter(([name]) => isAdapterParameter(name)));
    this.#session = session;
  }

  /** Whether sentences may join while others are being written: not where a part counts places from the beginning. */
  get letsJoin(): boolean {
    return this.kept.bound.length === 0 && this.#stream === undefined;
  }

  get adapter(): Readonly<Record<string, HostTensor>> {
    return this.#adapter;
  }

  /**
   * Goes on with another adapter of the same kind and shape; nothing is compiled or loaded anew. `values` by parameter name, as
   * `loadAdapter` of heddle/hub gives them. Batches under way go on with it too.
   */
  swapAdapter(values: ReadonlyMap<string, HostTensor>): void {
    const [missing] = Object.keys(this.#adapter).filter((name) => !values.has(name));
    const [unknown] = [...values.keys()].filter((name) => !(name in this.#adapter));
    const stray = missing ?? unknown;
    if (stray !== undefined) {
      throw new ConfigError(
        "adapter",
        `"${stray}" is ${missing === undefined ? "not a parameter of this model's adapters" : "missing"}. Put adapters of the same kind on the model before it is compiled`,
      );
    }
    this.#adapter = Object.fromEntries(values);
  }

  protected program(key: string, build: () => Program): Promise<Executable> {
    let compiled = this.#compiled.get(key);
    if (compiled === undefined) {
      compiled = this.#compile(build());
      this.#compiled.set(key, compiled);
    }
    return compiled;
  }

  async #compile(program: Program): Promise<Executable> {
    const options = { ...this.#session, frozen: this.#frozen };
    return compile(this.#precision === "int8" ? await quantized(program, options) : program, options);
  }

  /** The program of one step, compiled when it is first asked for. */
  step({ keepsDropout = false, ...options }: StepOptions & { keepsDropout?: boolean }): Promise<Executable> {
    const { wanted, beams, attention, isRagged = false, isListed = false } = options;
    const looks = attention === undefined ? "" : ` looks ${attention.layer ?? "last"}.${attention.head ?? "mean"}`;
    const kinds = [looks, keepsDropout ? " drops" : "", isRagged ? " ragged" : "", isListed ? " listed" : ""].join("");
    return this.program(`step ${wanted} ${beams}${kinds}`, () => {
      const program = stepProgram(this.model, { ...options, stream: this.#stream });
      return keepsDropout ? withRowDropout(program, beams) : withoutDropout(program);
    });
  }

  /** The program that gathers rows of the output layer. */
  listedRows(): Promise<Executable> {
    return this.program("listed rows", () => listedRowsProgram(this.model));
  }

  /** Whether the model's steps have dropout to keep: told by a trace, which every batch would ask for anew. */
  #drops(): boolean {
    const traced = (): Program => stepProgram(this.model, { wanted: "logits", beams: 1, stream: this.#stream });
    return (this.#hasDropout ??= randomInputs(withRowDropout(traced(), 1)).length > 0);
  }

  /** Refuses what the model's steps cannot do; `sentences` is how many there are where none join. */
  check({ attention, dropoutSeeds }: StepperOptions, sentences?: number): void {
    if (attention !== undefined) sourceAttention(this.kept, attention);
    if (dropoutSeeds === undefined) return;
    if (sentences !== undefined && dropoutSeeds.length !== sentences)
      throw new ConfigError("dropoutSeeds", `${dropoutSeeds.length} for ${sentences} sentences. Give one a sentence.`);
    if (!this.#drops())
      throw new ConfigError(
        "keepDropout",
        "this model was made without dropout, so there is none to keep. Leave it out.",
      );
  }

  async dispose(): Promise<void> {
    for (const compiled of this.#compiled.values()) await (await compiled).dispose();
    this.#compiled.clear();
  }
}
