// Who may look at whom, written out: what a picture of an attention pattern is made of.
import { hostTensor } from "../../base/index.ts";
import { compile } from "../../engine/index.ts";
import { and, input, not, reshape, zeros, type Tensor } from "../../tensor/index.ts";
import type { AttentionKernel } from "./kernel.ts";
import { causalMask } from "./mask.ts";

export interface PatternMapOptions {
  /** Positions of the sequence. */
  readonly length: number;
  /** Whether a query sees only its own place and those before. */
  readonly isCausal?: boolean;
}

/**
 * The pairs of a sequence with itself that a kernel computes: row i, column j is whether query i sees key j.
 * @example
 * const map = await patternMap(new SlidingWindowAttention({ window: 3 }), { length: 8, isCausal: true });
 * console.log(map.map((row) => row.map((isKept) => (isKept ? "■" : "·")).join(" ")).join("\n"));
 */
export async function patternMap(
  kernel: AttentionKernel,
  { length, isCausal = false }: PatternMapOptions,
): Promise<boolean[][]> {
  const positions = input("positions", "int32", [length]);
  const question = { queryPositions: positions, keyPositions: positions, isCausal, keyTime: length };
  let kept: Tensor = kernel.keeps?.(question) ?? not(zeros({ dtype: "bool", shape: [length, length] }));
  if (isCausal) kept = and(kept, reshape(causalMask(length), [length, length]));
  await using program = await compile({ name: "pattern", inputs: { positions }, outputs: { kept } }, { threads: 1 });
  const places = Array.from({ length }, (_, i) => i);
  const { data } = (await program.run({ positions: hostTensor("int32", [length], places) })).kept!;
  return places.map((row) => places.map((column) => data[row * length + column] === 1));
}
