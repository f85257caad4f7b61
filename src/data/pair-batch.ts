// One batch of sentence pairs as padded arrays, ready to be fed to a program.
import { hostTensor, type HostTensor } from "../base/index.ts";
import type { EncodedPairs } from "./encoded-pairs.ts";
import type { TokenRows } from "./token-rows.ts";

export interface PairBatch {
  readonly rows: number;
  /** [batch, sourceTime]: x…, END, padding. */
  readonly sourceIds: HostTensor<"int32">;
  /** [batch, targetTime + 1]: START, y…, END, padding. All but the last column feed the decoder, all but the first are its labels. */
  readonly targetIds: HostTensor<"int32">;
  /** Source tokens without padding: x and END. */
  readonly sourceTokens: number;
  /** Labels without padding: y and END. */
  readonly targetTokens: number;
  /** [batch]: line of each row in its file, from 1. */
  readonly lines: Int32Array;
  /** [batch]: number of each row among the encoded pairs. */
  readonly indices: Int32Array;
}

/**
 * Gathers these pairs into a batch as wide as the longest of them.
 *
 * @example
 * const batch = pairBatch(pairs, [0]);
 * batch.sourceIds.dims; // [1, tokens of the first source and END]
 */
export function pairBatch(pairs: EncodedPairs, indices: ArrayLike<number>): PairBatch {
  const rows = indices.length;
  const chosen = Int32Array.from(indices);
  const sourceTime = longestOf(pairs.source, chosen);
  const targetTime = longestOf(pairs.target, chosen);
  const sourceIds = new Int32Array(rows * sourceTime).fill(pairs.sourcePad);
  const targetIds = new Int32Array(rows * (targetTime + 1)).fill(pairs.targetPad);
  let sourceTokens = 0;
  let targetTokens = 0;
  for (let row = 0; row < rows; row++) {
    const x = pairs.source.row(chosen[row]!);
    const y = pairs.target.row(chosen[row]!);
    sourceIds.set(x, row * sourceTime);
    targetIds[row * (targetTime + 1)] = pairs.targetStart;
    targetIds.set(y, row * (targetTime + 1) + 1);
    sourceTokens += x.length;
    targetTokens += y.length;
  }
  return {
    rows,
    sourceIds: hostTensor("int32", [rows, sourceTime], sourceIds),
    targetIds: hostTensor("int32", [rows, targetTime + 1], targetIds),
    sourceTokens,
    targetTokens,
    lines: chosen.map((i) => pairs.lines[i]!),
    indices: chosen,
  };
}

function longestOf(rows: TokenRows, indices: Int32Array): number {
  let longest = 0;
  for (const i of indices) longest = Math.max(longest, rows.lengthOf(i));
  return longest;
}
