// What lets the positions of a stack exchange what they hold.
import {
  BigBirdAttention,
  CausalBlocksAttention,
  FullAttention,
  LinearAttention,
  LongformerAttention,
  MultiHeadAttention,
  Retention,
  SelectiveStateSpace,
  SlidingWindowAttention,
  TiledAttention,
  type AttentionKernel,
  type AttentionPositions,
  type BigBirdOptions,
  type CausalBlocksOptions,
  type LinearAttentionSettings,
  type LongformerOptions,
  type Mixer,
  type RetentionSettings,
  type SelectiveStateSpaceSettings,
  type SlidingWindowOptions,
  type TiledAttentionOptions,
} from "../../nn/index.ts";
import { makePart, type Kind, type Makers, type StackSizes } from "./choice.ts";

/** Multi-head attention, by which keys a query looks at and how that is computed. */
export type AttentionOptions =
  | { readonly kind: "full" }
  | ({ readonly kind: "causal-blocks" } & CausalBlocksOptions)
  | ({ readonly kind: "tiled" } & TiledAttentionOptions)
  | ({ readonly kind: "sliding-window" } & SlidingWindowOptions)
  | ({ readonly kind: "longformer" } & LongformerOptions)
  | ({ readonly kind: "bigbird" } & BigBirdOptions);

/** What stands in attention's place: a state in place of keys and values. */
export type RecurrentOptions =
  | ({ readonly kind: "linear" } & LinearAttentionSettings)
  | ({ readonly kind: "retention" } & RetentionSettings)
  | ({ readonly kind: "mamba" } & SelectiveStateSpaceSettings);

export type MixerOptions = AttentionOptions | RecurrentOptions;

/** Sizes of one stack's mixers. */
export interface MixerSizes extends StackSizes {
  readonly keyValueHeads: number;
  /** Chance to drop an attention weight. */
  readonly dropout: number;
  /** Whether attention's projections add an offset. */
  readonly bias: boolean;
  /** How attention learns of places, for mixers that must know while they go token by token. */
  readonly positions: AttentionPositions | undefined;
  /** Multiplies the first weights of values and outputs; below 1 in very deep models (DeepNorm). */
  readonly gain: number;
}

/** A mixer by kind, or a function that makes one for a stack of these sizes. */
export type MixerChoice = Kind<MixerOptions> | ((sizes: MixerSizes) => Mixer);

const attends = (kernel: AttentionKernel, sizes: MixerSizes): Mixer => new MultiHeadAttention({ ...sizes, kernel });

const mixers: Makers<MixerOptions, MixerSizes, Mixer> = {
  full: (_, sizes) => attends(new FullAttention(), sizes),
  "causal-blocks": (options, sizes) => attends(new CausalBlocksAttention(options), sizes),
  tiled: (options, sizes) => attends(new TiledAttention(options), sizes),
  "sliding-window": (options, sizes) => attends(new SlidingWindowAttention(options), sizes),
  longformer: (options, sizes) => attends(new LongformerAttention(options), sizes),
  bigbird: (options, sizes) => attends(new BigBirdAttention(options), sizes),
  linear: (options, { dModel, heads, positions, bias, gain }) =>
    new LinearAttention({ ...options, dModel, heads, positions, bias, gain }),
  retention: (options, { dModel, heads, gain }) => new Retention({ ...options, dModel, heads, gain }),
  mamba: (options, { dModel, gain }) => new SelectiveStateSpace({ ...options, dModel, gain }),
};

/** The names of all kinds. */
export const mixerKinds = Object.keys(mixers) as readonly MixerOptions["kind"][];

export function mixerPart(choice: MixerChoice, sizes: MixerSizes): Mixer {
  return typeof choice === "function" ? choice(sizes) : makePart("attention", mixers, choice, sizes);
}
