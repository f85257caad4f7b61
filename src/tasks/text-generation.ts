// A language model in use: it goes on with texts, and says how likely they are.
import { ConfigError, randomKey, silent, type Listener } from "../base/index.ts";
import { suppressed, type ScoreProcessor, type Stepper } from "../decode/index.ts";
import { encodeTexts, inWindows, textsOf, type TextCorpus } from "../data/index.ts";
import type { SessionOptions } from "../engine/index.ts";
import { LanguageModelDecoder, type LanguageModel, type StepperOptions } from "../models/index.ts";
import type { Tokenizer } from "../text/index.ts";
import type { TrainingResult } from "../train/index.ts";
import { completionChoices, type CompletionOptions } from "./completion-options.ts";
import type { DecodingChoices, DecodingOptions } from "./decoding-options.ts";
import { translatedOf, type Translated } from "./decoding-outputs.ts";
import {
  decodeBatch,
  rowsASentence,
  stepperOptionsOf,
  type DecodeBatchOptions,
  type SentenceToDecode,
} from "./decoding-search.ts";
import { writtenPieces } from "./decoding-stream.ts";
import { learnLanguageModel, type LanguageModelLearningOptions } from "./language-model-training.ts";
import type { Weights } from "./learning.ts";
import { TextScorer, type ScoringOptions, type TextScore } from "./text-scoring.ts";

/** One way to go on with a prompt, scored as a translation is. */
export type Continuation = Omit<Translated, "expectedUtility">;

/** What was written behind a prompt. */
export interface Completion {
  readonly prompt: string;
  /** The text of the best one, its log-probability, and whether it came to its end. */
  readonly continuation: string;
  /** Sum over what was written, of the distribution that it was drawn from. */
  readonly logProbability: number;
  readonly finished: boolean;
  /** The `nbest` of them, best first. */
  readonly continuations: readonly Continuation[];
}

export interface TextGenerationOptions {
  model: LanguageModel;
  tokenizer: Tokenizer;
  /** Parameters by name; without them the model must be trained first. */
  weights?: Weights;
  decoding?: CompletionOptions;
  scoring?: ScoringOptions;
  /** "int8" writes in whole numbers of 8 bits: faster, a little less exact. */
  precision?: "float32" | "int8";
  session?: SessionOptions;
  listener?: Listener;
}

/** Prompts that are gone on with at a time. */
const promptsAtATime = 64;

const nothingWritten = { text: "", logProbability: 0, finished: false };

type Settings = DecodingChoices & Pick<DecodingOptions, "signal" | "processors">;

/**
 * Writes on and scores with a decoder-only model.
 * @example
 * const generation = new TextGeneration({ model, tokenizer, weights });
 * console.log(await generation.complete("It is a truth", { temperature: 0.8, topP: 0.95, seed: 7 }));
 */
export class TextGeneration {
  readonly model: LanguageModel;
  readonly tokenizer: Tokenizer;
  readonly decoding: CompletionOptions;
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
    return this.#generate(prompts, completionChoices(this.decoding, options), 0);
  }

  /** The same for prompts that come one by one, with memory for a few of them. */
  async *generateEach(
    prompts: AsyncIterable<string> | Iterable<string>,
    options: CompletionOptions = {},
  ): AsyncGenerator<Completion> {
    const settings = completionChoices(this.decoding, options);
    let before = 0;
    for await (const window of inWindows(prompts, promptsAtATime)) {
      yield* await this.#generate(window, settings, before);
      before += window.length;
    }
  }

  async #generate(prompts: readonly string[], settings: Settings, before: number): Promise<Completion[]> {
    const { signal, processors, ...choices } = settings;
    const inputs = prompts.map((prompt, i) => this.#sentence(prompt, before + i, choices));
    const lengthOf = (i: number): number => inputs[i]!.beginning.length;
    // A batch begins with texts of one length.
    const order = inputs.map((_, i) => i).sort((a, b) => lengthOf(a) - lengthOf(b) || a - b);
    const results = new Array<Completion>(prompts.length);
    const rows = rowsASentence(choices);
    for (let first = 0; first < order.length;) {
      const length = lengthOf(order[first]!);
      const size = Math.min(promptsAtATime, Math.max(1, Math.floor(choices.batchTokens / (length * rows))));
      const batch = order.slice(first, first + size).filter((i) => lengthOf(i) === length);
      const sentences = batch.map((i) => inputs[i]!);
      const beginnings = sentences.flatMap(({ beginning }) => new Array<readonly number[]>(rows).fill(beginning));
      const found = await decodeBatch(
        await this.#start(beginnings, stepperOptionsOf(sentences, choices)),
        sentences,
        this.#searchOptions(choices, length, { signal, processors }),
      );
      for (const [row, i] of batch.entries()) {
        const continuations = found[row]!.map((hypothesis) =>
          translatedOf(hypothesis, this.tokenizer, choices.stop, inputs[i]!.beginning),
        );
        // Where rules let nothing follow there may be none.
        const { text: continuation, logProbability, finished } = continuations[0] ?? nothingWritten;
        results[i] = { prompt: prompts[i]!, continuation, logProbability, finished, continuations };
      }
      first += batch.length;
    }
    return results;
  }

  /**
   * What comes after a prompt, piece by piece as it is written: drawn, or greedily at temperature 0. The pieces put together are the
   * whole continuation; a character comes whole or not yet. Leaving the loop ends the search, as does `signal`, which throws an
   * AbortError.
   *
   * @example
   * for await (const piece of generation.stream("It is a truth", { seed: 7 })) process.stdout.write(piece);
   */
  async *stream(prompt: string, options: Omit<CompletionOptions, "beams" | "nbest"> = {}): AsyncGenerator<string> {
    const { search = this.decoding.search, phrases = this.decoding.phrases ?? [] } = options;
    if (search === "stochastic-beam" || search === "beam-sample" || phrases.length > 0)
      throw new ConfigError("stream", "text is told while it is written by greedy search or sampling alone.");
    const settings = completionChoices(this.decoding, { ...options, beams: 1, nbest: 1 });
    const { signal, processors, ...choices } = settings;
    const sentence = this.#sentence(prompt, 0, choices);
    const told = this.#searchOptions(choices, sentence.beginning.length, { signal, processors });
    const stepper = await this.#start([sentence.beginning], stepperOptionsOf([sentence], choices));
    yield* writtenPieces(stepper, sentence, told);
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

  #sentence(prompt: string, index: number, { maxLength, phrases, seed }: DecodingChoices) {
    const beginning = this.#encode(prompt, index, maxLength);
    return {
      beginning,
      sourceTokens: beginning.length,
      phrases: phrases.map((phrase) => this.tokenizer.encode(phrase)),
      prefix: [],
      seed: randomKey(seed, index).low,
    } satisfies SentenceToDecode;
  }

  /** END, behind which a text begins, and the prompt; of a long one the last tokens that leave room for what is to come. */
  #encode(prompt: string, index: number, maxLength: number): number[] {
    const ids = [this.tokenizer.special.end, ...this.tokenizer.encode(prompt)];
    const { maxPositions } = this.model;
    const room = maxPositions + 1 - Math.min(maxLength, Math.ceil(maxPositions / 2));
    if (ids.length <= room) return ids;
    this.#listener({
      type: "log",
      level: "warning",
      message: `prompt ${index + 1}: ${ids.length - 1} tokens, of which the last ${room} are read`,
    });
    return ids.slice(-room);
  }

  /** What is told to the search over a batch whose prompts have this many tokens. */
  #searchOptions(
    choices: DecodingChoices,
    promptTokens: number,
    { signal, processors = [] }: { signal: AbortSignal | undefined; processors: readonly ScoreProcessor[] | undefined },
  ): DecodeBatchOptions {
    const { pad, unknown, start, end } = this.tokenizer.special;
    const maxLength = Math.min(choices.maxLength, this.model.maxPositions + 1 - promptTokens);
    return {
      choices: { ...choices, maxLength, minLength: Math.min(choices.minLength, maxLength) },
      target: this.tokenizer,
      signal,
      processors: [suppressed([pad, unknown, start].filter((id) => id !== end)), ...processors],
    };
  }

  /** Reads the beginnings of texts, all of one length. */
  #start(beginnings: readonly (readonly number[])[], options: StepperOptions): Promise<Stepper> {
    this.#decoder ??= new LanguageModelDecoder(this.model, this.weights, this.session, { precision: this.#precision });
    return this.#decoder.start(beginnings, options);
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
