import { ConfigError } from "../../base/index.ts";
import { concat, type Tensor } from "../../tensor/index.ts";
import { Module } from "../module.ts";
import { Lstm, type LstmInput, type LstmState } from "./lstm.ts";

/**
 * Two layers that read a sequence from both ends, side by side, so that each position knows what is around it.
 * Schuster and Paliwal 1997, "Bidirectional Recurrent Neural Networks".
 * @example
 * const { output } = new BidirectionalLstm({ from: 256, to: 512 }).forward(x, { valid }); // [batch, time, 512]
 */
export class BidirectionalLstm extends Module {
  readonly forwards: Lstm;
  readonly backwards: Lstm;

  /** `to` is the width of both directions together; it must be even. */
  constructor({ from, to }: { from: number; to: number }) {
    super();
    if (to % 2 !== 0)
      throw new ConfigError("bidirectional LSTM", `an even width is wanted, half of it for each direction (got ${to})`);
    this.forwards = new Lstm({ from, to: to / 2 });
    this.backwards = new Lstm({ from, to: to / 2, reverse: true });
  }

  /**
   * x [batch, time, from] → output [batch, time, to], and the states in which the two ended, each at its end of the sequence,
   * side by side.
   */
  forward(x: Tensor, { valid }: Pick<LstmInput, "valid"> = {}): { output: Tensor; state: LstmState } {
    const [there, back] = [this.forwards.forward(x, { valid }), this.backwards.forward(x, { valid })];
    return {
      output: concat([there.output, back.output], -1),
      state: {
        hidden: concat([there.state.hidden, back.state.hidden], -1),
        cell: concat([there.state.cell, back.state.cell], -1),
      },
    };
  }
}
