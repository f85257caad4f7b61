// Sentences through a non-autoregressive model: lengths chosen, canvases filled, what was written read.
import { ConfigError, type HostTensor } from "../base/index.ts";
import {
  collapsed,
  likelyLengths,
  maskPredict,
  upToEnd,
  withoutRepeats,
  writeBlocks,
  type Hypothesis,
} from "../decode/index.ts";
import {
  nonAutoregressiveLoss,
  NonAutoregressiveTransformer,
  sparePlaces,
  teacherForcing,
  type LossProgram,
  type NonAutoregressiveDecoder,
  type NonAutoregressiveLossOptions,
  type SequenceToSequence,
} from "../models/index.ts";
import { misfitOfOnePass } from "./non-autoregressive-config.ts";

/** What can translate: token after token, or all places at once. */
export type TranslationModel = SequenceToSequence | NonAutoregressiveTransformer;

/** What a model is taught by pairs of sequences. */
export function lossOf(model: TranslationModel, options: NonAutoregressiveLossOptions = {}): LossProgram {
  if (model instanceof NonAutoregressiveTransformer) return nonAutoregressiveLoss(model, options);
  const { glancing = 0, ...others } = options;
  if (glancing > 0)
    throw new ConfigError("training.glancing", "has no effect with models that write token after token. Set it to 0.");
  return teacherForcing(model, others);
}

export interface OnePassOptions {
  /** Passes: after the first, each writes anew what was least sure. Only of models with masked decoder input. */
  iterations: number;
  /** Lengths that are tried for a sentence, side by side. Only where lengths are predicted. */
  lengthCandidates: number;
  /** What predicted lengths are multiplied with. */
  lengthFactor: number;
  /** Runs of one token become one. Not of ctc, which reads them so anyway. */
  mergeRepeats: boolean;
  /** The most tokens of an output, END counted. */
  maxLength: number;
  nbest: number;
  signal?: AbortSignal;
}

/** The `nbest` outputs of every source of a padded batch [sentences, sourceTime], best first. */
export async function writeInOnePass(
  decoder: NonAutoregressiveDecoder,
  sourceIds: HostTensor<"int32">,
  { iterations, lengthCandidates, lengthFactor, mergeRepeats, maxLength, nbest, signal }: OnePassOptions,
): Promise<Hypothesis[][]> {
  const { model } = decoder;
  const { length, upsampling, start, end, pad } = model.options;
  const misfit = misfitOfOnePass(model.options, { iterations, lengthCandidates, lengthFactor, mergeRepeats });
  if (misfit !== undefined) throw new ConfigError(`decoding.${misfit.key}`, `${misfit.problem}.`);
  const read = await decoder.read(sourceIds);
  const tokens = tokensOfEach(sourceIds, pad);
  const symbols = { start, end, pad };
  const written = (hypothesis: Hypothesis): Hypothesis => (mergeRepeats ? withoutRepeats(hypothesis) : hypothesis);
  if (length !== "predicted") {
    const found = await writeBlocks(read, {
      ...symbols,
      places: tokens.map((count) => upsampling * count + sparePlaces),
      read: (ids, scores) => (length === "ctc" ? collapsed(ids, scores, start) : upToEnd(ids, scores, end)),
    });
    return found.map((hypothesis) => [atMost(maxLength, written(hypothesis))]);
  }
  const lengths = tokens.map((sourceTokens, sentence) =>
    likelyLengths(read.lengthScores(sentence), {
      sourceTokens,
      count: lengthCandidates,
      factor: lengthFactor,
      maxTokens: Math.min(maxLength, model.options.maxPositions),
    }),
  );
  const found = await maskPredict(read, { ...symbols, lengths, iterations, ...(signal && { signal }) });
  return found.map((hypotheses) => hypotheses.slice(0, nbest).map(written));
}

/** The likeliest length of every source's output, END counted, of a padded batch [sentences, sourceTime]. */
export async function predictedLengths(
  decoder: NonAutoregressiveDecoder,
  sourceIds: HostTensor<"int32">,
): Promise<number[]> {
  const { maxPositions: maxTokens, pad } = decoder.model.options;
  const read = await decoder.read(sourceIds);
  return tokensOfEach(sourceIds, pad).map((sourceTokens, sentence) => {
    const [best] = likelyLengths(read.lengthScores(sentence), { sourceTokens, count: 1, maxTokens });
    return best!.tokens;
  });
}

/** Tokens of every row that are no padding. */
function tokensOfEach({ dims, data }: HostTensor<"int32">, pad: number): number[] {
  const [sentences, time] = dims as readonly [number, number];
  return Array.from({ length: sentences }, (_, row) => {
    let count = 0;
    for (let i = row * time; i < (row + 1) * time; i++) if (data[i] !== pad) count++;
    return count;
  });
}

/** The first tokens of an output that is too long. */
function atMost(tokens: number, hypothesis: Hypothesis): Hypothesis {
  if (hypothesis.tokens.length <= tokens) return hypothesis;
  return { ...hypothesis, tokens: hypothesis.tokens.slice(0, tokens), finished: false };
}
