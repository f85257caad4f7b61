// Between decoder and encoder at one step: what the decoder read, what it asked, and what it was answered from.
import { ConfigError, type HostTensor } from "../base/index.ts";
import { compile, type Executable, type SessionOptions } from "../engine/index.ts";
import type { Transformer } from "../models/index.ts";
import { namedParameters, parameterInputs } from "../nn/index.ts";
import { argmax, dim, input, withoutDropout, type Tensor } from "../tensor/index.ts";
import type { Tokenizer } from "../text/index.ts";
import { namesOf } from "./decoding-outputs.ts";
import { idRows } from "./decoding-score.ts";
import type { Weights } from "./learning.ts";

/** A tensor of the model's own program at one step. */
export interface InspectedTensor {
  /** What it is, in terms of the model's parts. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Row after row. */
  readonly values: Float32Array;
}

/** One step of the decoder and one of its layers. */
export interface InspectedStep {
  /** Tokens that the decoder has read, START first; the last of them is fed at this step. */
  readonly fed: readonly string[];
  /** The token that comes next: the target's, or where the decoder runs freely its own choice. */
  readonly next: string;
  /** The model's first choice at this step. */
  readonly likeliest: string;
  /** What queries are made of: [dModel], from masked self-attention. */
  readonly querySource: InspectedTensor;
  /** What keys and values are made of: [source, dModel], from the encoder. */
  readonly memory: InspectedTensor;
  /** [heads, dHead] */
  readonly query: InspectedTensor;
  /** [keyValueHeads, source, dHead] each; head i looks at those of group ⌊i · keyValueHeads / heads⌋. */
  readonly key: InspectedTensor;
  readonly value: InspectedTensor;
  /** softmax(q kᵀ / √dHead): [heads, source]. */
  readonly weights: InspectedTensor;
}

/** The same step where the decoder is given the target, and where it reads what it wrote itself. */
export interface Inspection {
  readonly sourceTokens: readonly string[];
  /** From 0. */
  readonly step: number;
  readonly layer: number;
  /** Layers of the decoder. */
  readonly layers: number;
  /** Absent without a target, or behind its end. */
  readonly teacherForced?: InspectedStep;
  /** Greedy search; absent behind the end of what it wrote. */
  readonly freeRunning?: InspectedStep;
}

export interface InspectOptions {
  /** What the decoder is given in teacher forcing. */
  readonly target?: string;
  /** From 0, at which START is fed; 0 if not said. */
  readonly step?: number;
  /** From 0; the last if not said. */
  readonly layer?: number;
}

const parts = ["input", "memory", "query", "key", "value", "weights"] as const;
type Part = (typeof parts)[number];

interface InspectedSentence extends Omit<InspectOptions, "target"> {
  readonly tokenizers: { readonly source: Tokenizer; readonly target: Tokenizer };
  readonly sourceIds: readonly number[];
  /** What the model wrote, and what the decoder is given in teacher forcing; END last. */
  readonly written: readonly number[];
  readonly target?: readonly number[];
}

/** Runs the decoder over one target and hands out the tensors between it and the encoder. */
export class DecoderInspector {
  readonly layers: number;
  readonly #names: (layer: number) => Readonly<Record<Part, string>>;
  readonly #executable: Promise<Executable>;

  constructor(model: Transformer, session: SessionOptions = {}) {
    const given = {
      sourceIds: input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]),
      targetIds: input("targetIds", "int32", [dim("batch"), dim("targetTime")]),
    };
    const { hidden, layers } = model.crossAttentionParts(given.sourceIds, given.targetIds);
    const outputs: Record<string, Tensor> = { likeliest: argmax(model.logits(hidden)) };
    for (const [i, layer] of layers.entries()) for (const part of parts) outputs[`${part}.${i}`] = layer[part];
    const inputs = { ...parameterInputs(namedParameters(model)), ...given };
    this.layers = layers.length;
    const { norm, memory } = model.options;
    this.#names = (layer) => {
      const cross = `decoder.layers.${layer}.crossAttention`;
      return {
        input: norm === "pre" ? `${cross}Residual.norm` : `decoder.layers.${layer}.selfAttentionResidual.norm`,
        memory: memory === "last" ? "encoder output" : `encoder output, memory ${JSON.stringify(memory)}`,
        query: `${cross}.query`,
        key: `${cross}.key`,
        value: `${cross}.value`,
        weights: `${cross} weights`,
      };
    };
    this.#executable = compile(withoutDropout({ name: "inspection", inputs, outputs }), session);
  }

  async inspect(
    weights: Weights,
    { tokenizers, sourceIds, written, target, step = 0, layer = this.layers - 1 }: InspectedSentence,
  ): Promise<Inspection> {
    if (!(Number.isInteger(layer) && layer >= 0 && layer < this.layers))
      throw new ConfigError("layer", `must be below ${this.layers} (got ${layer}).`);
    const look = async (ids: readonly number[]): Promise<InspectedStep | undefined> => {
      const next = ids[step];
      if (next === undefined) return undefined;
      const fed = [tokenizers.target.special.start, ...ids.slice(0, step)];
      const { likeliest, ...at } = await this.#lastStep(weights, sourceIds, fed, layer);
      const [choice, follows] = namesOf(tokenizers.target, [likeliest, next]) as [string, string];
      return { fed: namesOf(tokenizers.target, fed), next: follows, likeliest: choice, ...at };
    };
    const teacherForced = target && (await look(target));
    const freeRunning = await look(written);
    if (teacherForced === undefined && freeRunning === undefined) {
      const steps = Math.max(written.length, target?.length ?? 0);
      throw new ConfigError("step", `must be below ${steps} (got ${step}): there is no more to write.`);
    }
    return {
      sourceTokens: namesOf(tokenizers.source, sourceIds),
      step,
      layer,
      layers: this.layers,
      ...(teacherForced && { teacherForced }),
      ...(freeRunning && { freeRunning }),
    };
  }

  /** The pass over `fed`, START first, and of it the last step. */
  async #lastStep(weights: Weights, sourceIds: readonly number[], fed: readonly number[], layer: number) {
    const executable = await this.#executable;
    const results = await executable.run({
      ...Object.fromEntries(weights),
      sourceIds: idRows([sourceIds], 0),
      targetIds: idRows([fed], 0),
    });
    const names = this.#names(layer);
    const whole = (part: Part): InspectedTensor => {
      const { dims, data } = results[`${part}.${layer}`] as HostTensor<"float32">;
      return { name: names[part], shape: dims.slice(1), values: data };
    };
    return {
      likeliest: (results.likeliest as HostTensor<"int32">).data.at(-1)!,
      querySource: lastRow(whole("input")),
      memory: whole("memory"),
      query: lastRow(whole("query")),
      key: whole("key"),
      value: whole("value"),
      weights: lastRow(whole("weights")),
    };
  }

  async dispose(): Promise<void> {
    await (await this.#executable).dispose();
  }
}

/** The last step of [.., steps, width]: [.., width]. */
function lastRow({ name, shape, values }: InspectedTensor): InspectedTensor {
  const [steps, width] = shape.slice(-2) as [number, number];
  const kept = values.filter((_, i) => Math.floor(i / width) % steps === steps - 1);
  return { name, shape: [...shape.slice(0, -2), width], values: kept };
}
