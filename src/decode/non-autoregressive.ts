// Writing all places of an output at once: canvases go in, tokens with their chances come out, in one pass or in a few.
import { ConfigError } from "../base/index.ts";
import { checkSignal, type Hypothesis } from "./search.ts";

/** Canvases of a batch: sentence by sentence, candidate by candidate, each padded to the longest. */
export interface Canvases {
  /** [sentences, candidates, time] */
  readonly dims: readonly [sentences: number, candidates: number, time: number];
  /** START where something is to be written, a token where it is written already, padding behind the last place. */
  readonly ids: Int32Array;
}

/** The likeliest token of every place, and its log-probability; of `ids`' length each. */
export interface Filled {
  readonly tokens: Int32Array;
  readonly logProbabilities: Float32Array;
}

/** A model that fills canvases of the sentences it was started with. A table can stand behind it as well. */
export interface CanvasFiller {
  fill(canvases: Canvases): Promise<Filled>;
}

export interface CanvasSymbols {
  /** Stands where nothing is written yet. */
  readonly start: number;
  readonly pad: number;
  readonly end: number;
}

export interface LikelyLengthsOptions {
  /** Tokens of the source, END counted. */
  readonly sourceTokens: number;
  /** How many lengths. */
  readonly count: number;
  /** What the predicted lengths are multiplied with: 1.2 asks for a fifth more. */
  readonly factor?: number;
  /** The greatest length. */
  readonly maxTokens: number;
}

/** A length to be tried. */
export interface CandidateLength {
  /** Tokens, END counted. */
  readonly tokens: number;
  readonly logProbability: number;
}

/**
 * The likeliest lengths, best first: `logProbabilities[i]` is that of an output i − ⌊n / 2⌋ tokens longer than its source, n being
 * how many there are. Fewer than `count` where there are no more from 1 to `maxTokens`.
 *
 * @example
 * likelyLengths([-2.3, -0.5, -1.2], { sourceTokens: 7, count: 2, maxTokens: 100 }); // of 7 and of 8 tokens
 */
export function likelyLengths(
  logProbabilities: ArrayLike<number>,
  { sourceTokens, count, factor = 1, maxTokens }: LikelyLengthsOptions,
): CandidateLength[] {
  const reach = Math.floor(logProbabilities.length / 2);
  const order = Array.from(logProbabilities, (logProbability, i) => ({ logProbability, i }));
  order.sort((a, b) => b.logProbability - a.logProbability || a.i - b.i);
  const lengths = new Map<number, CandidateLength>();
  for (const { logProbability, i } of order) {
    if (lengths.size === count) break;
    const wanted = Math.round(factor * Math.max(1, sourceTokens + i - reach));
    const tokens = Math.min(maxTokens, Math.max(1, wanted));
    if (!lengths.has(tokens)) lengths.set(tokens, { tokens, logProbability });
  }
  return [...lengths.values()];
}

export interface MaskPredictOptions extends CanvasSymbols {
  /** Lengths to try for each sentence; sentences may differ in how many. */
  readonly lengths: readonly (readonly CandidateLength[])[];
  /** Passes; after the first, each writes anew the tokens that were least sure. 1 writes all places once. */
  readonly iterations?: number;
  readonly signal?: AbortSignal;
}

/**
 * Writes every candidate length n of every sentence side by side, and orders each sentence's outputs by
 * (ln p(n) + Σ ln p(yᵢ | n)) / n, best first: at a wrong length a model can be sure of itself. Pass t of T (from 1) hides the n · (T − t + 1) / T least sure of n tokens and writes them again;
 * the others keep their token and the log-probability of the pass that wrote them. What follows an END is cut.
 * Ghazvininejad et al. 2019, "Mask-Predict: Parallel Decoding of Conditional Masked Language Models", section 4, where
 * only the tokens are weighed.
 *
 * @example
 * const lengths = [[{ tokens: 9, logProbability: -0.2 }, { tokens: 8, logProbability: -1.9 }]];
 * const [[best]] = await maskPredict(filler, { lengths, iterations: 4, start: 2, pad: 0, end: 3 });
 */
export async function maskPredict(
  filler: CanvasFiller,
  { lengths: tried, iterations = 1, start, pad, end, signal }: MaskPredictOptions,
): Promise<Hypothesis[][]> {
  if (!(Number.isInteger(iterations) && iterations >= 1))
    throw new ConfigError("decoding.iterations", `must be a whole number of at least 1 (got ${iterations}).`);
  const lengths = tried.map((candidates) => candidates.map(({ tokens }) => tokens));
  const { ids, dims } = emptyCanvases(lengths, { start, pad });
  const tokens = new Int32Array(ids.length);
  const logProbabilities = new Float32Array(ids.length);
  for (let pass = 0; pass < iterations; pass++) {
    checkSignal(signal, pass);
    let hidden = 0;
    eachCanvas(lengths, dims, ({ from, length }) => {
      const count = pass === 0 ? length : Math.floor((length * (iterations - pass)) / iterations);
      ids.set(tokens.subarray(from, from + length), from);
      for (const place of leastSure(logProbabilities.subarray(from, from + length), count)) ids[from + place] = start;
      hidden += count;
    });
    // So many passes that none is left for the shortest outputs.
    if (hidden === 0) break;
    const filled = await filler.fill({ ids, dims });
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] !== start) continue;
      tokens[i] = filled.tokens[i]!;
      logProbabilities[i] = filled.logProbabilities[i]!;
    }
  }
  const found = lengths.map((): Hypothesis[] => []);
  eachCanvas(lengths, dims, ({ sentence, candidate, from, length }) => {
    const values = logProbabilities.subarray(from, from + length);
    const score = values.reduce((sum, value) => sum + value, tried[sentence]![candidate]!.logProbability) / length;
    found[sentence]!.push({ ...upToEnd(tokens.subarray(from, from + length), values, end), score });
  });
  for (const hypotheses of found) hypotheses.sort((a, b) => b.score - a.score);
  return found;
}

export interface WriteBlocksOptions extends CanvasSymbols {
  /** Places of each sentence's block. */
  readonly places: readonly number[];
  /** How a filled block is read. */
  readonly read: (tokens: Int32Array, logProbabilities: Float32Array) => Hypothesis;
}

/** One block a sentence, filled in one pass and read. */
export async function writeBlocks(
  filler: CanvasFiller,
  { places, read, ...symbols }: WriteBlocksOptions,
): Promise<Hypothesis[]> {
  const lengths = places.map((length) => [length]);
  const canvases = emptyCanvases(lengths, symbols);
  const { tokens, logProbabilities } = await filler.fill(canvases);
  const found: Hypothesis[] = [];
  eachCanvas(lengths, canvases.dims, ({ from, length }) => {
    found.push(read(tokens.subarray(from, from + length), logProbabilities.subarray(from, from + length)));
  });
  return found;
}

/** What stands before the first END; all of it, unfinished, where there is none. */
export function upToEnd(tokens: Int32Array, logProbabilities: Float32Array, end: number): Hypothesis {
  const at = tokens.indexOf(end);
  const counted = Array.from(at < 0 ? logProbabilities : logProbabilities.subarray(0, at + 1));
  const logProbability = counted.reduce((sum, value) => sum + value, 0);
  return {
    tokens: Array.from(at < 0 ? tokens : tokens.subarray(0, at)),
    score: logProbability / Math.max(1, counted.length),
    logProbability,
    tokenLogProbabilities: counted,
    finished: at >= 0,
  };
}

/**
 * The same with runs of one token made one, which keeps the log-probability of the surest: places that cannot see what their
 * neighbours write write it too. (Lee et al. 2018, "Deterministic Non-Autoregressive Neural Sequence Modeling by Iterative
 * Refinement", section 5, take out repeated tokens likewise.) The score stays that of all places.
 */
export function withoutRepeats(hypothesis: Hypothesis): Hypothesis {
  const tokens: number[] = [];
  const tokenLogProbabilities: number[] = [];
  for (const [i, value] of hypothesis.tokenLogProbabilities.entries()) {
    // END's log-probability stands behind the tokens.
    const token = hypothesis.tokens[i];
    if (token !== undefined && i > 0 && token === hypothesis.tokens[i - 1]) {
      tokenLogProbabilities.push(Math.max(tokenLogProbabilities.pop()!, value));
      continue;
    }
    if (token !== undefined) tokens.push(token);
    tokenLogProbabilities.push(value);
  }
  return { ...hypothesis, tokens, tokenLogProbabilities };
}

/**
 * Frames as connectionist temporal classification reads them: runs of one symbol are one, then blanks are left out. The
 * log-probability is that of the best path, a lower bound of the output's; a token's is that of the surest frame of its run.
 */
export function collapsed(frames: Int32Array, logProbabilities: Float32Array, blank: number): Hypothesis {
  const tokens: number[] = [];
  const tokenLogProbabilities: number[] = [];
  let logProbability = 0;
  for (const [i, symbol] of frames.entries()) {
    const value = logProbabilities[i]!;
    logProbability += value;
    if (symbol === blank) continue;
    if (i > 0 && frames[i - 1] === symbol) {
      tokenLogProbabilities.push(Math.max(tokenLogProbabilities.pop()!, value));
    } else {
      tokens.push(symbol);
      tokenLogProbabilities.push(value);
    }
  }
  return {
    tokens,
    score: logProbability / Math.max(1, frames.length),
    logProbability,
    tokenLogProbabilities,
    finished: true,
  };
}

/** The places of the `count` smallest values; of equal ones the first. */
export function leastSure(logProbabilities: Float32Array, count: number): number[] {
  const places = Array.from(logProbabilities, (_, i) => i);
  return places.sort((a, b) => logProbabilities[a]! - logProbabilities[b]! || a - b).slice(0, count);
}

function emptyCanvases(
  lengths: readonly (readonly number[])[],
  { start, pad }: Pick<CanvasSymbols, "start" | "pad">,
): Canvases {
  const candidates = Math.max(1, ...lengths.map((tried) => tried.length));
  const time = Math.max(1, ...lengths.flat());
  const dims = [lengths.length, candidates, time] as const;
  const ids = new Int32Array(lengths.length * candidates * time).fill(pad);
  eachCanvas(lengths, dims, ({ from, length }) => void ids.fill(start, from, from + length));
  return { dims, ids };
}

function eachCanvas(
  lengths: readonly (readonly number[])[],
  [, candidates, time]: Canvases["dims"],
  visit: (canvas: { sentence: number; candidate: number; from: number; length: number }) => void,
): void {
  for (const [sentence, tried] of lengths.entries())
    for (const [candidate, length] of tried.entries())
      visit({ sentence, candidate, from: (sentence * candidates + candidate) * time, length });
}
