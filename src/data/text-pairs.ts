// One text or two as one input of an encoder. Devlin et al. 2019 (BERT), section 3 and figure 2.
import { ConfigError } from "../base/index.ts";

export interface PairInputOptions {
  /** Id of what stands first; a classifier reads its vector. */
  cls: number;
  /** Id of what stands after each text. */
  sep: number;
  /** The most tokens of the whole, those two kinds included. */
  maxTokens: number;
}

export interface PairInput {
  readonly ids: number[];
  /** 0 for the first text and what frames it, 1 for the second and its end. */
  readonly segmentIds: number[];
}

/**
 * CLS a SEP b SEP, or CLS a SEP where there is one text. What is too long loses tokens at its end one by one, each time the longer
 * text, of equal ones the second.
 *
 * @example
 * pairInput([11, 12, 13], [21], { cls: 1, sep: 2, maxTokens: 6 }).ids; // [1, 11, 12, 2, 21, 2]
 */
export function pairInput(
  a: readonly number[],
  b: readonly number[] | undefined,
  { cls, sep, maxTokens }: PairInputOptions,
): PairInput {
  const frame = b === undefined ? 2 : 3;
  if (!(maxTokens >= frame))
    throw new ConfigError(
      "maxTokens",
      `${frame} tokens frame the text, so at least ${frame} are wanted (got ${maxTokens}).`,
    );
  let [first, second] = [a.length, b?.length ?? 0];
  while (first + second + frame > maxTokens) {
    if (first > second) first--;
    else second--;
  }
  const front = [cls, ...a.slice(0, first), sep];
  const back = b === undefined ? [] : [...b.slice(0, second), sep];
  return { ids: [...front, ...back], segmentIds: [...front.map(() => 0), ...back.map(() => 1)] };
}
