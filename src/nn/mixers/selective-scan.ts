// The recurrence of a selective state space: how much of the state stays, what enters it and what is read from it are all
// functions of the input. hₜ = exp(Δₜ A) hₜ₋₁ + Δₜ Bₜ xₜ and yₜ = Cₜ · hₜ, a state of N numbers for each channel.
// Gu and Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", algorithm 2. Of the input's
// discretisation (equation 4) only the first order is taken, B̄ = Δ B, as its authors' program does.
import {
  add,
  concat,
  cumulativeSum,
  exp,
  greaterOrEqual,
  matmul,
  mul,
  range,
  reshape,
  scan,
  slice,
  squeeze,
  sub,
  sum,
  transpose,
  where,
  zeros,
  type Dim,
  type Shape,
  type Tensor,
} from "../../tensor/index.ts";
import { joinChunks, splitChunks } from "./chunks.ts";

/** The axes before the last are [batch, time] over sequences and [rows] at one position. */
export interface SelectiveScan {
  /** [.., channels] */
  readonly x: Tensor;
  /** Δ [.., channels]; where it is 0 the state stays as it is. */
  readonly timeStep: Tensor;
  /** A [states, channels], below 0. */
  readonly decay: Tensor;
  /** B [.., states] */
  readonly enter: Tensor;
  /** C [.., states] */
  readonly read: Tensor;
}

/** One position of every row: state [rows, states, channels] → the next, and y [rows, channels]. */
export function selectiveStep({ x, timeStep, decay, enter, read }: SelectiveScan, state: Tensor) {
  const next = advance({ gained: mul(timeStep, x), timeStep, decay, enter }, state);
  const [rows, channels] = x.shape as readonly [Dim, number];
  return { state: next, output: reshape(readState(read, next), [rows, channels]) };
}

/**
 * The recurrence as a loop inside the program, `size` positions in each turn: [batch, time, channels]. Time and memory are
 * linear in the length; for the way back the states between turns are kept and those inside one are worked out again.
 */
export function chunkedScan(parts: SelectiveScan, size: number): Tensor {
  return scanToState(parts, size).output;
}

/** The same, and the state [batch, states, channels] after the last position. */
export function scanToState(
  { x, timeStep, decay, enter, read }: SelectiveScan,
  size: number,
): { output: Tensor; state: Tensor } {
  const [batch, time, channels] = x.shape as readonly [Dim, Dim, number];
  const states = decay.shape[0] as number;
  // A sequence for each place in a turn, as the loop takes sequences apart for less than slices inside it cost.
  const places = (of: Tensor): Tensor[] => {
    const cut = transpose(splitChunks(of, 1, size), [2, 1, 0, 3]); // [size, turns, batch, ..]
    return Array.from({ length: size }, (_, i) => squeeze(slice(cut, { axis: 0, start: i, end: i + 1 }), 0));
  };
  const sequences = [mul(timeStep, x), timeStep, enter, read].flatMap(places);
  const start = zeros({ dtype: x.dtype, shape: [batch, states, channels] });
  const scanned = scan({ carry: [start], sequences }, ([found], slices) => {
    let state = found!;
    const outputs: Tensor[] = []; // [batch, 1, channels] each
    for (let i = 0; i < size; i++) {
      const at = (which: number): Tensor => slices[which * size + i]!;
      state = advance({ gained: at(0), timeStep: at(1), decay, enter: at(2) }, state);
      outputs.push(readState(at(3), state));
    }
    return { carry: [state], outputs: [concat(outputs, 1)] };
  });
  // Where the last turn was filled up, Δ is 0 and the state stays as it is.
  return {
    output: joinChunks(transpose(scanned.outputs[0]!, [1, 0, 2, 3]), 1, time),
    state: scanned.carry[0]!,
  };
}

/**
 * Every earlier position's share in every later one's state at once, quadratic in time and a state wide: the definition.
 * With Sₜ the sum of Δ up to t, hₜ = Σ over s ≤ t of exp(A (Sₜ − Sₛ)) Δₛ Bₛ xₛ.
 */
export function parallelScan({ x, timeStep, decay, enter, read }: SelectiveScan): Tensor {
  const [batch, time, channels] = x.shape as readonly [Dim, Dim, number];
  const states = decay.shape[0] as number;
  const passed = cumulativeSum(timeStep, 1);
  const isPast = greaterOrEqual(reshape(range(time), [time, 1, 1]), reshape(range(time), [1, time, 1]));
  const between = sub(reshape(passed, [batch, time, 1, channels]), reshape(passed, [batch, 1, time, channels]));
  // What lies ahead would grow without bound, so its exponent is taken away and not only its product.
  const exponents = mul(reshape(where(isPast, between, 0), [batch, time, time, 1, channels]), decay);
  const gained = mul(
    reshape(mul(timeStep, x), [batch, 1, time, 1, channels]),
    reshape(enter, [batch, 1, time, states, 1]),
  );
  const shares = mul(exp(exponents), gained); // [batch, time, time, states, channels]
  const state = sum(where(reshape(isPast, [time, time, 1, 1]), shares, 0), { axes: [2] });
  return reshape(matmul(reshape(read, [batch, time, 1, states]), state), [batch, time, channels]);
}

type Gain = Pick<SelectiveScan, "timeStep" | "decay" | "enter"> & {
  /** Δ x [rows, channels] */ readonly gained: Tensor;
};

/** The state [rows, states, channels] after one more position. */
function advance({ gained, timeStep, decay, enter }: Gain, state: Tensor): Tensor {
  const [rows, channels] = timeStep.shape as readonly [Dim, number];
  const across: Shape = [rows, 1, channels];
  const kept = mul(exp(mul(reshape(timeStep, across), decay)), state);
  return add(kept, mul(reshape(enter, [rows, state.shape[1]!, 1]), reshape(gained, across)));
}

/** C [rows, states] and h [rows, states, channels] → C · h [rows, 1, channels]. */
function readState(read: Tensor, state: Tensor): Tensor {
  return matmul(reshape(read, [read.shape[0]!, 1, read.shape[1]!]), state);
}
