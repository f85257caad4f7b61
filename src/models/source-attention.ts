// Where the rows of one decoding step look in their sources: one number for each source token.
import { ConfigError } from "../base/index.ts";
import { mean, reshape, slice, transpose, type Dim, type Tensor } from "../tensor/index.ts";
import type { StepTrace } from "./step-trace.ts";

/** Whose attention is meant. */
export interface SourceAttentionChoice {
  /** Of the decoder, from 0; the last if not said. */
  readonly layer?: number | undefined;
  /** From 0; the mean of the layer's heads if not said. */
  readonly head?: number | undefined;
}

/** Attention of a traced step to the source: [rows, sourceTime], rows beam by beam. A row sums to 1. */
export function sourceAttention({ looked, beams, rows }: StepTrace, { layer, head }: SourceAttentionChoice): Tensor {
  if (looked.length === 0)
    throw new ConfigError(
      "attention",
      "nothing in this model looks at the source while it writes. Leave out what asks where it looks: the coverage penalty.",
    );
  const weights = looked[layer ?? looked.length - 1]; // [batch, heads, beams, sourceTime]
  if (weights === undefined) throw new ConfigError("layer", `must be below ${looked.length} (got ${layer}).`);
  const [, heads, , sourceTime] = weights.shape as readonly [Dim, number, number, Dim];
  if (head !== undefined && head >= heads) throw new ConfigError("head", `must be below ${heads} (got ${head}).`);
  const chosen =
    head === undefined
      ? mean(weights, { axes: [1] })
      : reshape(slice(weights, { axis: 1, start: head, end: head + 1 }), [-1, beams, sourceTime]);
  return reshape(beams === 1 ? chosen : transpose(chosen, [1, 0, 2]), [rows, sourceTime]);
}
