// Long short-term memory: what sequences were read with before attention, and what it is compared with.
import {
  add,
  mul,
  reshape,
  scan,
  sigmoid,
  split,
  tanh,
  transpose,
  where,
  zeros,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";
import { xavierUniform } from "../initializers.ts";
import { Linear } from "../linear.ts";
import { Module, Parameter } from "../module.ts";

export interface LstmOptions {
  /** Width of what is read. */
  from: number;
  /** Width of the state, and of what comes out. */
  to: number;
  /** Whether the last position is read first. */
  reverse?: boolean;
}

/** What a layer remembers between two positions. */
export interface LstmState {
  /** What comes out: [rows, to] */
  readonly hidden: Tensor;
  /** What is kept inside: [rows, to] */
  readonly cell: Tensor;
}

export interface LstmInput {
  /** Which positions are no padding: bool [batch, time]; the others leave the state as it was. Absent where all count. */
  valid?: Tensor | undefined;
  /** What is remembered from before; zeros if not said. */
  state?: LstmState | undefined;
}

/**
 * One layer of long short-term memory:
 * (i, f, g, o) = x W + h U + b, c′ = σ(f) ∘ c + σ(i) ∘ tanh(g), h′ = σ(o) ∘ tanh(c′).
 * Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", with the forget gate of Gers et al. 2000; its offset starts at 1, so
 * that at first all is remembered (Jozefowicz et al. 2015, "An Empirical Exploration of Recurrent Network Architectures").
 *
 * The columns of W, U and b are the gates i, f, g, o in this order, as in most libraries. What is read is multiplied with W in one
 * product before the loop; only h U has to wait for the position before.
 * @example
 * const lstm = new Lstm({ from: 256, to: 512 });
 * const { output, state } = lstm.forward(x, { valid }); // x [batch, time, 256] → output [batch, time, 512]
 */
export class Lstm extends Module {
  readonly input: Linear;
  readonly recurrent: Linear;
  /** [4 · to] */
  readonly bias: Parameter;
  readonly to: number;
  readonly reverse: boolean;

  constructor({ from, to, reverse = false }: LstmOptions) {
    super();
    this.input = new Linear({ from, to: 4 * to, bias: false, initializer: eachGate(from, to) });
    this.recurrent = new Linear({ from: to, to: 4 * to, bias: false, initializer: eachGate(to, to) });
    this.bias = new Parameter({ shape: [4 * to], initializer: (data) => void data.fill(0).fill(1, to, 2 * to) });
    this.to = to;
    this.reverse = reverse;
  }

  /** x [batch, time, from] → output [batch, time, to] and the state after the last position, or, in reverse, after the first. */
  forward(
    x: Tensor,
    { valid, state = this.#start(x.shape[0]!, x) }: LstmInput = {},
  ): { output: Tensor; state: LstmState } {
    const read = this.#read(transpose(x, [1, 0, 2])); // [time, batch, 4 · to]
    const {
      carry: [hidden, cell],
      outputs: [output],
    } = scan(
      {
        carry: [state.hidden, state.cell],
        sequences: valid === undefined ? [read] : [read, transpose(valid, [1, 0])],
        reverse: this.reverse,
      },
      ([before, cellBefore], [slice, counts]) => {
        const last = { hidden: before!, cell: cellBefore! };
        const next = this.#turn(slice!, last);
        if (counts === undefined) return { carry: [next.hidden, next.cell], outputs: [next.hidden] };
        const isRead = reshape(counts, [-1, 1]); // [batch, 1]
        const kept = where(isRead, next.hidden, last.hidden);
        return { carry: [kept, where(isRead, next.cell, last.cell)], outputs: [kept] };
      },
    );
    return { output: transpose(output!, [1, 0, 2]), state: { hidden: hidden!, cell: cell! } };
  }

  /** One position: x [rows, from] → the next state; its `hidden` is what comes out. */
  step(x: Tensor, state: LstmState): LstmState {
    return this.#turn(this.#read(x), state);
  }

  #read(x: Tensor): Tensor {
    return add(this.input.forward(x), this.bias.value);
  }

  /** read [rows, 4 · to] */
  #turn(read: Tensor, { hidden, cell }: LstmState): LstmState {
    const gates = add(read, this.recurrent.forward(hidden));
    const [i, f, g, o] = split(gates, { axis: 1, parts: 4 }) as [Tensor, Tensor, Tensor, Tensor];
    const next = add(mul(sigmoid(f), cell), mul(sigmoid(i), tanh(g)));
    return { hidden: mul(sigmoid(o), tanh(next)), cell: next };
  }

  #start(rows: Dim, { dtype }: Tensor): LstmState {
    const nothing = zeros({ dtype, shape: [rows, this.to] });
    return { hidden: nothing, cell: nothing };
  }
}

/** Glorot's bounds for the matrix [from, to] of each gate, which lies beside three others. */
function eachGate(from: number, to: number) {
  return xavierUniform({ gain: Math.sqrt((from + 4 * to) / (from + to)) });
}
