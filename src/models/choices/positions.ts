// How a stack learns where its tokens stand.
import {
  AlibiPositions,
  LearnedPositions,
  RelativeBias,
  RotaryPositions,
  rotaryScaling,
  SinusoidalPositions,
  XPositions,
  type AttentionPositions,
  type PositionTable,
  type RelativeBiasOptions,
  type RotaryOptions,
  type XposOptions,
} from "../../nn/index.ts";
import { makePart, type Kind, type Makers, type StackSizes } from "./choice.ts";

export type PositionOptions =
  | { readonly kind: "none" }
  | { readonly kind: "sinusoidal"; readonly layout?: "interleaved" | "halves" }
  | { readonly kind: "learned" }
  | ({ readonly kind: "rotary" } & RotaryOptions)
  | ({ readonly kind: "xpos" } & XposOptions)
  | { readonly kind: "alibi" }
  | ({ readonly kind: "relative" } & RelativeBiasOptions);

/** What tells a stack about places: vectors that meet the embeddings, a scheme inside attention, or neither. */
export interface PositionParts {
  readonly table?: PositionTable;
  readonly attention?: AttentionPositions;
}

/** Positions by kind, or a function that makes the parts for a stack of these sizes. */
export type PositionChoice = Kind<PositionOptions> | ((sizes: StackSizes) => PositionParts);

const positions: Makers<PositionOptions, StackSizes, PositionParts> = {
  none: () => ({}),
  sinusoidal: ({ layout = "interleaved" }, { dModel, maxPositions }) => ({
    table: new SinusoidalPositions({ dModel, maxPositions, layout }),
  }),
  learned: (_, { dModel, maxPositions }) => ({ table: new LearnedPositions({ dModel, maxPositions }) }),
  rotary: ({ scaling, ...options }, { dModel, heads }) => ({
    attention: new RotaryPositions({
      ...options,
      dHead: dModel / heads,
      ...(scaling && { scaling: rotaryScaling(scaling) }),
    }),
  }),
  xpos: (options, { dModel, heads }) => ({ attention: new XPositions({ ...options, dHead: dModel / heads }) }),
  alibi: (_, { heads }) => ({ attention: new AlibiPositions({ heads }) }),
  relative: (options, { heads, isCausal }) => ({
    attention: new RelativeBias({ ...options, heads, bidirectional: !isCausal }),
  }),
};

/** The names of all kinds. */
export const positionKinds = Object.keys(positions) as readonly PositionOptions["kind"][];

export function positionParts(choice: PositionChoice, sizes: StackSizes): PositionParts {
  return typeof choice === "function" ? choice(sizes) : makePart("positions", positions, choice, sizes);
}
