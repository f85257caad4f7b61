// Training a translation model: what the loop needs, made from a corpus and a model.
import { ConfigError, silent, type HostTensor, type Listener } from "../base/index.ts";
import { Batches, encodePairs, FixedBatches, type Corpus, type EncodedPairs, type PairBatch } from "../data/index.ts";
import { compile, type Executable, type SessionOptions } from "../engine/index.ts";
import { Bleu, type BleuTokenizer } from "../metrics/index.ts";
import { namedParameters, parameterInputs } from "../nn/index.ts";
import { withoutDropout } from "../tensor/index.ts";
import type { Tokenizer } from "../text/index.ts";
import type { BatchReader, TrainingResult } from "../train/index.ts";
import { learn, type KeepRun, type TrainingOptions, type Validates, type Weights } from "./learning.ts";
import { lossOf, type TranslationModel } from "./non-autoregressive.ts";

export interface LearningOptions extends TrainingOptions {
  /** Most tokens of one batch on its longer side, padding included. */
  batchTokens?: number;
  /** Share of the target's probability spread over the vocabulary. */
  labelSmoothing?: number;
  /** Share of the tokens that a non-autoregressive model misses at first which it is then shown; see `nonAutoregressiveLoss`. */
  glancing?: number;
  /** Chance to leave out a merge of a BPE tokenizer when a pair is spelt, anew each epoch; validation is spelt plainly. */
  bpeDropout?: number;
  /** Longer pairs are left out, and counted. */
  maxSourceTokens?: number;
  maxTargetTokens?: number;
  /** How the validation's BLEU parts text into words. */
  tokenize?: BleuTokenizer;
}

export interface LearnTranslationOptions extends LearningOptions {
  model: TranslationModel;
  tokenizer: { readonly source: Tokenizer; readonly target: Tokenizer };
  corpus: Corpus;
  validation?: Corpus | undefined;
  /** First values in place of random ones. */
  weights?: Weights | undefined;
  /** Translates with the weights of the moment, for the validation's BLEU. */
  translate: (weights: Weights, sources: readonly string[]) => Promise<string[]>;
  session?: SessionOptions;
  keep?: KeepRun;
}

/** Trains, and gives the last weights and how training ended. */
export async function learnTranslation({
  model,
  tokenizer,
  corpus,
  validation,
  translate,
  batchTokens = 4096,
  labelSmoothing = 0,
  glancing = 0,
  bpeDropout = 0,
  maxSourceTokens = 256,
  maxTargetTokens = 256,
  tokenize = "13a",
  ...options
}: LearnTranslationOptions): Promise<{ weights: Weights; result: TrainingResult }> {
  const { seed = 1, session = {}, listener = silent } = options;
  const pairs = await encodePairs(corpus, {
    ...tokenizer,
    maxSourceTokens,
    maxTargetTokens,
    ...(bpeDropout > 0 && { bpeDropout: { rate: bpeDropout, seed } }),
    listener,
  });
  const held = validation && {
    pairs: await encodePairs(validation, { ...tokenizer, listener }),
    texts: await textsOf(validation),
  };
  return learn({
    ...options,
    model,
    loss: lossOf(model, { labelSmoothing, glancing }),
    batches: new Batches(pairs, { batchTokens, seed }),
    reader: pairReader(pairs),
    validator:
      held && ((weights) => new Validator({ ...held, model, weights, translate, tokenize, session, listener })),
  });
}

async function textsOf(corpus: Corpus): Promise<{ sources: string[]; references: string[] }> {
  const records = await corpus.collect();
  return { sources: records.map(({ source }) => source), references: records.map(({ target }) => target) };
}

/** How the loop reads a batch of pairs. */
export function pairReader(pairs: EncodedPairs): BatchReader<PairBatch> {
  return {
    tokens: ({ targetTokens }) => targetTokens,
    feeds: feedsOf,
    describe: ({ indices }) => {
      const places = Array.from(indices.slice(0, 8), (index) => {
        const { file, line } = pairs.placeOf(index);
        return `${file}, line ${line}`;
      });
      return `${places.join("; ")}${indices.length > 8 ? ` and ${indices.length - 8} more` : ""}`;
    },
  };
}

function feedsOf({ sourceIds, targetIds }: PairBatch, tokenWeight: number): Record<string, HostTensor> {
  return { sourceIds, targetIds, tokenWeight: { dtype: "float32", dims: [], data: Float32Array.of(tokenWeight) } };
}

export interface ValidatorOptions {
  model: TranslationModel;
  pairs: EncodedPairs;
  /** Lines to translate and what they should become. */
  texts: { readonly sources: readonly string[]; readonly references: readonly string[] };
  /** The weights of the moment. */
  weights: () => Readonly<Record<string, HostTensor<"float32">>>;
  translate: (weights: Weights, sources: readonly string[]) => Promise<string[]>;
  tokenize?: BleuTokenizer;
  session?: SessionOptions;
  listener?: Listener;
}

/**
 * Loss, perplexity and BLEU of a model on a validation set, without dropout and without label smoothing, and what figures its
 * loss program has besides.
 */
export class Validator implements Validates {
  readonly #options: ValidatorOptions;
  readonly #batches: FixedBatches;
  #executable: Promise<Executable> | undefined;

  constructor(options: ValidatorOptions) {
    if (options.pairs.count === 0) throw new ConfigError("data.validation", "no pair is left to validate on");
    this.#options = options;
    this.#batches = new FixedBatches(options.pairs, { batchTokens: 4096 });
  }

  async validate(): Promise<Record<string, number>> {
    const { model, weights, texts, translate, tokenize = "13a", session = {}, listener = silent } = this.#options;
    if (this.#executable === undefined) {
      const { inputs, figures } = lossOf(model);
      const program = {
        name: "validation",
        inputs: { ...parameterInputs(namedParameters(model)), ...inputs },
        outputs: figures,
      };
      this.#executable = compile(withoutDropout(program), session);
    }
    const executable = await this.#executable;
    const sums: Record<string, number> = {};
    let tokens = 0;
    for (const batch of this.#batches) {
      const results = await executable.run({ ...weights(), ...feedsOf(batch, 1) });
      for (const [name, { data }] of Object.entries(results)) sums[name] = (sums[name] ?? 0) + Number(data[0]);
      tokens += batch.targetTokens;
    }
    const { negativeLogLikelihood, ...others } = sums;
    const loss = negativeLogLikelihood! / tokens;
    const figures = Object.fromEntries(Object.entries(others).map(([name, sum]) => [name, sum / tokens]));
    listener({ type: "progress", task: "translating the validation set", done: 0, total: texts.sources.length });
    // Training goes on in the same memory, and the translator keeps what it is given.
    const now = Object.entries(weights()).map(
      ([name, { dtype, dims, data }]) => [name, { dtype, dims, data: data.slice() }] as const,
    );
    const hypotheses = await translate(new Map(now), texts.sources);
    const { score } = new Bleu({ tokenize, force: true }).corpus(hypotheses, [texts.references]);
    return { loss, perplexity: Math.exp(loss), ...figures, bleu: score };
  }

  async dispose(): Promise<void> {
    await (await this.#executable)?.dispose();
  }
}
