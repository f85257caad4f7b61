// How well a language model foretells a text: read in windows, each token asked for once.
import type { HostTensor } from "../base/index.ts";
import { windowRows, windowsOf, type TokenStream, type Window } from "../data/index.ts";
import { compile, type Executable, type SessionOptions } from "../engine/index.ts";
import type { LanguageModel } from "../models/index.ts";
import { namedParameters, parameterInputs } from "../nn/index.ts";
import {
  dim,
  input,
  linearCrossEntropy,
  reshape,
  sizeOf,
  slice,
  subDims,
  withoutDropout,
  type Program,
} from "../tensor/index.ts";

/** What a text costs a model that is asked for each of its tokens in turn, the end included. */
export interface TextScore {
  readonly tokens: number;
  readonly bytes: number;
  readonly characters: number;
  /** −Σ ln p over all tokens. */
  readonly negativeLogLikelihood: number;
  /** The same a token. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
  /** −Σ log₂ p a byte: comparable between models whatever their tokens. */
  readonly bitsPerByte: number;
  readonly bitsPerCharacter: number;
}

export interface ScoringOptions {
  /** Tokens of a window. */
  contextTokens?: number;
  /** Tokens that a window shares with the one before it, read and not counted again. */
  overlapTokens?: number;
}

export interface TextScorerOptions {
  model: LanguageModel;
  /** The weights of the moment. */
  weights: () => Readonly<Record<string, HostTensor>>;
  session?: SessionOptions;
}

/** Tokens of a batch of windows. */
const batchTokens = 4096;

/** Scores texts with the weights of the moment, without dropout; the program is compiled once. */
export class TextScorer {
  readonly #options: TextScorerOptions;
  #executable: Promise<Executable> | undefined;

  constructor(options: TextScorerOptions) {
    this.#options = options;
  }

  async score(
    stream: TokenStream,
    { contextTokens = 256, overlapTokens = 0 }: ScoringOptions = {},
  ): Promise<TextScore> {
    const { model, weights, session = {} } = this.#options;
    const windows = windowsOf(stream.tokens.length, { contextTokens, overlapTokens });
    this.#executable ??= compile(withoutDropout(scoringProgram(model)), session);
    const executable = await this.#executable;
    const rows = Math.max(1, Math.floor(batchTokens / contextTokens));
    let negativeLogLikelihood = 0;
    for (let first = 0; first < windows.length; first += rows) {
      const batch = windows.slice(first, first + rows);
      const { time, ids: data } = windowRows(stream.tokens, batch, model.pad);
      const ids: HostTensor<"int32"> = { dtype: "int32", dims: [batch.length, time], data };
      const { surprise } = await executable.run({ ...weights(), ids });
      for (const [row, window] of batch.entries()) negativeLogLikelihood += askedIn(window, surprise!, row);
    }
    const tokens = stream.tokens.length - 1;
    const { bytes, characters } = stream;
    const loss = negativeLogLikelihood / tokens;
    const bits = negativeLogLikelihood / Math.LN2;
    return {
      tokens,
      bytes,
      characters,
      negativeLogLikelihood,
      loss,
      perplexity: Math.exp(loss),
      bitsPerByte: bits / bytes,
      bitsPerCharacter: bits / characters,
    };
  }

  async dispose(): Promise<void> {
    await (await this.#executable)?.dispose();
    this.#executable = undefined;
  }
}

/** `ids` [batch, length] → `surprise` [batch, length − 1]: −ln p of each id but the first, given those before it. */
function scoringProgram(model: LanguageModel): Program {
  const ids = input("ids", "int32", [dim("batch"), dim("length")]);
  const labels = slice(ids, { axis: 1, start: 1 });
  const { output: hidden } = model.forward(slice(ids, { axis: 1, end: subDims(ids.shape[1]!, 1) }));
  const { table, bias } = model.outputLayer();
  const places = sizeOf(labels.shape);
  const { negativeLogLikelihood } = linearCrossEntropy(
    reshape(hidden, [places, hidden.shape.at(-1)!]),
    table,
    reshape(labels, [places]),
    { bias },
  );
  return {
    name: "scoring",
    inputs: { ...parameterInputs(namedParameters(model)), ids },
    outputs: { surprise: reshape(negativeLogLikelihood, labels.shape) },
  };
}

/** Sum over the last `asked` places of a window. */
function askedIn({ length, asked }: Window, { dims, data }: HostTensor, row: number): number {
  const end = row * dims[1]! + length - 1;
  let sum = 0;
  for (let at = end - asked; at < end; at++) sum += Number(data[at]);
  return sum;
}
