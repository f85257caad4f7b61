// How outputs are searched for or drawn: the choices, what they are if not said, and which do not go together. Their help
// lines and the range of each are in decoding-config.ts; docs/decoding.md has the formulas.
import type { EarlyStopping, ScoreProcessor } from "../decode/index.ts";

/** Every choice, made. */
export interface DecodingChoices {
  /**
   * Search for likely outputs, draw them one by one, draw different ones together (stochastic beam search), or search in a beam
   * whose continuations are drawn.
   */
  search: "beam" | "sample" | "stochastic-beam" | "beam-sample";
  /** Hypotheses kept at a time; 1 is greedy search. */
  beams: number;
  /** Groups that the beams are split into; above 1 is diverse beam search. */
  groups: number;
  /** With groups: taken off a token for every earlier group that chose it at the same step. */
  diversityPenalty: number;
  earlyStopping: EarlyStopping;
  /** Exponent of what a hypothesis' score is divided by. */
  lengthPenalty: number;
  /** What has that exponent: the length n, or GNMT's (5 + n) / 6. */
  lengthNormalization: "power" | "gnmt";
  /** What hypotheses pay for words of the source that they pass over: the weight of the coverage penalty. */
  coveragePenalty: number;
  /** Where it sees that: layer and head of the decoder, from 0; the last layer, and the mean of its heads, if not said. */
  coverageLayer?: number;
  coverageHead?: number;
  /** Fewest and most target tokens, END included. */
  minLength: number;
  maxLength: number;
  /** The same for each token of the source, its END included; of two limits the narrower one counts. */
  minLengthRatio?: number;
  maxLengthRatio?: number;
  /** Outputs a line, best first; at most `beams` of a beam search, `lengthCandidates` of a model that writes all at once. */
  nbest: number;
  /** Of what is drawn, as of `heddle/decode`'s processors of these names. */
  temperature: number;
  topK?: number;
  topP?: number;
  minP?: number;
  typicalP?: number;
  /** Drop values in the decoder as in training, at the model's own rates. */
  keepDropout: boolean;
  /**
   * Score only tokens that a source may be translated with, as the translation's shortlist says: each sentence those of its own source,
   * or those of all sources of its batch, which loses less but makes outputs depend on what stands beside.
   */
  shortlist: "none" | "sentence" | "batch";
  /** Of the draw, and of what is dropped: same seed, same outputs, whatever lines stand beside. */
  seed: number;
  repetitionPenalty: number;
  presencePenalty: number;
  frequencyPenalty: number;
  blockNgram?: number;
  /** What every output must hold, and must not. */
  phrases: readonly string[];
  avoid: readonly string[];
  /** Every output is one of these, whole; anything where there are none. */
  oneOf: readonly string[];
  /** An output ends before the first of these. */
  stop: readonly string[];
  /** Choose the output that agrees best with the others, by this metric: minimum Bayes risk. */
  mbr: "none" | "bleu" | "chrf";
  /** Outputs that it chooses among; `beams` of a beam search, 32 drawn ones, if not said. */
  candidates?: number;
  /** Most tokens of one batch of sources, padding included. */
  batchTokens: number;
  /**
   * "sorted" reads a window of lines and decodes lines of like lengths together; "joining" decodes lines as they come, in one batch
   * that they join as others leave it, and gives each as soon as it and those before it are done. The outputs are the same.
   */
  batching: "sorted" | "joining";
  /** Of models that write all places at once: passes; after the first each writes the least sure tokens anew. */
  iterations: number;
  /** Of those that predict lengths: how many lengths are tried. */
  lengthCandidates: number;
  /** Of those: what the predicted length is multiplied with. */
  lengthFactor: number;
  /** Of models that write all places at once, ctc aside: runs of one token become one. */
  mergeRepeats: boolean;
}

export interface DecodingOptions extends Partial<DecodingChoices> {
  /** Looked at between steps. */
  signal?: AbortSignal;
  /** Applied before those that the choices ask for: a grammar, say. The `sentence` that they see is a place in a batch. */
  processors?: readonly ScoreProcessor[];
}

export const decodingDefaults = {
  search: "beam",
  beams: 5,
  groups: 1,
  diversityPenalty: 0,
  earlyStopping: false,
  lengthPenalty: 1,
  lengthNormalization: "power",
  coveragePenalty: 0,
  minLength: 0,
  maxLength: 256,
  nbest: 1,
  temperature: 1,
  keepDropout: false,
  shortlist: "none",
  seed: 1,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  phrases: [],
  avoid: [],
  oneOf: [],
  stop: [],
  mbr: "none",
  batchTokens: 4096,
  batching: "sorted",
  iterations: 1,
  lengthCandidates: 1,
  lengthFactor: 1,
  mergeRepeats: false,
} as const satisfies DecodingChoices;

/** What models that write all places at once heed; the rest is of those that write token after token. */
export const heededInOnePass: readonly string[] = [
  "maxLength",
  "nbest",
  "batchTokens",
  "iterations",
  "lengthCandidates",
  "lengthFactor",
  "mergeRepeats",
] satisfies (keyof DecodingChoices)[];

/** How many outputs of each line are wanted before any are chosen among. */
export function outputsWanted({ search, beams, nbest, mbr, candidates }: DecodingChoices): number {
  if (mbr === "none") return nbest;
  return Math.max(nbest, candidates ?? (search === "sample" ? 32 : beams));
}

/** Choices that do not go together: the key, and what is wrong with it. */
export function misfitsOfDecoding(options: DecodingChoices): { key: keyof DecodingChoices; problem: string }[] {
  const { search, beams, groups, diversityPenalty, nbest, minLength, maxLength, phrases, mbr, candidates } = options;
  const { lengthCandidates } = options;
  const misfits: { key: keyof DecodingChoices; problem: string }[] = [];
  const misfit = (key: keyof DecodingChoices, problem: string): void => void misfits.push({ key, problem });
  const isBeam = search === "beam";
  const isRanked = (isBeam || search === "beam-sample") && beams > 1;
  if (search !== "sample") {
    if (nbest > beams && nbest > lengthCandidates) misfit("nbest", `must not exceed beams (got ${nbest} and ${beams})`);
    if ((candidates ?? 0) > beams) misfit("candidates", `must not exceed beams (got ${candidates} and ${beams})`);
  }
  if (minLength > maxLength) misfit("minLength", `must not exceed maxLength (got ${minLength} and ${maxLength})`);
  if (candidates !== undefined && mbr === "none") misfit("candidates", "has no effect with mbr none. Remove it");
  if (isBeam) {
    for (const key of ["temperature", "topK", "topP", "minP", "typicalP"] as const) {
      if (options[key] !== undefined && (key !== "temperature" || options[key] !== 1))
        misfit(key, "has no effect with search beam: nothing is drawn. Set search to sample");
    }
  }
  if (search === "beam-sample" && beams === 1)
    misfit("beams", "must be at least 2 with search beam-sample (got 1). To draw one by one set search to sample");
  if (options.coveragePenalty > 0 && !isRanked)
    misfit(
      "coveragePenalty",
      isBeam
        ? "has no effect with one beam: it ranks the outputs of several. Set beams, or remove it"
        : `has no effect with search ${search}: it ranks the outputs of a beam. Remove it`,
    );
  for (const key of ["coverageLayer", "coverageHead"] as const)
    if (options[key] !== undefined && options.coveragePenalty === 0)
      misfit(key, "has no effect without a coverage penalty. Set coveragePenalty");
  if (groups > 1) {
    if (!isBeam) misfit("groups", `has no effect with search ${search}. Remove it`);
    else if (beams % groups !== 0) misfit("groups", `must divide beams (got ${groups} and ${beams})`);
    if (phrases.length > 0) misfit("groups", "cannot be had together with phrases. Remove one of them");
  } else if (diversityPenalty !== 0) misfit("diversityPenalty", "has no effect with one group. Set groups");
  if (phrases.length > 0 && !isBeam) misfit("phrases", `need search beam (got ${search})`);
  if (options.batching === "joining") {
    const hindrance = [
      ...(search === "stochastic-beam" ? [`search ${search}`] : []),
      ...(groups > 1 ? ["groups"] : []),
      ...(phrases.length > 0 ? ["phrases"] : []),
      ...(mbr === "none" ? [] : ["mbr"]),
      ...(search === "sample" && nbest > 1 ? ["several draws a line"] : []),
    ][0];
    if (hindrance !== undefined)
      misfit(
        "batching",
        `cannot be joining with ${hindrance}. Set batching to sorted, or take greedy search, a beam or one draw`,
      );
  }
  return misfits;
}
