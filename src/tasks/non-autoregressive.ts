// Sentences through a non-autoregressive model: lengths chosen, canvases filled, what was written read.
import { ConfigError, type HostTensor } from "../base/index.ts";
import { collapsed, likelyLengths, maskPredict, upToEnd, writeBlocks, type Hypothesis } from "../decode/index.ts";
import type { NonAutoregressiveDecoder } from "../models/index.ts";
import { sparePlaces } from "../models/index.ts";

export interface OnePassOptions {
  /** Passes: after the first, each writes anew what was least sure. Only of models with masked decoder input. */
  iterations: number;
  /** Lengths that are tried for a sentence, side by side. Only where lengths are predicted. */
  lengthCandidates: number;
  /** What predicted lengths are multiplied with. */
  lengthFactor: number;
  /** The most tokens of an output, END counted. */
  maxLength: number;
  nbest: number;
  signal?: AbortSignal;
}

/** What has no effect with a model is refused: the key and why; undefined where all is well. */
export function misfitOfOnePass(
  { length, decoderInput }: { length: string; decoderInput: string },
  {
    iterations,
    lengthCandidates,
    lengthFactor,
  }: Pick<OnePassOptions, "iterations" | "lengthCandidates" | "lengthFactor">,
): { key: string; problem: string } | undefined {
  if (iterations > 1 && decoderInput !== "masked")
    return {
      key: "iterations",
      problem: `has no effect with model.decoderInput ${decoderInput}: only masked learns to write in several passes`,
    };
  const predicted = { lengthCandidates, lengthFactor };
  for (const [key, value] of Object.entries(predicted)) {
    if (value !== 1 && length !== "predicted")
      return { key, problem: `has no effect with model.length ${length}: only predicted lengths are chosen` };
  }
  return undefined;
}

/** The `nbest` outputs of every source of a padded batch [sentences, sourceTime], best first. */
export async function writeInOnePass(
  decoder: NonAutoregressiveDecoder,
  sourceIds: HostTensor<"int32">,
  { iterations, lengthCandidates, lengthFactor, maxLength, nbest, signal }: OnePassOptions,
): Promise<Hypothesis[][]> {
  const { model } = decoder;
  const { length, upsampling, start, end, pad } = model.options;
  const misfit = misfitOfOnePass(model.options, { iterations, lengthCandidates, lengthFactor });
  if (misfit !== undefined) throw new ConfigError(`decoding.${misfit.key}`, `${misfit.problem}.`);
  const read = await decoder.read(sourceIds);
  const [sentences, time] = sourceIds.dims as readonly [number, number];
  const tokens = Array.from({ length: sentences }, (_, row) => {
    let count = 0;
    for (let i = row * time; i < (row + 1) * time; i++) if (sourceIds.data[i] !== pad) count++;
    return count;
  });
  const symbols = { start, end, pad };
  if (length !== "predicted") {
    const found = await writeBlocks(read, {
      ...symbols,
      places: tokens.map((count) => upsampling * count + sparePlaces),
      read: (ids, scores) => (length === "ctc" ? collapsed(ids, scores, start) : upToEnd(ids, scores, end)),
    });
    return found.map((hypothesis) => [hypothesis]);
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
  return found.map((hypotheses) => hypotheses.slice(0, nbest));
}
