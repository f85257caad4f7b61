// Training a translation model: what the loop needs, made from a corpus and a model.
import { ConfigError, silent, type HostTensor, type Listener } from "../base/index.ts";
import { Batches, encodePairs, FixedBatches, type Corpus, type EncodedPairs, type PairBatch } from "../data/index.ts";
import { compile, type Executable, type SessionOptions } from "../engine/index.ts";
import { Bleu, type BleuTokenizer } from "../metrics/index.ts";
import { teacherForcing, type SequenceToSequence } from "../models/index.ts";
import { initialize, namedParameters, parameterInputs } from "../nn/index.ts";
import { withoutDropout } from "../tensor/index.ts";
import type { Tokenizer } from "../text/index.ts";
import {
  adam,
  adamW,
  initialState,
  ModelLearner,
  schedules,
  train,
  vectorsWithoutDecay,
  type BatchReader,
  type RunRecorder,
  type ScheduleName,
  type TrainingResult,
  type TrainingState,
} from "../train/index.ts";

/** The weights of a model by parameter name. */
export type Weights = ReadonlyMap<string, HostTensor<"float32">>;

export interface LearningOptions {
  /** Most updates. */
  steps: number;
  /** Most tokens of one batch on its longer side, padding included. */
  batchTokens?: number;
  /** Batches whose gradients one update sums. */
  accumulate?: number;
  optimizer?: "adam" | "adamw";
  /** The highest learning rate, reached when warm-up ends. */
  learningRate?: number;
  /** Updates over which the learning rate rises from zero. */
  warmup?: number;
  schedule?: Exclude<ScheduleName, "noam">;
  betas?: readonly [number, number];
  epsilon?: number;
  /** Decay of matrices, apart from the gradient: adamw only. */
  weightDecay?: number;
  /** Largest global norm of a gradient. */
  clip?: number;
  /** Share of the target's probability spread over the vocabulary. */
  labelSmoothing?: number;
  /** Chance to leave out a merge of a BPE tokenizer when a pair is spelt, anew each epoch; validation is spelt plainly. */
  bpeDropout?: number;
  /** Of parameters, order of batches and dropout: same seed, same run. */
  seed?: number;
  /** Steps between validations, each with a checkpoint. */
  validateEvery?: number;
  /** Stop after this many validations without a better loss. */
  patience?: number;
  /** Stop after this many minutes. */
  minutes?: number;
  /** Longer pairs are left out, and counted. */
  maxSourceTokens?: number;
  maxTargetTokens?: number;
  logEvery?: number;
  /** How the validation's BLEU parts text into words. */
  tokenize?: BleuTokenizer;
  /** Once aborted, training ends after the update under way. */
  stop?: AbortSignal;
  listener?: Listener;
}

/** A run that is kept somewhere: where it stands, and who keeps it. */
export interface KeptRun {
  readonly state: TrainingState;
  readonly recorder: RunRecorder;
}

export interface LearnTranslationOptions extends LearningOptions {
  model: SequenceToSequence;
  tokenizer: { readonly source: Tokenizer; readonly target: Tokenizer };
  corpus: Corpus;
  validation?: Corpus | undefined;
  /** First values in place of random ones. */
  weights?: Weights | undefined;
  /** Translates with the weights of the moment, for the validation's BLEU. */
  translate: (weights: Weights, sources: readonly string[]) => Promise<string[]>;
  session?: SessionOptions;
  /** Opens the run that is to be kept; it may put a checkpoint's values into the learner. */
  keep?: (learner: ModelLearner) => Promise<KeptRun>;
}

/** Trains, and gives the last weights and how training ended. The same for a run in memory and one in a folder. */
export async function learnTranslation({
  model,
  tokenizer,
  corpus,
  validation,
  weights,
  translate,
  session = {},
  keep,
  steps,
  batchTokens = 4096,
  accumulate = 1,
  optimizer = "adam",
  learningRate = 0.001,
  warmup = Math.min(4000, Math.floor(steps / 5)),
  schedule = "inverse-square-root",
  betas = [0.9, 0.98],
  epsilon = 1e-9,
  weightDecay = 0,
  clip,
  labelSmoothing = 0,
  bpeDropout = 0,
  seed = 1,
  validateEvery = 1000,
  patience,
  minutes,
  maxSourceTokens = 256,
  maxTargetTokens = 256,
  logEvery = 100,
  tokenize = "13a",
  stop,
  listener = silent,
}: LearnTranslationOptions): Promise<{ weights: Weights; result: TrainingResult }> {
  const pairs = await encodePairs(corpus, {
    ...tokenizer,
    maxSourceTokens,
    maxTargetTokens,
    ...(bpeDropout > 0 && { bpeDropout: { rate: bpeDropout, seed } }),
    listener,
  });
  const parameters = namedParameters(model);
  const learner = await ModelLearner.create({
    parameters,
    loss: teacherForcing(model, { labelSmoothing }),
    optimizer: optimizer === "adamw" ? adamW({ betas, epsilon, weightDecay }) : adam({ betas, epsilon }),
    values: weights ?? initialize(parameters, seed),
    groups: [vectorsWithoutDecay],
    seed,
    accumulates: accumulate > 1,
    session,
  });
  const validator =
    validation &&
    new Validator({
      model,
      pairs: await encodePairs(validation, { ...tokenizer, listener }),
      texts: await textsOf(validation),
      weights: () => learner.store.values,
      translate,
      tokenize,
      session,
      listener,
    });
  try {
    const kept = await keep?.(learner);
    const result = await train({
      learner,
      batches: new Batches(pairs, { batchTokens, seed }),
      reader: pairReader(pairs),
      state: kept?.state ?? initialState(seed),
      steps,
      schedule: schedules[schedule]({ learningRate, warmup, steps }),
      accumulate,
      logEvery,
      saveEvery: validateEvery,
      ...(minutes !== undefined && { minutes }),
      ...(clip !== undefined && { clip }),
      ...(validator && {
        validation: {
          validate: () => validator.validate(),
          every: validateEvery,
          metric: "loss",
          better: "smaller",
          ...(patience !== undefined && { patience }),
        },
      }),
      ...(kept && { recorder: kept.recorder }),
      ...(stop && { stop }),
      listener,
    });
    return { weights: learner.store.copyOut(), result };
  } finally {
    await validator?.dispose();
    await learner.dispose();
  }
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
  model: SequenceToSequence;
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

/** Loss, perplexity and BLEU of a model on a validation set, without dropout and without label smoothing. */
export class Validator {
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
      const { inputs, figures } = teacherForcing(model);
      const program = {
        name: "validation",
        inputs: { ...parameterInputs(namedParameters(model)), ...inputs },
        outputs: figures,
      };
      this.#executable = compile(withoutDropout(program), session);
    }
    const executable = await this.#executable;
    let total = 0;
    let tokens = 0;
    for (const batch of this.#batches) {
      const { negativeLogLikelihood } = await executable.run({ ...weights(), ...feedsOf(batch, 1) });
      total += Number(negativeLogLikelihood!.data[0]);
      tokens += batch.targetTokens;
    }
    const loss = total / tokens;
    listener({ type: "progress", task: "translating the validation set", done: 0, total: texts.sources.length });
    // Training goes on in the same memory, and the translator keeps what it is given.
    const now = Object.entries(weights()).map(
      ([name, { dtype, dims, data }]) => [name, { dtype, dims, data: data.slice() }] as const,
    );
    const hypotheses = await translate(new Map(now), texts.sources);
    const { score } = new Bleu({ tokenize, force: true }).corpus(hypotheses, [texts.references]);
    return { loss, perplexity: Math.exp(loss), bleu: score };
  }

  async dispose(): Promise<void> {
    await (await this.#executable)?.dispose();
  }
}
