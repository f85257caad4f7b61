// A language model in use: it goes on with texts, and says how likely they are.
import { ConfigError, randomKey, silent, type Listener } from "../base/index.ts";
import {
  beamSearch,
  greedySearch,
  nucleus,
  sample,
  suppressed,
  temperature as tempered,
  topK as likeliest,
  type Hypothesis,
} from "../decode/index.ts";
import { encodeTexts, textsOf, type TextCorpus } from "../data/index.ts";
import type { SessionOptions } from "../engine/index.ts";
import { LanguageModelDecoder, type LanguageModel } from "../models/index.ts";
import type { Tokenizer } from "../text/index.ts";
import type { TrainingResult } from "../train/index.ts";
import { learnLanguageModel, type LanguageModelLearningOptions } from "./language-model-training.ts";
import type { Weights } from "./learning.ts";
import { TextScorer, type ScoringOptions, type TextScore } from "./text-scoring.ts";

export interface CompletionOptions {
  /** Most tokens to write. */
  maxTokens?: number;
  /** Scores are divided by it before the draw; at 0 nothing is drawn. */
  temperature?: number;
  /** Draw among this many likeliest tokens. */
  topK?: number;
  /** Draw among the likeliest tokens that together have this probability. */
  topP?: number;
  /** Of the draw: same seed, same text. */
  seed?: number;
  /** Hypotheses kept at a time; more than 1 is beam search, at temperature 0. */
  beams?: number;
  /** With beams: exponent of the length that scores are divided by. */
  lengthPenalty?: number;
  signal?: AbortSignal;
}

/** What was written behind a prompt. */
export interface Completion {
  readonly prompt: string;
  readonly continuation: string;
  /** Sum over what was written, of the distribution that it was drawn from. */
  readonly logProbability: number;
  /** Whether the text came to its end; otherwise maxTokens cut it. */
  readonly finished: boolean;
}

export interface TextGenerationOptions {
  model: LanguageModel;
  tokenizer: Tokenizer;
  /** Parameters by name; without them the model must be trained first. */
  weights?: Weights;
  decoding?: Omit<CompletionOptions, "signal">;
  scoring?: ScoringOptions;
  /** "int8" writes in whole numbers of 8 bits: faster, a little less exact. */
  precision?: "float32" | "int8";
  session?: SessionOptions;
  listener?: Listener;
}

/** Prompts that are gone on with at a time. */
const promptsAtATime = 64;

/**
 * Writes on and scores with a decoder-only model.
 * @example
 * const generation = new TextGeneration({ model, tokenizer, weights });
 * console.log(await generation.complete("It is a truth", { temperature: 0.8, topP: 0.95, seed: 7 }));
 */
export class TextGeneration {
  readonly model: LanguageModel;
  readonly tokenizer: Tokenizer;
  readonly decoding: Omit<CompletionOptions, "signal">;
  readonly scoring: ScoringOptions;
  readonly session: SessionOptions;
  readonly #precision: "float32" | "int8";
  readonly #listener: Listener;
  #weights: Weights | undefined;
  #decoder: LanguageModelDecoder | undefined;
  #scorer: TextScorer | undefined;

  constructor(options: TextGenerationOptions) {
    const { model, tokenizer, weights, decoding = {}, scoring = {}, precision = "float32" } = options;
    this.model = model;
    this.tokenizer = tokenizer;
    this.decoding = decoding;
    this.scoring = scoring;
    this.session = options.session ?? {};
    this.#precision = precision;
    this.#listener = options.listener ?? silent;
    this.#weights = weights;
  }

  /** Parameters by name. */
  get weights(): Weights {
    if (this.#weights === undefined)
      throw new ConfigError("text generation", "the model has no weights yet. Train it, or load them.");
    return this.#weights;
  }

  /** Takes these weights from now on. */
  async setWeights(weights: Weights): Promise<void> {
    await this.dispose();
    this.#weights = weights;
  }

  /**
   * Learns from texts, from the present weights on if there are any, and takes what it has learnt.
   * @example
   * await generation.train(textsOf(["…"]), { steps: 2000, contextTokens: 128 });
   */
  async train(
    texts: TextCorpus,
    options: LanguageModelLearningOptions & { validation?: TextCorpus },
  ): Promise<TrainingResult> {
    const { model, tokenizer, session, scoring } = this;
    const { weights, result } = await learnLanguageModel({
      session,
      scoring,
      listener: this.#listener,
      ...options,
      model,
      tokenizer,
      texts,
      weights: this.#weights,
    });
    await this.setWeights(weights);
    return result;
  }

  /** What comes after a prompt, or after each of several; an empty prompt is the beginning of a text. */
  complete(prompt: string, options?: CompletionOptions): Promise<string>;
  complete(prompts: readonly string[], options?: CompletionOptions): Promise<string[]>;
  async complete(prompt: string | readonly string[], options: CompletionOptions = {}): Promise<string | string[]> {
    const found = await this.generate(typeof prompt === "string" ? [prompt] : prompt, options);
    return typeof prompt === "string" ? found[0]!.continuation : found.map(({ continuation }) => continuation);
  }

  /** The same with what is known besides. What is written behind a prompt depends on its place in the list, not on its neighbours. */
  generate(prompts: readonly string[], options: CompletionOptions = {}): Promise<Completion[]> {
    return this.#generate(prompts, settle(this.decoding, options), 0);
  }

  /** The same for prompts that come one by one, with memory for a few of them. */
  async *generateEach(
    prompts: AsyncIterable<string> | Iterable<string>,
    options: CompletionOptions = {},
  ): AsyncGenerator<Completion> {
    const settings = settle(this.decoding, options);
    let [window, seen] = [[] as string[], 0];
    for await (const prompt of prompts) {
      window.push(prompt);
      if (window.length < promptsAtATime) continue;
      yield* await this.#generate(window, settings, seen);
      [window, seen] = [[], seen + window.length];
    }
    if (window.length > 0) yield* await this.#generate(window, settings, seen);
  }

  async #generate(prompts: readonly string[], settings: Settings, before: number): Promise<Completion[]> {
    const beginnings = prompts.map((prompt, i) => this.#encode(prompt, before + i, settings.maxTokens));
    // A batch begins with texts of one length.
    const order = beginnings.map((_, i) => i).sort((a, b) => beginnings[a]!.length - beginnings[b]!.length || a - b);
    const results = new Array<Completion>(prompts.length);
    for (let first = 0; first < order.length;) {
      const { length } = beginnings[order[first]!]!;
      const batch = order.slice(first, first + promptsAtATime).filter((i) => beginnings[i]!.length === length);
      const found = await this.#search(
        batch.map((i) => beginnings[i]!),
        { ...settings, seeds: batch.map((i) => randomKey(settings.seed, before + i).low) },
      );
      batch.forEach((i, row) => {
        const { tokens, logProbability, finished } = found[row]!;
        const continuation = this.#continuation(beginnings[i]!, tokens);
        results[i] = { prompt: prompts[i]!, continuation, logProbability, finished };
      });
      first += batch.length;
    }
    return results;
  }

  /**
   * How likely a text is, or all of a corpus: likelihood, perplexity, bits a byte, its end included.
   * @example
   * const { perplexity, bitsPerByte } = await generation.score("It is a truth universally acknowledged");
   */
  async score(text: string | TextCorpus, options: ScoringOptions = {}): Promise<TextScore> {
    const corpus = typeof text === "string" ? textsOf([text], "text") : text;
    const stream = await encodeTexts(corpus, this.tokenizer, { listener: this.#listener });
    this.#scorer ??= new TextScorer({
      model: this.model,
      weights: () => Object.fromEntries(this.weights),
      session: this.session,
    });
    return this.#scorer.score(stream, { ...this.scoring, ...options });
  }

  /** END, behind which a text begins, and the prompt; of a long one the last tokens that leave room for what is to come. */
  #encode(prompt: string, index: number, maxTokens: number): number[] {
    const ids = [this.tokenizer.special.end, ...this.tokenizer.encode(prompt)];
    const { maxPositions } = this.model;
    const room = maxPositions + 1 - Math.min(maxTokens, Math.ceil(maxPositions / 2));
    if (ids.length <= room) return ids;
    this.#listener({
      type: "log",
      level: "warning",
      message: `prompt ${index + 1}: ${ids.length - 1} tokens, of which the last ${room} are read`,
    });
    return ids.slice(-room);
  }

  async #search(
    beginnings: readonly (readonly number[])[],
    { maxTokens, temperature, topK, topP, seeds, beams, lengthPenalty, signal }: Settings & { seeds: number[] },
  ): Promise<Hypothesis[]> {
    this.#decoder ??= new LanguageModelDecoder(this.model, this.weights, this.session, { precision: this.#precision });
    const stepper = await this.#decoder.start(beginnings);
    const { pad, unknown, start, end } = this.tokenizer.special;
    const shared = {
      start: beginnings,
      end,
      maxTokens: Math.min(maxTokens, this.model.maxPositions + 1 - beginnings[0]!.length),
      processors: [suppressed([pad, unknown, start])],
      ...(signal && { signal }),
    };
    if (beams > 1)
      return (await beamSearch(stepper, { ...shared, beams, lengthPenalty, nbest: 1 })).map(([best]) => best!);
    if (temperature === 0) return greedySearch(stepper, shared);
    const processors = [
      ...shared.processors,
      ...(temperature === 1 ? [] : [tempered(temperature)]),
      ...(topK === undefined ? [] : [likeliest(topK)]),
      ...(topP === undefined ? [] : [nucleus(topP)]),
    ];
    return sample(stepper, { ...shared, processors, seed: seeds });
  }

  /** The text of what was written, read together with what it continues: a token alone may lack its space. */
  #continuation(beginning: readonly number[], tokens: readonly number[]): string {
    const before = this.tokenizer.decode(beginning);
    const whole = this.tokenizer.decode([...beginning, ...tokens]);
    return whole.startsWith(before) ? whole.slice(before.length) : this.tokenizer.decode(tokens);
  }

  async dispose(): Promise<void> {
    await this.#decoder?.dispose();
    await this.#scorer?.dispose();
    [this.#decoder, this.#scorer] = [undefined, undefined];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

interface Settings extends CompletionOptions {
  maxTokens: number;
  temperature: number;
  seed: number;
  beams: number;
  lengthPenalty: number;
}

/** What was said now goes before what was configured; beams said now mean that nothing is drawn. */
function settle(configured: CompletionOptions, said: CompletionOptions): Settings {
  const asksForBeams = said.beams !== undefined && said.beams > 1;
  const { topK: _, topP: __, temperature: ___, ...rest } = configured;
  const drawsNothing = said.temperature === 0 || (asksForBeams && said.temperature === undefined);
  const settings = {
    maxTokens: 200,
    temperature: drawsNothing ? 0 : 1,
    seed: 1,
    beams: 1,
    lengthPenalty: 1,
    ...(drawsNothing ? rest : configured),
    ...said,
  };
  const { temperature, beams, topK, topP } = settings;
  if (!(temperature >= 0)) throw new ConfigError("temperature", `must be 0 or more (got ${temperature}).`);
  if (beams > 1 && temperature > 0)
    throw new ConfigError("beams", "beam search does not draw. Set temperature to 0, or beams to 1.");
  for (const [key, value] of Object.entries({ topK, topP }))
    if (value !== undefined && temperature === 0)
      throw new ConfigError(key, "has no effect at temperature 0, where nothing is drawn. Remove it.");
  return settings;
}
