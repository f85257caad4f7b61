// Training a translation model: what the loop needs, made from a corpus and a model.
import { ConfigError, silent, type HostTensor, type Listener } from "../base/index.ts";
import { FixedBatches, type EncodedPairs, type PairBatch } from "../data/index.ts";
import { compile, type Executable, type SessionOptions } from "../engine/index.ts";
import { Bleu, type BleuTokenizer } from "../metrics/index.ts";
import { teacherForcing, type Transformer } from "../models/index.ts";
import { namedParameters, parameterInputs } from "../nn/index.ts";
import { withoutDropout } from "../tensor/index.ts";
import type { BatchReader } from "../train/index.ts";
import { Translation, type DecodingOptions } from "./translation.ts";

/** How the loop reads a batch of pairs. */
export function pairReader(pairs: EncodedPairs): BatchReader<PairBatch> {
  return {
    tokens: ({ targetTokens }) => targetTokens,
    feeds: feedsOf,
    describe: ({ indices }) => {
      const places = [...indices.slice(0, 8)].map((index) => pairs.placeOf(index));
      return `${places.join("; ")}${indices.length > 8 ? ` and ${indices.length - 8} more` : ""}`;
    },
  };
}

function feedsOf({ sourceIds, targetIds }: PairBatch, tokenWeight: number): Record<string, HostTensor> {
  return { sourceIds, targetIds, tokenWeight: { dtype: "float32", dims: [], data: Float32Array.of(tokenWeight) } };
}

export interface ValidatorOptions {
  model: Transformer;
  pairs: EncodedPairs;
  /** Lines to translate and what they should become; without them no BLEU is given. */
  texts?: { readonly sources: readonly string[]; readonly references: readonly string[] };
  /** The weights of the moment. */
  weights: () => Readonly<Record<string, HostTensor<"float32">>>;
  translation: Translation;
  decoding?: DecodingOptions;
  tokenize?: BleuTokenizer;
  batchTokens?: number;
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
    this.#batches = new FixedBatches(options.pairs, { batchTokens: options.batchTokens ?? 4096 });
  }

  async validate(): Promise<Record<string, number>> {
    const { model, weights, texts, translation, decoding = {}, tokenize = "13a", session = {}, listener = silent } = this.#options;
    if (this.#executable === undefined) {
      const { inputs, figures } = teacherForcing(model);
      const program = { name: "validation", inputs: { ...parameterInputs(namedParameters(model)), ...inputs }, outputs: figures };
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
    const figures = { loss, perplexity: Math.exp(loss) };
    if (texts === undefined) return figures;
    listener({ type: "progress", task: "translating the validation set", done: 0, total: texts.sources.length });
    const now = Object.entries(weights()).map(([name, { dtype, dims, data }]) => [name, { dtype, dims, data: data.slice() }] as const);
    await translation.setWeights(new Map(now));
    const hypotheses = await translation.translate(texts.sources, decoding);
    const { score } = new Bleu({ tokenize }).corpus(hypotheses, [texts.references]);
    return { ...figures, bleu: score };
  }

  async dispose(): Promise<void> {
    await (await this.#executable)?.dispose();
  }
}
