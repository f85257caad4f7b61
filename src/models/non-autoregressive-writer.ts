// A trained non-autoregressive model as decoding sees it: sources are read once, canvases filled as often as it takes.
import { ConfigError, hostTensor, type HostTensor } from "../base/index.ts";
import type { CanvasFiller, Canvases, Filled } from "../decode/index.ts";
import { compile, quantized, type Executable, type SessionOptions } from "../engine/index.ts";
import { isAdapterParameter, namedParameters, parameterInputs } from "../nn/index.ts";
import {
  affine,
  dim,
  input,
  logSoftmax,
  reshape,
  topK,
  withoutDropout,
  type Program,
  type Tensor,
} from "../tensor/index.ts";
import { tokensOf, type NonAutoregressiveTransformer } from "./non-autoregressive.ts";
import type { StepProgramsOptions } from "./step-programs.ts";

/**
 * `sourceIds` [batch, sourceTime] → keys and values of every decoder layer, `key.0`, `value.0` … [batch, keyValueHeads,
 * sourceTime, dHead], and where the length is predicted `lengths` [batch, 2 · reach + 1], log-probabilities of each difference
 * from the source's length.
 */
export function readingProgram(model: NonAutoregressiveTransformer): Program {
  const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
  const { memory, memories, keys } = model.encode(sourceIds);
  const outputs: Record<string, Tensor> = {};
  for (const [i, { key, value }] of model.decoder.memoryKeysAndValues(memories).entries()) {
    outputs[`key.${i}`] = key;
    outputs[`value.${i}`] = value;
  }
  if (model.lengths !== undefined) outputs.lengths = logSoftmax(model.lengths.forward(memory, tokensOf(keys)));
  return { name: "reading", inputs: { ...parameterInputs(namedParameters(model)), sourceIds }, outputs };
}

/**
 * `canvas` [batch, candidates, time], `sourceIds` and what `readingProgram` gave → of every place the likeliest token, `tokens`,
 * and its log-probability, `logProbabilities`, both [batch, candidates, time].
 */
export function fillingProgram(model: NonAutoregressiveTransformer): Program {
  const [batch, sourceTime] = [dim("batch"), dim("sourceTime")];
  const sourceIds = input("sourceIds", "int32", [batch, sourceTime]);
  const canvas = input("canvas", "int32", [batch, dim("candidates"), dim("time")]);
  const given: Record<string, Tensor> = { sourceIds, canvas };
  const memory = model.decoder.layers.map(({ crossAttention: { keyValueHeads, dHead } }, i) => {
    const asked = (name: string): Tensor =>
      (given[`${name}.${i}`] = input(`${name}.${i}`, "float32", [batch, keyValueHeads, sourceTime, dHead]));
    return { key: asked("key"), value: asked("value") };
  });
  const { output } = model.fillFrom(memory, sourceIds, canvas);
  const { table, bias } = model.outputLayer();
  const logits = affine(output, table, bias, { transposeB: true }); // [batch · candidates, time, vocabulary]
  // The best of one is found sooner than by the runtime's search for the place of a maximum.
  const { values, ids } = topK(logSoftmax(logits), 1);
  return {
    name: "filling",
    inputs: { ...parameterInputs(namedParameters(model)), ...given },
    outputs: { tokens: reshape(ids, canvas.shape), logProbabilities: reshape(values, canvas.shape) },
  };
}

/** Compiled programs of one model with its weights. */
export class NonAutoregressiveDecoder {
  readonly model: NonAutoregressiveTransformer;
  readonly #options: SessionOptions & { frozen: ReadonlyMap<string, HostTensor> };
  readonly #precision: "float32" | "int8";
  /** Weights of adapters; they are fed at every run, so that others can take their place. */
  #adapter: Readonly<Record<string, HostTensor>>;
  #compiled: Promise<{ reading: Executable; filling: Executable }> | undefined;

  /**
   * `weights` by parameter name; they are copied into the programs, but for those of adapters, so later changes have no effect
   * here. `precision` as in `StepProgramsOptions`.
   */
  constructor(
    model: NonAutoregressiveTransformer,
    weights: ReadonlyMap<string, HostTensor>,
    session: SessionOptions = {},
    { precision = "float32" }: Pick<StepProgramsOptions, "precision"> = {},
  ) {
    this.model = model;
    this.#precision = precision;
    const entries = [...weights];
    this.#options = { ...session, frozen: new Map(entries.filter(([name]) => !isAdapterParameter(name))) };
    this.#adapter = Object.fromEntries(entries.filter(([name]) => isAdapterParameter(name)));
  }

  /** Goes on with another adapter of the same kind and shape; batches that are read already keep theirs. */
  swapAdapter(values: ReadonlyMap<string, HostTensor>): void {
    const stray = [...values.keys()].find((name) => !(name in this.#adapter));
    if (stray !== undefined || values.size !== Object.keys(this.#adapter).length)
      throw new ConfigError("adapter", "is not of the kind and targets of the one that this model has.");
    this.#adapter = Object.fromEntries(values);
  }

  /** Reads a batch of sources [sentences, sourceTime]. */
  async read(sourceIds: HostTensor<"int32">): Promise<ReadSources> {
    this.#compiled ??= this.#compile();
    const { reading, filling } = await this.#compiled;
    const { lengths, ...memory } = await reading.run({ ...this.#adapter, sourceIds });
    return new ReadSources(
      filling,
      { ...this.#adapter, sourceIds, ...memory },
      lengths as HostTensor<"float32"> | undefined,
    );
  }

  async #compile(): Promise<{ reading: Executable; filling: Executable }> {
    const programs = [readingProgram(this.model), fillingProgram(this.model)].map(withoutDropout);
    const [reading, filling] = await Promise.all(
      programs.map(async (program) =>
        compile(this.#precision === "int8" ? await quantized(program, this.#options) : program, this.#options),
      ),
    );
    return { reading: reading!, filling: filling! };
  }

  async dispose(): Promise<void> {
    const compiled = await this.#compiled;
    this.#compiled = undefined;
    await Promise.all([compiled?.reading.dispose(), compiled?.filling.dispose()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

/** A batch of sources that were read: their canvases can be filled. */
export class ReadSources implements CanvasFiller {
  readonly #filling: Executable;
  readonly #memory: Readonly<Record<string, HostTensor>>;
  readonly #lengths: HostTensor<"float32"> | undefined;

  constructor(
    filling: Executable,
    memory: Readonly<Record<string, HostTensor>>,
    lengths: HostTensor<"float32"> | undefined,
  ) {
    this.#filling = filling;
    this.#memory = memory;
    this.#lengths = lengths;
  }

  /** Of one sentence, how likely its output is to be so much longer than its source; as `likelyLengths` reads it. */
  lengthScores(sentence: number): Float32Array {
    if (this.#lengths === undefined)
      throw new ConfigError("model.length", "this model predicts no lengths. Fill a block and read it.");
    const { data, dims } = this.#lengths;
    return data.subarray(sentence * dims[1]!, (sentence + 1) * dims[1]!);
  }

  async fill({ ids, dims }: Canvases): Promise<Filled> {
    const { tokens, logProbabilities } = await this.#filling.run({
      ...this.#memory,
      canvas: hostTensor("int32", dims, ids),
    });
    return {
      tokens: Int32Array.from(tokens!.data as BigInt64Array, Number),
      logProbabilities: logProbabilities!.data as Float32Array,
    };
  }
}
