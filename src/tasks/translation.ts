// Translation: a model, its tokenizers and a search, tied together. Text goes in, text comes out.
import { ConfigError, randomKey, randomWord, silent, type Listener } from "../base/index.ts";
import { ensemble, greedySearch, normalised, type Hypothesis, type Stepper } from "../decode/index.ts";
import type { Corpus, Shortlist } from "../data/index.ts";
import type { SessionOptions } from "../engine/index.ts";
import {
  NonAutoregressiveDecoder,
  NonAutoregressiveTransformer,
  Transformer,
  TransformerDecoder,
  type StepperOptions,
} from "../models/index.ts";
import type { Tokenizer } from "../text/index.ts";
import type { TrainingResult } from "../train/index.ts";
import { alignmentOf, CrossAttention, type AlignmentMap, type AlignOptions } from "./decoding-attention.ts";
import { DecoderInspector, type InspectOptions, type Inspection } from "./decoding-inspection.ts";
import { decodingDefaults, misfitsOfDecoding, type DecodingChoices, type DecodingOptions } from "./decoding-options.ts";
import {
  chosenByRisk,
  namesOf,
  nothingTranslated,
  textOf,
  translatedOf,
  type Translated,
  type TranslationLine,
} from "./decoding-outputs.ts";
import { decodeJoining, type SentenceFromIds } from "./decoding-joining.ts";
import { idRows, TargetScorer } from "./decoding-score.ts";
import {
  decodeBatch,
  lengthPenaltyOf,
  rowsASentence,
  stepperOptionsOf,
  type DecodeBatchOptions,
} from "./decoding-search.ts";
import { writtenPieces } from "./decoding-stream.ts";
import type { Weights } from "./learning.ts";
import { predictedLengths, refuseUnheeded, writeInOnePass, type TranslationModel } from "./non-autoregressive.ts";
import { learnTranslation, type LearningOptions, type LearnTranslationOptions } from "./translation-training.ts";

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
  #weights: Weights | undefined;
  #decoder: TransformerDecoder | undefined;
  #onePass: NonAutoregressiveDecoder | undefined;
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
    let window: Line[] = [];
    let before = firstLine;
    const numberOf = (i: number): number => before + i;
    for await (const line of lines) {
      window.push(line);
      if (window.length < windowLines) continue;
      yield* await this.#generate(window, options, numberOf);
      before += window.length;
      window = [];
    }
    if (window.length > 0) yield* await this.#generate(window, options, numberOf);
  }

  /** A line's draw depends on its number, not on the window that it is in. */
  async #generate(
    lines: readonly TranslationLine[],
    options: DecodingOptions,
    numberOf: (i: number) => number,
  ): Promise<Translated[][]> {
    const { signal, processors, ...choices } = this.#choicesWith(options);
    if (choices.batching === "joining") {
      const found: Translated[][] = [];
      for await (const translated of this.#generateJoining(lines, options, numberOf)) found.push(translated);
      return found;
    }
    const shortlist = await this.#listing(choices);
    const inputs = lines.map((line, i) => this.#sentence(line, numberOf(i), choices, shortlist));
    const order = inputs.map((_, i) => i).filter((i) => textOf(lines[i]!) !== "");
    order.sort((a, b) => inputs[b]!.ids.length - inputs[a]!.ids.length || a - b);
    const results: Translated[][] = lines.map(() => [nothingTranslated]);
    const rows = rowsASentence(choices);
    for (let start = 0; start < order.length;) {
      const longest = inputs[order[start]!]!.ids.length;
      const size = Math.max(1, Math.floor(choices.batchTokens / (longest * rows)));
      const batch = order.slice(start, start + size);
      const found = await this.#search(
        batch.map((i) => inputs[i]!),
        { choices, target: this.target, signal, processors },
      );
      for (const [row, line] of batch.entries()) {
        const all = found[row]!.map((hypothesis) => translatedOf(hypothesis, this.target, choices.stop));
        results[line] = choices.mbr === "none" ? all : chosenByRisk(all, choices);
      }
      start += batch.length;
    }
    return results;
  }

  /** The same for lines that join one batch as they come, each as soon as it and those before it are done. */
  async *#generateJoining<Line extends TranslationLine>(
    lines: AsyncIterable<Line> | Iterable<Line>,
    options: DecodingOptions,
    numberOf: (i: number) => number,
  ): AsyncGenerator<Translated[]> {
    const { signal, processors, ...choices } = this.#choicesWith(options);
    if (this.#others.length > 0)
      throw new ConfigError("batching", "lines cannot join the batches of an ensemble. Set batching to sorted.");
    const decoder = this.#stepDecoder();
    const shortlist = await this.#listing(choices);
    const found = decodeJoining({
      lines,
      sentenceOf: (line, i) => {
        if (textOf(line) === "") return undefined;
        const sentence = this.#sentence(line, numberOf(i), choices, shortlist);
        if (sentence.phrases.length === 0) return sentence;
        throw new ConfigError("batching", "cannot be joining where a line has phrases. Set batching to sorted.");
      },
      open: (sourceOf, asked) => decoder.open(sourceOf, asked),
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
    const whole = this.#choicesWith(options, { ...configured, ...single });
    const { signal, processors, ...choices } = whole;
    const sentence = this.#sentence(line, 0, choices, await this.#listing(choices));
    if (sentence.phrases.length > 0 || choices.mbr !== "none") throw new ConfigError("stream", told);
    if (textOf(line) === "") return;
    const stepper = await this.#start([sentence.ids], stepperOptionsOf([sentence], choices));
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
      return { source: this.#encode(source, i), target: ids };
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
    const { model } = this;
    if (!(model instanceof NonAutoregressiveTransformer) || model.options.length !== "predicted") return undefined;
    const decoder = this.#decoderInOnePass(model);
    const inputs = lines.map((line, i) => this.#encode(line, i));
    const order = inputs.map((_, i) => i).sort((a, b) => inputs[b]!.length - inputs[a]!.length || a - b);
    const lengths = new Array<number>(lines.length);
    for (let start = 0; start < order.length;) {
      const size = Math.max(1, Math.floor(this.decoding.batchTokens / inputs[order[start]!]!.length));
      const batch = order.slice(start, start + size);
      const ids = batch.map((i) => inputs[i]!);
      const found = await predictedLengths(decoder, idRows(ids, this.source.special.pad));
      for (const [row, i] of batch.entries()) lengths[i] = found[row]!;
      start += batch.length;
    }
    return lengths;
  }

  /** Cross-attention of the target given the source, teacher-forced: what the decoder looked at for each target token. */
  async attention(source: string, target: string): Promise<AlignmentMap> {
    const { start, end } = this.target.special;
    const sourceIds = this.#encode(source, 0);
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
    const sourceIds = this.#encode(source, 0);
    const stepper = await this.#start([sourceIds], {});
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

  /** The choices of one call over those of this translation, refused where they cannot be honoured together. */
  #choicesWith(
    options: DecodingOptions,
    configured: DecodingChoices = this.decoding,
  ): DecodingChoices & Pick<DecodingOptions, "signal" | "processors"> {
    refuseUnheeded(this.model, { ...options });
    const choices = { ...configured, ...options };
    if (this.model instanceof NonAutoregressiveTransformer) {
      const { nbest, lengthCandidates } = choices;
      if (nbest > lengthCandidates)
        throw new ConfigError("nbest", `must not exceed lengthCandidates (got ${nbest} and ${lengthCandidates})`);
      return choices;
    }
    const [misfit] = misfitsOfDecoding(choices);
    if (misfit !== undefined) throw new ConfigError(misfit.key, `${misfit.problem}.`);
    return choices;
  }

  /** Which tokens may be written, where not all. */
  async #listing(choices: DecodingChoices): Promise<Shortlist | undefined> {
    return choices.shortlist !== "none" ? (this.#shortlist ??= await this.#fetchShortlist()) : undefined;
  }

  #sentence(
    line: TranslationLine,
    index: number,
    { phrases: common, oneOf, seed }: DecodingChoices,
    shortlist: Shortlist | undefined,
  ): SentenceFromIds {
    const { text, phrases: own = [], prefix: beginning = "" } = typeof line === "string" ? { text: line } : line;
    const ids = this.#encode(text, index);
    const phrases = [...common, ...own].map((phrase) => this.target.encode(phrase));
    const prefix = beginning === "" ? [] : this.target.encode(beginning);
    const asked = (): number[] => [
      ...phrases.flat(),
      ...prefix,
      ...oneOf.flatMap((output) => this.target.encode(output)),
    ];
    return {
      ids,
      sourceTokens: ids.length,
      phrases,
      prefix,
      ...(shortlist && { list: shortlist.of(ids, asked()) }),
      seed: randomWord(randomKey(seed, index), 0),
    };
  }

  async #search(sentences: readonly SentenceFromIds[], options: DecodeBatchOptions): Promise<Hypothesis[][]> {
    const { choices, signal } = options;
    if (this.model instanceof NonAutoregressiveTransformer) {
      const batch = idRows(
        sentences.map(({ ids }) => ids),
        this.source.special.pad,
      );
      return writeInOnePass(this.#decoderInOnePass(this.model), batch, { ...choices, ...(signal && { signal }) });
    }
    const rows = sentences.flatMap(({ ids }) => new Array<readonly number[]>(rowsASentence(choices)).fill(ids));
    return decodeBatch(await this.#start(rows, stepperOptionsOf(sentences, choices)), sentences, options);
  }

  #decoderInOnePass(model: NonAutoregressiveTransformer): NonAutoregressiveDecoder {
    const precision = { precision: this.#precision };
    return (this.#onePass ??= new NonAutoregressiveDecoder(model, this.weights, this.session, precision));
  }

  /** Reads sources with this model, and with those of the ensemble. */
  async #start(sources: readonly (readonly number[])[], options: StepperOptions): Promise<Stepper> {
    const own = await this.#stepDecoder().start(idRows(sources, this.source.special.pad), options);
    if (this.#others.length === 0) return own;
    const others: Stepper[] = [];
    for (const other of this.#others) others.push(await other.#start(sources, options));
    return ensemble([own, ...others]);
  }

  #stepDecoder(): TransformerDecoder {
    if (this.model instanceof NonAutoregressiveTransformer)
      throw new ConfigError("model", "writes all places at once; there are no steps to take.");
    this.#decoder ??= new TransformerDecoder(this.model, this.weights, this.session, { precision: this.#precision });
    return this.#decoder;
  }

  async dispose(): Promise<void> {
    await this.#decoder?.dispose();
    await this.#onePass?.dispose();
    await this.#scorer?.dispose();
    await this.#attention?.dispose();
    await this.#inspector?.dispose();
    this.#decoder = undefined;
    this.#onePass = undefined;
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
