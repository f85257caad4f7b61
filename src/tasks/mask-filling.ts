// A masked language model in use: it says what stands behind a mask.
import { ConfigError, silent, type Listener } from "../base/index.ts";
import { encodeTexts, textsOf, type TextCorpus } from "../data/index.ts";
import { compile, type Executable, type SessionOptions } from "../engine/index.ts";
import type { MaskedLanguageModel } from "../models/index.ts";
import { namedParameters, parameterInputs } from "../nn/index.ts";
import { constant, dim, input, logSoftmax, withoutDropout, type Program } from "../tensor/index.ts";
import type { Tokenizer } from "../text/index.ts";
import type { TrainingResult } from "../train/index.ts";
import type { Weights } from "./learning.ts";
import { maskOf, maskedRows, MaskedScorer } from "./masked-rows.ts";
import { learnMaskedLanguageModel, type MaskedLearningOptions } from "./masked-training.ts";

/** One token that may stand behind a mask. */
export interface Candidate {
  readonly token: string;
  readonly probability: number;
}

/** A text whose masks were filled. */
export interface Filled {
  /** The text with the likeliest token in place of each mask. */
  readonly text: string;
  /** For each mask the likeliest tokens, best first. */
  readonly masks: readonly (readonly Candidate[])[];
}

export interface MaskFillingOptions {
  model: MaskedLanguageModel;
  /** Its vocabulary has a token `<mask>` or `[MASK]`. */
  tokenizer: Tokenizer;
  /** Parameters by name; without them the model must be trained first. */
  weights?: Weights;
  /** Tokens to name for each mask. */
  candidates?: number;
  /** How `score` hides tokens. */
  masking?: { contextTokens?: number; maskRate?: number };
  session?: SessionOptions;
  listener?: Listener;
}

/**
 * Fills masks with an encoder that learnt to.
 * @example
 * const filling = new MaskFilling({ model, tokenizer, weights });
 * console.log((await filling.fill("A man in an orange <mask>.")).text);
 */
export class MaskFilling {
  readonly model: MaskedLanguageModel;
  readonly tokenizer: Tokenizer;
  readonly candidates: number;
  readonly session: SessionOptions;
  readonly #masking: { contextTokens: number; maskRate: number };
  readonly #listener: Listener;
  #weights: Weights | undefined;
  #executable: Promise<Executable> | undefined;

  constructor({
    model,
    tokenizer,
    weights,
    candidates = 5,
    masking = {},
    session = {},
    listener = silent,
  }: MaskFillingOptions) {
    maskOf(tokenizer);
    this.model = model;
    this.tokenizer = tokenizer;
    this.candidates = candidates;
    this.session = session;
    this.#masking = { contextTokens: 256, maskRate: 0.15, ...masking };
    this.#listener = listener;
    this.#weights = weights;
  }

  /** Parameters by name. */
  get weights(): Weights {
    if (this.#weights === undefined)
      throw new ConfigError("mask filling", "the model has no weights yet. Train it, or load them.");
    return this.#weights;
  }

  /** Takes these weights from now on. */
  async setWeights(weights: Weights): Promise<void> {
    await this.dispose();
    this.#weights = weights;
  }

  /** Learns from texts, from the present weights on if there are any, and takes what it has learnt. */
  async train(
    texts: TextCorpus,
    options: MaskedLearningOptions & { validation?: TextCorpus },
  ): Promise<TrainingResult> {
    const { model, tokenizer, session } = this;
    const { weights, result } = await learnMaskedLanguageModel({
      session,
      listener: this.#listener,
      ...this.#masking,
      ...options,
      model,
      tokenizer,
      texts,
      weights: this.#weights,
    });
    await this.setWeights(weights);
    return result;
  }

  /** A text with `<mask>` in it, completed, and what might stand there. */
  async fill(text: string, { candidates = this.candidates }: { candidates?: number } = {}): Promise<Filled> {
    const mask = maskOf(this.tokenizer);
    const { start, end } = this.tokenizer.special;
    const ids = [start, ...encodeAround(text, { tokenizer: this.tokenizer, mask }), end];
    const { maxPositions, vocabularySize } = this.model.encoder.options;
    if (ids.length > maxPositions)
      throw new ConfigError(
        "fill",
        `the text takes ${ids.length} tokens, and the model reads ${maxPositions}. Shorten it.`,
      );
    const places = ids.flatMap((id, place) => (id === mask ? [place] : []));
    if (places.length === 0) return { text, masks: [] };
    this.#executable ??= compile(withoutDropout(fillingProgram(this.model)), this.session);
    const executable = await this.#executable;
    const row = { dtype: "int32", dims: [1, ids.length], data: Int32Array.from(ids) } as const;
    const { logProbabilities } = await executable.run({ ...Object.fromEntries(this.weights), ids: row });
    const special = new Set([...Object.values(this.tokenizer.special), mask]);
    const found = places.map((place) => {
      const scores = (logProbabilities!.data as Float32Array).subarray(
        place * vocabularySize,
        (place + 1) * vocabularySize,
      );
      const order = Array.from(scores, (_, id) => id).filter((id) => !special.has(id));
      return order
        .sort((a, b) => scores[b]! - scores[a]! || a - b)
        .slice(0, candidates)
        .map((id) => ({ id, score: scores[id]! }));
    });
    for (const [i, place] of places.entries()) ids[place] = found[i]![0]!.id;
    return {
      text: this.tokenizer.decode(ids),
      masks: found.map((tokens) =>
        tokens.map(({ id, score }) => ({ token: this.tokenizer.tokenOf(id)!, probability: Math.exp(score) })),
      ),
    };
  }

  /** How well tokens of a text are told that are hidden from it, the same ones each time: loss and perplexity a hidden token. */
  async score(text: string | TextCorpus): Promise<{ tokens: number; loss: number; perplexity: number }> {
    const corpus = typeof text === "string" ? textsOf([text], "text") : text;
    const stream = await encodeTexts(corpus, this.tokenizer, { listener: this.#listener });
    const { model, tokenizer, session } = this;
    const rows = maskedRows(stream, { model, tokenizer, ...this.#masking });
    const scorer = new MaskedScorer({ model, rows, weights: () => Object.fromEntries(this.weights), session });
    try {
      return await scorer.score();
    } finally {
      await scorer.dispose();
    }
  }

  async dispose(): Promise<void> {
    await (await this.#executable)?.dispose();
    this.#executable = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

/**
 * The ids of a text with masks in it. Where words bring the space before them along, as "▁barks" does, a mask brings its own too,
 * and what follows it begins with a space by itself: the text's spaces there would be tokens that no text has.
 */
function encodeAround(text: string, { tokenizer, mask }: { tokenizer: Tokenizer; mask: number }): number[] {
  const ids = Array.from({ length: tokenizer.vocabularySize }, (_, id) => id);
  const bringSpaces = ids.some((id) => /^▁./u.test(tokenizer.tokenOf(id) ?? ""));
  const parts = text.split(tokenizer.tokenOf(mask)!);
  return parts.flatMap((part, i) => {
    const from = bringSpaces && i > 0 && part.startsWith(" ") ? 1 : 0;
    const to = bringSpaces && i + 1 < parts.length && part.endsWith(" ") ? -1 : part.length;
    return [...(i > 0 ? [mask] : []), ...tokenizer.encode(part.slice(from, to))];
  });
}

/** `ids` [batch, time] of one text each → log-probabilities [batch, time, vocabulary] */
function fillingProgram(model: MaskedLanguageModel): Program {
  const ids = input("ids", "int32", [dim("batch"), dim("time")]);
  const first = constant({ dtype: "int32", dims: [1, 1], data: Int32Array.of(0) });
  const segments = model.encoder.options.segments > 0 ? [first] : [];
  const { prediction } = model.forward(ids, ...segments);
  return {
    name: "filling",
    inputs: { ...parameterInputs(namedParameters(model)), ids },
    outputs: { logProbabilities: logSoftmax(model.logits(prediction)) },
  };
}
