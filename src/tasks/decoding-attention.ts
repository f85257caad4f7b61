// Where a translation looked: the decoder's attention to the source, and alignments read off it.
import { ConfigError } from "../base/index.ts";
import { compile, type Executable, type SessionOptions } from "../engine/index.ts";
import { namedParameters, parameterInputs } from "../nn/index.ts";
import { dim, input, withoutDropout } from "../tensor/index.ts";
import { idRows } from "./decoding-score.ts";
import type { Weights } from "./learning.ts";
import type { TranslationModel } from "./non-autoregressive.ts";

/** Where each target token looked in the source. */
export interface AlignmentMap {
  readonly sourceTokens: readonly string[];
  readonly targetTokens: readonly string[];
  /** [layers][heads][target][source]; rows sum to 1. */
  readonly weights: readonly (readonly (readonly Float32Array[])[])[];
}

/** Reads the attention of every layer and head over one pair at a time, teacher-forced. */
export class CrossAttention {
  readonly #layers: number;
  readonly #executable: Promise<Executable>;

  constructor(model: TranslationModel, session: SessionOptions = {}) {
    const given = {
      sourceIds: input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]),
      targetIds: input("targetIds", "int32", [dim("batch"), dim("targetTime")]),
    };
    const layers = model.crossAttention?.(given.sourceIds, given.targetIds) ?? [];
    if (layers.length === 0)
      throw new ConfigError("model", "nothing in it looks at the source, so there is no attention to show");
    this.#layers = layers.length;
    const outputs = Object.fromEntries(layers.map((layer, i) => [`layer.${i}`, layer]));
    const inputs = { ...parameterInputs(namedParameters(model)), ...given };
    this.#executable = compile(withoutDropout({ name: "attention", inputs, outputs }), session);
  }

  /** [layers][heads][target][source]; `targetIds` with START first and without END. */
  async read(
    weights: Weights,
    sourceIds: readonly number[],
    targetIds: readonly number[],
  ): Promise<AlignmentMap["weights"]> {
    const executable = await this.#executable;
    const results = await executable.run({
      ...Object.fromEntries(weights),
      sourceIds: idRows([sourceIds], 0),
      targetIds: idRows([targetIds], 0),
    });
    return Array.from({ length: this.#layers }, (_, layer) => {
      const { dims, data } = results[`layer.${layer}`]!;
      const [, heads, rows, columns] = dims as readonly [number, number, number, number];
      return Array.from({ length: heads }, (_, head) =>
        Array.from({ length: rows }, (_, row) =>
          (data as Float32Array).slice((head * rows + row) * columns, (head * rows + row + 1) * columns),
        ),
      );
    });
  }

  async dispose(): Promise<void> {
    await (await this.#executable).dispose();
  }
}

export interface AlignOptions {
  /** From 0; the last but one if not said, which Garg et al. 2019, "Jointly Learning to Align and Translate with Transformer Models", found to align best. */
  layer?: number;
  /** From 0; the mean of the layer's heads if not said. */
  head?: number;
}

/** [source, target] places from 0: for each target token, END apart, the source token that it looked at most; none where that is END. */
export function alignmentOf(
  { sourceTokens, targetTokens, weights }: AlignmentMap,
  { layer = Math.max(0, weights.length - 2), head }: AlignOptions = {},
): [source: number, target: number][] {
  const heads = weights[layer];
  if (heads === undefined) throw new ConfigError("layer", `must be below ${weights.length} (got ${layer})`);
  const chosen = head === undefined ? heads : heads.slice(head, head + 1);
  if (chosen.length === 0) throw new ConfigError("head", `must be below ${heads.length} (got ${head})`);
  const pairs: [number, number][] = [];
  for (let target = 0; target + 1 < targetTokens.length; target++) {
    let best = 0;
    let most = -1;
    for (let source = 0; source < sourceTokens.length; source++) {
      const looked = chosen.reduce((sum, rows) => sum + rows[target]![source]!, 0);
      if (looked > most) [best, most] = [source, looked];
    }
    if (best + 1 < sourceTokens.length) pairs.push([best, target]);
  }
  return pairs;
}
