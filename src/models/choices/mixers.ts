// What lets the positions of a stack exchange what they hold.
import {
  FullAttention,
  MultiHeadAttention,
  type AttentionKernel,
  type AttentionPositions,
  type Mixer,
} from "../../nn/index.ts";
import { makePart, type Kind, type Makers, type StackSizes } from "./choice.ts";

/** Multi-head attention, by which keys a query looks at. */
export type AttentionOptions = { readonly kind: "full" };

export type MixerOptions = AttentionOptions;

/** Sizes of one stack's mixers. */
export interface MixerSizes extends StackSizes {
  readonly keyValueHeads: number;
  /** Chance to drop an attention weight. */
  readonly dropout: number;
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
};

export function mixerPart(choice: MixerChoice, sizes: MixerSizes): Mixer {
  return typeof choice === "function" ? choice(sizes) : makePart("attention", mixers, choice, sizes);
}
