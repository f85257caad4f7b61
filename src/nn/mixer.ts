// What stands where self-attention stands in a block: anything that lets the positions of a sequence exchange what they hold.
import type { Tensor } from "../tensor/index.ts";
import type { AttentionScope } from "./attention/scope.ts";
import type { Module } from "./module.ts";
import type { Pass } from "./pass.ts";

export interface Mixed {
  /** [batch, time, dModel] */
  readonly output: Tensor;
  /** Who looked where, [batch, heads, time, time], where that exists as a whole. */
  readonly weights?: Tensor | undefined;
}

/** Multi-head attention, linear attention, retention, a state space … over whole sequences. */
export interface Mixer extends Module {
  /** x [batch, time, dModel] → the same shape. Hidden keys of the scope (padding, the future) must not change what comes out. */
  forward(x: Tensor, scope: AttentionScope, pass?: Pass): Mixed;
}

/** The memory of a recurrent mixer between two tokens, by name: [rows, ..]. */
export type MixerState = Readonly<Record<string, Tensor>>;

/** A causal mixer that reads a token at a time, keeping a state of fixed size in place of all keys and values. */
export interface RecurrentMixer extends Mixer {
  /** Shape of each part of the state, without the axis of rows; it starts as zeros. */
  readonly state: Readonly<Record<string, readonly number[]>>;
  /** Whether a step does not care from where positions are counted, but for distances. */
  readonly isRelative?: boolean;
  /** x [rows, dModel], position int32 [1] → output [rows, dModel] and the next state. */
  step(x: Tensor, state: MixerState, position: Tensor): { output: Tensor; state: MixerState };
  /** As `forward`, with the state that is left after the last place, the same that as many steps leave; causal and without padding. */
  read?(x: Tensor, scope: AttentionScope): { output: Tensor; state: MixerState };
}

/** Whether a mixer says what state a whole sequence leaves. */
export function canRead(mixer: Mixer): mixer is RecurrentMixer & Required<Pick<RecurrentMixer, "read">> {
  return "read" in mixer && mixer.read !== undefined;
}

export function isRecurrent(mixer: Mixer): mixer is RecurrentMixer {
  return "step" in mixer;
}
