// Which norm stands beside a residual, and where.
import {
  BatchNorm,
  DeepNorm,
  Dropout,
  LayerNorm,
  PostNorm,
  PreNorm,
  RmsNorm,
  type Norm,
  type Residual,
} from "../../nn/index.ts";
import { makePart, type Makers } from "./choice.ts";

export type NormName = "layer" | "rms" | "batch";

/** A norm by name, or a function that makes one for this width. */
export type NormChoice = NormName | ((size: { dModel: number }) => Norm);

export type NormPlacement = "post" | "pre" | "deep";

const norms: Makers<{ kind: NormName }, { dModel: number; epsilon?: number }, Norm> = {
  layer: (_, size) => new LayerNorm(size),
  rms: (_, size) => new RmsNorm(size),
  batch: (_, size) => new BatchNorm(size),
};

export function normPart(
  choice: NormChoice,
  { dModel, epsilon }: { dModel: number; epsilon?: number | undefined },
): Norm {
  if (typeof choice === "function") return choice({ dModel });
  return makePart("normKind", norms, choice, { dModel, ...(epsilon !== undefined && { epsilon }) });
}

export interface ResidualSizes {
  readonly norm: Norm;
  /** Chance to drop a value of the sublayer's output. */
  readonly dropout: number;
  /** Weighs what passes by the sublayer in the "deep" placement. */
  readonly alpha: number;
}

const placements: Makers<{ kind: NormPlacement }, ResidualSizes, Residual> = {
  post: (_, { norm, dropout }) => new PostNorm(norm, new Dropout(dropout)),
  pre: (_, { norm, dropout }) => new PreNorm(norm, new Dropout(dropout)),
  deep: (_, { norm, dropout, alpha }) => new DeepNorm(norm, new Dropout(dropout), alpha),
};

/** The residual connection around a sublayer. */
export function residualPart(placement: NormPlacement, sizes: ResidualSizes): Residual {
  return makePart("norm", placements, placement, sizes);
}
