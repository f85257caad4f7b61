// Rows of text with some tokens hidden, and how well an encoder tells them.
import { ConfigError, randomKey, type HostTensor } from "../base/index.ts";
import { maskTokens, type TokenStream } from "../data/index.ts";
import { compile, type Executable, type SessionOptions } from "../engine/index.ts";
import { maskedTokens, type MaskedLanguageModel } from "../models/index.ts";
import { namedParameters, parameterInputs } from "../nn/index.ts";
import { withoutDropout } from "../tensor/index.ts";
import type { Tokenizer } from "../text/index.ts";
import type { Validates } from "./learning.ts";
import { feedsOf, type TextBatch } from "./text-batches.ts";

/** The name of the token that stands where one is hidden. */
export const maskToken = "<mask>";

/** The mask's id in a vocabulary: `<mask>`, or `[MASK]` as BERT's files call it. */
export function maskOf(tokenizer: Tokenizer): number {
  const mask = tokenizer.idOf(maskToken) ?? tokenizer.idOf("[MASK]");
  if (mask === undefined)
    throw new ConfigError(
      "tokenizer",
      `has neither ${maskToken} nor [MASK], so there is nothing to hide words with. Add ${maskToken} to its special tokens.`,
    );
  return mask;
}

export interface MaskedRows {
  readonly stream: TokenStream;
  readonly count: number;
  /** These rows with tokens hidden as the numbers say: the same numbers, the same masks. */
  batch(rows: ArrayLike<number>, draw: readonly number[]): TextBatch;
}

/** Rows of a stream behind START, to be masked. */
export function maskedRows(
  stream: TokenStream,
  {
    tokenizer,
    contextTokens,
    maskRate,
    model,
  }: { tokenizer: Tokenizer; contextTokens: number; maskRate: number; model: MaskedLanguageModel },
): MaskedRows {
  const mask = maskOf(tokenizer);
  const { pad, unknown, start, end } = tokenizer.special;
  const special = [pad, unknown, start, end, mask];
  const { vocabularySize } = model.encoder.options;
  const width = contextTokens - 1;
  if (!(Number.isInteger(width) && width > 0))
    throw new ConfigError("contextTokens", `must be a whole number above 1 (got ${contextTokens}).`);
  // The END in front of all is nobody's context here.
  const tokens = stream.tokens.subarray(1);
  const count = Math.ceil(tokens.length / width);
  return {
    stream,
    count,
    batch: (rows, draw) => {
      const dims = [rows.length, Math.min(width, tokens.length) + 1] as const;
      const [ids, labels] = [new Int32Array(dims[0] * dims[1]), new Int32Array(dims[0] * dims[1])];
      let asked = 0;
      const starts = Array.from(rows, (row) => row * width);
      for (const [i, from] of starts.entries()) {
        const text = new Int32Array(dims[1]).fill(pad);
        text[0] = start;
        text.set(tokens.subarray(from, from + width), 1);
        const masked = maskTokens(
          { dtype: "int32", dims: [1, dims[1]], data: text },
          { rate: maskRate, mask, vocabularySize, special, random: randomKey(...draw, 1, rows[i]!) },
        );
        ids.set(masked.ids.data, i * dims[1]);
        labels.set(masked.labels.data, i * dims[1]);
        asked += masked.asked;
      }
      return {
        ids: { dtype: "int32", dims, data: ids },
        labels: { dtype: "int32", dims, data: labels },
        asked,
        starts: starts.map((from) => from + 1),
      };
    },
  };
}

/** Which text of two each token belongs to, where the encoder wants to know: all to the first. */
export function segmentsOf(model: MaskedLanguageModel): { segments?: boolean } {
  return { segments: model.encoder.options.segments > 0 };
}

export interface MaskedScorerOptions {
  model: MaskedLanguageModel;
  rows: MaskedRows;
  /** The weights of the moment. */
  weights: () => Readonly<Record<string, HostTensor>>;
  session?: SessionOptions;
}

/** How well an encoder tells hidden tokens; the same ones each time. */
export class MaskedScorer implements Validates {
  readonly #options: MaskedScorerOptions;
  #executable: Promise<Executable> | undefined;

  constructor(options: MaskedScorerOptions) {
    this.#options = options;
  }

  async validate(): Promise<{ loss: number; perplexity: number }> {
    const { loss, perplexity } = await this.score();
    return { loss, perplexity };
  }

  /** Loss and perplexity of the hidden tokens, and how many they are. */
  async score(): Promise<{ tokens: number; loss: number; perplexity: number }> {
    const { model, rows, weights, session = {} } = this.#options;
    if (this.#executable === undefined) {
      const { inputs, figures } = maskedTokens(model);
      const program = {
        name: "masked scoring",
        inputs: { ...parameterInputs(namedParameters(model)), ...inputs },
        outputs: figures,
      };
      this.#executable = compile(withoutDropout(program), session);
    }
    const executable = await this.#executable;
    let [total, asked] = [0, 0];
    for (let first = 0; first < rows.count; first += rowsAtATime) {
      const chosen = Array.from({ length: Math.min(rowsAtATime, rows.count - first) }, (_, i) => first + i);
      const batch = rows.batch(chosen, []);
      const feeds = feedsOf(batch, { ...segmentsOf(model), tokenWeight: 1 });
      const { negativeLogLikelihood } = await executable.run({ ...weights(), ...feeds });
      total += Number(negativeLogLikelihood!.data[0]);
      asked += batch.asked;
    }
    const loss = total / asked;
    return { tokens: asked, loss, perplexity: Math.exp(loss) };
  }

  async dispose(): Promise<void> {
    await (await this.#executable)?.dispose();
    this.#executable = undefined;
  }
}

const rowsAtATime = 16;
