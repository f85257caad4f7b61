// Translation: a model, its tokenizers and a search, tied together. Text goes in, text comes out.
import { ConfigError, silent, type Listener } from "../base/index.ts";
import { greedySearch, normalised } from "../decode/index.ts";
import { inWindows, type Corpus, type Shortlist } from "../data/index.ts";
import type { SessionOptions } from "../engine/index.ts";
import { NonAutoregressiveTransformer, Transformer } from "../models/index.ts";
import type { Tokenizer } from "../text/index.ts";
import type { TrainingResult } from "../train/index.ts";
import { alignmentOf, CrossAttention, type AlignmentMap, type AlignOptions } from "./decoding-attention.ts";
import { choicesOfCall } from "./decoding-choices.ts";
import { DecoderInspector, type InspectOptions, type Inspection } from "./decoding-inspection.ts";
import { decodingDefaults, type DecodingChoices, type DecodingOptions } from "./decoding-options.ts";
import {
  chosenByRisk,
  namesOf,
  nothingTranslated,
  textOf,
  translatedOf,
  type Translated,
  type TranslationLine,
} from "./decoding-outputs.ts";
import { decodeJoining } from "./decoding-joining.ts";
import { TargetScorer } from "./decoding-score.ts";
import { lengthPenaltyOf, rowsASentence, stepperOptionsOf } from "./decoding-search.ts";
import { writtenPieces } from "./decoding-stream.ts";
import type { Weights } from "./learning.ts";
import type { TranslationModel } from "./non-autoregressive.ts";
import { batchesByLength, SentenceReader } from "./translation-sentences.ts";
import { learnTranslation, type LearningOptions, type LearnTranslationOptions } from "./translation-training.ts";
import { OnePassWriter, stepwise, writerOf, type TranslationWriter } from "./translation-writers.ts";

export interface TranslationOptions {
  model: TranslationModel;
  /** One for both languages, or one each. */
  tokenizer: Tokenizer | { readonly source: Tokenizer; readonly target: Tokenizer };
  /** Parameters by name; without them the model must be trained first. */
  weights?: Weights;
  decoding?: DecodingOptions;
  /** Of target tokens, for `decoding.shortlist`; fetched when it is first wanted. */
  shortlist?: () => Promise<Shortlist>;
  /** "int8" decodes in whole numbers of 8 bits: faster, a little less exact. */
  precision?: "float32" | "int8";
  session?: SessionOptions;
  listener?: Listener;
}

/** Lines are searched in the order of their lengths within windows of this many, and given back in their own order. */
export const windowLines = 1024;

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
  readonly decoding: DecodingChoices;
  readonly session: SessionOptions;
  readonly #precision: "float32" | "int8";
  readonly #fetchShortlist: () => Promise<Shortlist>;
  #shortlist: Shortlist | undefined;
  protected readonly listener: Listener;
  readonly #reader: SentenceReader;
  #weights: Weights | undefined;
  #writer: TranslationWriter | undefined;
  #scorer: TargetScorer | undefined;
  #attention: CrossAttention | undefined;
  #inspector: DecoderInspector | undefined;
  /** Those whose models take part in every step. */
  readonly #others: Translation[] = [];

  constructor({
    model,
    tokenizer,
    weights,
    decoding = {},
    shortlist = noShortlist,
    precision = "float32",
    session = {},
    listener = silent,
  }: TranslationOptions) {
    this.#fetchShortlist = shortlist;
    this.#precision = precision;
    this.model = model;
    this.source = "source" in tokenizer ? tokenizer.source : tokenizer;
    this.target = "target" in tokenizer ? tokenizer.target : tokenizer;
    const { signal: _, processors: __, ...given } = decoding;
    const choices: DecodingChoices = { ...decodingDefaults, ...given };
    this.decoding = { ...choices, maxLength: Math.min(choices.maxLength, model.maxPositions) };
    this.session = session;
    this.listener = listener;
    const { source, target } = this;
    this.#reader = new SentenceReader({ source, target, maxPositions: model.maxPositions, listener });
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
    this.#writer?.swapAdapter(values);
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

  /**
   * The `nbest` translations of every line, best first, in the order of the lines. An empty line stays one. `numbers` are those of
   * the lines in the text that they are from, counted from 0, which their draws depend on; their places here if not said.
   */
  generate(
    lines: readonly TranslationLine[],
    options: DecodingOptions = {},
    { numbers }: { numbers?: readonly number[] } = {},
  ): Promise<Translated[][]> {
    return this.#generate(lines, options, (i) => numbers?.[i] ?? i);
  }

  /**
   * The same for lines that come one by one, with memory for a window of them. With `batching: "joining"` a line's translations come
   * without waiting for later lines. `firstLine` is the number of the first, from 0: who goes on in the middle of a text then
   * draws what a run from its beginning draws.
   */
  async *generateEach<Line extends TranslationLine>(
    lines: AsyncIterable<Line> | Iterable<Line>,
    options: DecodingOptions = {},
    { firstLine = 0 }: { firstLine?: number } = {},
  ): AsyncGenerator<Translated[]> {
    if ((options.batching ?? this.decoding.batching) === "joining") {
      yield* this.#generateJoining(lines, options, (i) => firstLine + i);
      return;
    }
    let before = firstLine;
    for await (const window of inWindows(lines, windowLines)) {
      yield* await this.#generate(window, options, (i) => before + i);
      before += window.length;
    }
  }

  /** A line's draw depends on its number, not on the window that it is in. */
  async #generate(
    lines: readonly TranslationLine[],
    options: DecodingOptions,
    numberOf: (i: number) => number,
  ): Promise<Translated[][]> {
    const { signal, processors, ...choices } = choicesOfCall(this.model, this.decoding, options);
    if (choices.batching === "joining") {
      const found: Translated[][] = [];
      for await (const translated of this.#generateJoining(lines, options, numberOf)) found.push(translated);
      return found;
    }
    const shortlist = await this.#listing(choices);
    const inputs = lines.map((line, i) => this.#reader.sentence(line, numberOf(i), choices, shortlist));
    const results: Translated[][] = lines.map(() => [nothingTranslated]);
    const batches = batchesByLength(
      inputs.map(({ ids }) => ids.length),
      {
        mostTokens: choices.batchTokens / rowsASentence(choices),
        of: inputs.map((_, i) => i).filter((i) => textOf(lines[i]!) !== ""),
      },
    );
    const told = { choices, target: this.target, signal, processors };
    for (const batch of batches) {
      const sentences = batch.map((i) => inputs[i]!);
      const found = await this.#writes().write(sentences, told, this.#theirWriters());
      for (const [row, line] of batch.entries()) {
        const all = found[row]!.map((hypothesis) => translatedOf(hypothesis, this.target, choices.stop));
        results[line] = choices.mbr === "none" ? all : chosenByRisk(all, choices);
      }
    }
    return results;
  }

  /** The same for lines that join one batch as they come, each as soon as it and those before it are done. */
  async *#generateJoining<Line extends TranslationLine>(
    lines: AsyncIterable<Line> | Iterable<Line>,
    options: DecodingOptions,
    numberOf: (i: number) => number,
  ): AsyncGenerator<Translated[]> {
    const { signal, processors, ...choices } = choicesOfCall(this.model, this.decoding, options);
    if (this.#others.length > 0)
      throw new ConfigError("batching", "lines cannot join the batches of an ensemble. Set batching to sorted.");
    const writer = stepwise(this.#writes());
    const shortlist = await this.#listing(choices);
    const found = decodeJoining({
      lines,
      sentenceOf: (line, i) => {
        if (textOf(line) === "") return undefined;
        const sentence = this.#reader.sentence(line, numberOf(i), choices, shortlist);
        if (sentence.phrases.length === 0) return sentence;
        throw new ConfigError("batching", "cannot be joining where a line has phrases. Set batching to sorted.");
      },
      open: (sourceOf, asked) => writer.open(sourceOf, asked),
      choices,
      target: this.target,
      signal,
      processors,
    });
    for await (const outputs of found)
      yield outputs?.map((hypothesis) => translatedOf(hypothesis, this.target, choices.stop)) ?? [nothingTranslated];
  }

  /**
   * The translation of a line, piece by piece as it is written: by greedy search, or drawn with `search: "sample"`. The pieces put
   * together are the whole text; a character comes whole or not yet. Leaving the loop ends the search, as does `signal`, which
   * throws an AbortError.
   *
   * @example
   * for await (const piece of translation.stream("A man in an orange hat.")) process.stdout.write(piece);
   */
  async *stream(line: TranslationLine, options: Omit<DecodingOptions, "beams" | "nbest"> = {}): AsyncGenerator<string> {
    const told = "text is told while it is written by greedy search or sampling alone.";
    const { search = this.decoding.search } = options;
    if (search !== "beam" && search !== "sample") throw new ConfigError("stream", told);
    // What is configured for beams is not meant here.
    const { coverageLayer: _, coverageHead: __, ...configured } = this.decoding;
    const single = { beams: 1, nbest: 1, groups: 1, diversityPenalty: 0, coveragePenalty: 0, mbr: "none" } as const;
    const whole = choicesOfCall(this.model, { ...configured, ...single }, options);
    const { signal, processors, ...choices } = whole;
    const sentence = this.#reader.sentence(line, 0, choices, await this.#listing(choices));
    if (sentence.phrases.length > 0 || choices.mbr !== "none") throw new ConfigError("stream", told);
    if (textOf(line) === "") return;
    const writer = stepwise(this.#writes());
    const stepper = await writer.start([sentence.ids], stepperOptionsOf([sentence], choices), this.#theirWriters());
    yield* writtenPieces(stepper, sentence, { choices, target: this.target, signal, processors });
  }

  /**
   * What the model thinks of targets that are given: the log-probability of each, token by token, by teacher forcing. `score` is divided
   * by the length as `decoding.lengthPenalty` says.
   *
   * @example
   * const [scored] = await translation.score(["A dog runs."], ["Ein Hund rennt."]);
   */
  async score(sources: readonly string[], targets: readonly string[]): Promise<Translated[]> {
    if (sources.length !== targets.length)
      throw new ConfigError("targets", `${targets.length} for ${sources.length} sources. Give one a source.`);
    const { model } = this;
    if (model instanceof NonAutoregressiveTransformer)
      throw new ConfigError(
        "score",
        "this model writes all places at once; only those that write token after token score.",
      );
    const { start, end } = this.target.special;
    const pairs = sources.map((source, i) => {
      const ids = [start, ...this.target.encode(targets[i]!), end];
      if (ids.length - 1 > model.maxPositions) {
        throw new ConfigError(
          `target ${i + 1}`,
          `${ids.length - 1} tokens, and the model has positions for ${model.maxPositions}. Shorten it.`,
        );
      }
      return { source: this.#reader.ids(source, i), target: ids };
    });
    this.#scorer ??= new TargetScorer(model, this.session);
    const steps = await this.#scorer.score(this.weights, pairs, this.decoding.batchTokens);
    return steps.map((tokenLogProbabilities, i) => {
      const logProbability = tokenLogProbabilities.reduce((a, b) => a + b, 0);
      const tokens = namesOf(this.target, pairs[i]!.target.slice(1));
      const score = normalised(logProbability, tokens.length, lengthPenaltyOf(this.decoding));
      return { text: targets[i]!, score, logProbability, tokens, tokenLogProbabilities, finished: true };
    });
  }

  /**
   * From now on every step takes the mean of what this and the other translations' models think comes next. They must have the same
   * tokenizers; their weights and sizes may differ. They are disposed of with this one.
   *
   * @example
   * translation.ensembleWith(await openTranslation("runs/en-de-2"));
   */
  ensembleWith(...others: readonly Translation[]): void {
    for (const other of others) {
      for (const side of ["source", "target"] as const) {
        if (JSON.stringify(other[side].toJSON()) !== JSON.stringify(this[side].toJSON()))
          throw new ConfigError(
            "ensemble",
            `its ${side} tokenizer is not this one's. Members need the same tokenizers.`,
          );
      }
      if ([this, other].some(({ model }) => model instanceof NonAutoregressiveTransformer))
        throw new ConfigError("ensemble", "models that write all places at once have no steps to take the mean of.");
    }
    this.#others.push(...others);
  }

  /**
   * How many tokens the translation of each line will have, END counted, as a model that predicts lengths thinks most likely;
   * undefined where the model predicts none.
   */
  async predictedLengths(lines: readonly string[]): Promise<number[] | undefined> {
    const writer = this.#writes();
    if (!(writer instanceof OnePassWriter) || !writer.predictsLengths) return undefined;
    const inputs = lines.map((line, i) => this.#reader.ids(line, i));
    const lengths = new Array<number>(lines.length);
    const { batchTokens: mostTokens } = this.decoding;
    for (const batch of batchesByLength(
      inputs.map((ids) => ids.length),
      { mostTokens },
    )) {
      const found = await writer.lengths(batch.map((i) => inputs[i]!));
      for (const [row, i] of batch.entries()) lengths[i] = found[row]!;
    }
    return lengths;
  }

  /** Cross-attention of the target given the source, teacher-forced: what the decoder looked at for each target token. */
  async attention(source: string, target: string): Promise<AlignmentMap> {
    const { start, end } = this.target.special;
    const sourceIds = this.#reader.ids(source, 0);
    const targetIds = [start, ...this.target.encode(target)];
    this.#attention ??= new CrossAttention(this.model, this.session);
    return {
      sourceTokens: namesOf(this.source, sourceIds),
      targetTokens: namesOf(this.target, [...targetIds.slice(1), end]),
      weights: await this.#attention.read(this.weights, sourceIds, targetIds),
    };
  }

  /**
   * What one decoder layer asks the encoder at one step, and what it is answered from, twice: where the decoder is given the target,
   * and where it reads what it wrote itself by greedy search. All numbers are outputs of the model's own program.
   * @example
   * const { freeRunning } = await translation.inspect("A dog runs.", { step: 2, layer: 0 });
   * console.log(freeRunning?.fed, freeRunning?.weights.values);
   */
  async inspect(source: string, { target, ...options }: InspectOptions = {}): Promise<Inspection> {
    const { model } = this;
    if (!(model instanceof Transformer))
      throw new ConfigError("inspect", "only a Transformer that writes token after token can be looked into.");
    const { start, end } = this.target.special;
    const sourceIds = this.#reader.ids(source, 0);
    const stepper = await stepwise(this.#writes()).start([sourceIds], {}, this.#theirWriters());
    const [written] = await greedySearch(stepper, { start, end, maxTokens: this.decoding.maxLength });
    const { tokens, tokenLogProbabilities } = written!;
    this.#inspector ??= new DecoderInspector(model, this.session);
    return this.#inspector.inspect(this.weights, {
      ...options,
      tokenizers: this,
      sourceIds,
      written: tokenLogProbabilities.length > tokens.length ? [...tokens, end] : tokens,
      ...(target !== undefined && { target: [...this.target.encode(target), end] }),
    });
  }

  /**
   * Which source token each target token was made of, as [source, target] places from 0: where a head, or the mean of a layer's
   * heads, looked most. A target token that looked at the source's END has no pair.
   */
  async align(source: string, target: string, options: AlignOptions = {}): Promise<[source: number, target: number][]> {
    return alignmentOf(await this.attention(source, target), options);
  }

  /** Which tokens may be written, where not all. */
  async #listing(choices: DecodingChoices): Promise<Shortlist | undefined> {
    return choices.shortlist !== "none" ? (this.#shortlist ??= await this.#fetchShortlist()) : undefined;
  }

  /** How the model writes, with the weights of the moment. */
  #writes(): TranslationWriter {
    const { model, weights, session } = this;
    return (this.#writer ??= writerOf(model, {
      weights,
      session,
      precision: this.#precision,
      pad: this.source.special.pad,
    }));
  }

  /** Those of the others of an ensemble. */
  #theirWriters(): TranslationWriter[] {
    return this.#others.map((other) => other.#writes());
  }

  async dispose(): Promise<void> {
    await this.#writer?.dispose();
    await this.#scorer?.dispose();
    await this.#attention?.dispose();
    await this.#inspector?.dispose();
    this.#writer = undefined;
    this.#scorer = undefined;
    this.#attention = undefined;
    this.#inspector = undefined;
    for (const other of this.#others) await other.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

function noShortlist(): Promise<Shortlist> {
  return Promise.reject(
    new ConfigError("shortlist", "there is none. Learn one with heddle shortlist, or leave the option out."),
  );
}
