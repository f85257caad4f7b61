// Translation: a model, its tokenizers and a search, tied together. Text goes in, text comes out.
import { ConfigError, silent, type HostTensor, type Listener } from "../base/index.ts";
import { beamSearch, greedySearch, type Hypothesis } from "../decode/index.ts";
import type { Corpus } from "../data/index.ts";
import { compile, type SessionOptions } from "../engine/index.ts";
import { NonAutoregressiveDecoder, NonAutoregressiveTransformer, TransformerDecoder } from "../models/index.ts";
import { namedParameters, parameterInputs } from "../nn/index.ts";
import { dim, input, withoutDropout } from "../tensor/index.ts";
import type { Tokenizer } from "../text/index.ts";
import type { TrainingResult } from "../train/index.ts";
import type { Weights } from "./learning.ts";
import { refuseUnheeded, writeInOnePass, type TranslationModel } from "./non-autoregressive.ts";
import { learnTranslation, type LearningOptions, type LearnTranslationOptions } from "./translation-training.ts";

export interface DecodingOptions {
  /** Hypotheses kept at a time; 1 is greedy search. */
  beams?: number;
  /** Exponent of the length that a hypothesis' score is divided by. */
  lengthPenalty?: number;
  /** Fewest and most target tokens, END included. */
  minLength?: number;
  maxLength?: number;
  /** Translations a line, best first; at most `beams`, or `lengthCandidates`. */
  nbest?: number;
  /** Of models that write all places at once: passes; after the first each writes the least sure tokens anew. */
  iterations?: number;
  /** Of those that predict lengths: how many lengths are tried. */
  lengthCandidates?: number;
  /** Of those: what the predicted length is multiplied with. */
  lengthFactor?: number;
  /** Most tokens of one batch of sources, padding included. */
  batchTokens?: number;
  signal?: AbortSignal;
}

/** One translation of a line. */
export interface Translated {
  readonly text: string;
  /** Log-probability divided by length to the length penalty. */
  readonly score: number;
  readonly logProbability: number;
}

export interface TranslationOptions {
  model: TranslationModel;
  /** One for both languages, or one each. */
  tokenizer: Tokenizer | { readonly source: Tokenizer; readonly target: Tokenizer };
  /** Parameters by name; without them the model must be trained first. */
  weights?: Weights;
  decoding?: DecodingOptions;
  /** "int8" decodes in whole numbers of 8 bits: faster, a little less exact. */
  precision?: "float32" | "int8";
  session?: SessionOptions;
  listener?: Listener;
}

/** Where each target token looked in the source. */
export interface AlignmentMap {
  readonly sourceTokens: readonly string[];
  readonly targetTokens: readonly string[];
  /** [layers][heads][target][source]; rows sum to 1. */
  readonly weights: readonly (readonly (readonly Float32Array[])[])[];
}

/** Lines are searched in the order of their lengths within windows of this many, and given back in their own order. */
const windowLines = 1024;

/**
 * Translates with a Transformer, or another model from one sequence to another.
 * @example
 * const translation = new Translation({ model, tokenizer, weights });
 * console.log(await translation.translate("A man in an orange hat."));
 */
export class Translation {
  readonly model: TranslationModel;
  readonly source: Tokenizer;
  readonly target: Tokenizer;
  readonly decoding: Required<Omit<DecodingOptions, "signal">>;
  readonly session: SessionOptions;
  readonly #precision: "float32" | "int8";
  protected readonly listener: Listener;
  #weights: Weights | undefined;
  #decoder: TransformerDecoder | undefined;
  #onePass: NonAutoregressiveDecoder | undefined;

  constructor({
    model,
    tokenizer,
    weights,
    decoding = {},
    precision = "float32",
    session = {},
    listener = silent,
  }: TranslationOptions) {
    this.#precision = precision;
    this.model = model;
    this.source = "source" in tokenizer ? tokenizer.source : tokenizer;
    this.target = "target" in tokenizer ? tokenizer.target : tokenizer;
    const { beams = 5, lengthPenalty = 1, minLength = 0, maxLength = 256, nbest = 1, batchTokens = 4096 } = decoding;
    const { iterations = 1, lengthCandidates = 1, lengthFactor = 1 } = decoding;
    this.decoding = {
      beams,
      lengthPenalty,
      minLength,
      maxLength: Math.min(maxLength, model.maxPositions),
      nbest,
      batchTokens,
      iterations,
      lengthCandidates,
      lengthFactor,
    };
    this.session = session;
    this.listener = listener;
    this.#weights = weights;
  }

  /** Parameters by name. */
  get weights(): Weights {
    if (this.#weights === undefined)
      throw new ConfigError("translation", "the model has no weights yet. Train it, or load them.");
    return this.#weights;
  }

  /** Takes these weights from now on. */
  async setWeights(weights: Weights): Promise<void> {
    await this.dispose();
    this.#weights = weights;
  }

  /**
   * Goes on with another adapter of the same kind and shape, in place of the one it has; nothing is compiled or read anew.
   * @example
   * translation.swapAdapter(await loadAdapter("adapters/weather", translation.model));
   */
  swapAdapter(values: Weights): void {
    (this.#onePass ?? this.#decoder)?.swapAdapter(values);
    this.#weights = new Map([...this.weights, ...values]);
  }

  /**
   * Learns from a corpus, from the present weights on if there are any, and takes what it has learnt.
   * @example
   * await translation.train(corpus, { steps: 20_000, warmup: 4000, labelSmoothing: 0.1 });
   */
  async train(
    corpus: Corpus,
    { validation, ...options }: LearningOptions & { validation?: Corpus },
  ): Promise<TrainingResult> {
    const { weights, result } = await learnTranslation({ ...this.learningParts(), ...options, corpus, validation });
    await this.setWeights(weights);
    return result;
  }

  /** What `learnTranslation` wants to know of this translation. */
  protected learningParts(): Pick<
    LearnTranslationOptions,
    "model" | "tokenizer" | "weights" | "session" | "listener" | "translate"
  > {
    return {
      model: this.model,
      tokenizer: { source: this.source, target: this.target },
      weights: this.#weights,
      session: this.session,
      listener: this.listener,
      translate: async (weights, sources) => {
        await this.setWeights(weights);
        return this.translate(sources);
      },
    };
  }

  /** The best translation of a line, or of each of several. */
  translate(text: string, options?: DecodingOptions): Promise<string>;
  translate(texts: readonly string[], options?: DecodingOptions): Promise<string[]>;
  async translate(texts: string | readonly string[], options: DecodingOptions = {}): Promise<string | string[]> {
    const results = await this.generate(typeof texts === "string" ? [texts] : texts, { ...options, nbest: 1 });
    const best = results.map(([first]) => first?.text ?? "");
    return typeof texts === "string" ? best[0]! : best;
  }

  /** The `nbest` translations of every line, best first, in the order of the lines. An empty line stays one. */
  async generate(lines: readonly string[], options: DecodingOptions = {}): Promise<Translated[][]> {
    refuseUnheeded(this.model, { ...options });
    const { batchTokens, ...search } = { ...this.decoding, ...options };
    const widest = this.model instanceof NonAutoregressiveTransformer ? "lengthCandidates" : "beams";
    if (search.nbest > search[widest])
      throw new ConfigError("nbest", `must not exceed ${widest} (got ${search.nbest} and ${search[widest]})`);
    const ids = lines.map((line, i) => this.#encode(line, i));
    const order = ids.map((_, i) => i).filter((i) => lines[i] !== "");
    order.sort((a, b) => ids[b]!.length - ids[a]!.length || a - b);
    const results: Translated[][] = lines.map(() => [{ text: "", score: 0, logProbability: 0 }]);
    for (let start = 0; start < order.length;) {
      const longest = ids[order[start]!]!.length;
      const batch = order.slice(start, start + Math.max(1, Math.floor(batchTokens / longest)));
      const found = await this.#search(
        batch.map((i) => ids[i]!),
        search,
      );
      batch.forEach((line, row) => {
        results[line] = found[row]!.map(({ tokens, score, logProbability }) => ({
          text: this.target.decode(tokens),
          score,
          logProbability,
        }));
      });
      start += batch.length;
    }
    return results;
  }

  /** The same for lines that come one by one, with memory for a window of them. */
  async *generateEach(
    lines: AsyncIterable<string> | Iterable<string>,
    options: DecodingOptions = {},
  ): AsyncGenerator<Translated[]> {
    let window: string[] = [];
    for await (const line of lines) {
      window.push(line);
      if (window.length < windowLines) continue;
      yield* await this.generate(window, options);
      window = [];
    }
    if (window.length > 0) yield* await this.generate(window, options);
  }

  /** Cross-attention of the target given the source, teacher-forced: what the decoder looked at for each target token. */
  async attention(source: string, target: string): Promise<AlignmentMap> {
    const sourceIds = this.#encode(source, 0);
    const { start, end } = this.target.special;
    const targetIds = [start, ...this.target.encode(target)];
    const given = {
      sourceIds: input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]),
      targetIds: input("targetIds", "int32", [dim("batch"), dim("targetTime")]),
    };
    const crossAttention = this.model.crossAttention?.(given.sourceIds, given.targetIds) ?? [];
    if (crossAttention.length === 0)
      throw new ConfigError("model", "none of its target tokens looks at the source, so there is no attention to show");
    const outputs = Object.fromEntries(crossAttention.map((weights, layer) => [`layer.${layer}`, weights]));
    const inputs = { ...parameterInputs(namedParameters(this.model)), ...given };
    const run = await compile(withoutDropout({ name: "attention", inputs, outputs }), this.session);
    try {
      const results = await run.run({
        ...Object.fromEntries(this.weights),
        sourceIds: batchOf([sourceIds], 0),
        targetIds: batchOf([targetIds], 0),
      });
      const weights = crossAttention.map((_, layer) => {
        const { dims, data } = results[`layer.${layer}`]!;
        const [, heads, rows, columns] = dims as readonly [number, number, number, number];
        return Array.from({ length: heads }, (_, head) =>
          Array.from({ length: rows }, (_, row) =>
            (data as Float32Array).slice((head * rows + row) * columns, (head * rows + row + 1) * columns),
          ),
        );
      });
      const named = (tokenizer: Tokenizer, ids: readonly number[]): string[] =>
        ids.map((id) => tokenizer.tokenOf(id) ?? `${id}`);
      return {
        sourceTokens: named(this.source, sourceIds),
        targetTokens: named(this.target, [...targetIds.slice(1), end]),
        weights,
      };
    } finally {
      await run.dispose();
    }
  }

  /** A line's ids with END, cut to what the model has positions for. */
  #encode(line: string, index: number): number[] {
    const ids = this.source.encode(line, { end: true });
    const { maxPositions } = this.model;
    if (ids.length <= maxPositions) return ids;
    this.listener({
      type: "log",
      level: "warning",
      message: `line ${index + 1}: ${ids.length} tokens, of which the first ${maxPositions - 1} are translated`,
    });
    return [...ids.slice(0, maxPositions - 1), this.source.special.end];
  }

  async #search(
    sources: readonly (readonly number[])[],
    {
      beams,
      lengthPenalty,
      minLength,
      maxLength,
      nbest,
      signal,
      ...inOnePass
    }: Omit<Required<DecodingOptions>, "batchTokens" | "signal"> & Pick<DecodingOptions, "signal">,
  ): Promise<Hypothesis[][]> {
    const batch = batchOf(sources, this.source.special.pad);
    if (this.model instanceof NonAutoregressiveTransformer) {
      const options = { precision: this.#precision };
      this.#onePass ??= new NonAutoregressiveDecoder(this.model, this.weights, this.session, options);
      return writeInOnePass(this.#onePass, batch, { ...inOnePass, maxLength, nbest, ...(signal && { signal }) });
    }
    this.#decoder ??= new TransformerDecoder(this.model, this.weights, this.session, {
      precision: this.#precision,
    });
    const stepper = await this.#decoder.start(batch);
    const { start, end } = this.target.special;
    const shared = { start, end, maxTokens: maxLength, minTokens: minLength, ...(signal && { signal }) };
    if (beams === 1)
      return (await greedySearch(stepper, { ...shared, lengthPenalty })).map((hypothesis) => [hypothesis]);
    return beamSearch(stepper, { ...shared, beams, lengthPenalty, nbest });
  }

  async dispose(): Promise<void> {
    await this.#decoder?.dispose();
    await this.#onePass?.dispose();
    this.#decoder = undefined;
    this.#onePass = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

/** Rows of ids as one padded tensor [rows, longest]. */
function batchOf(rows: readonly (readonly number[])[], pad: number): HostTensor<"int32"> {
  const time = Math.max(...rows.map((row) => row.length));
  const data = new Int32Array(rows.length * time).fill(pad);
  rows.forEach((row, i) => data.set(row, i * time));
  return { dtype: "int32", dims: [rows.length, time], data };
}
