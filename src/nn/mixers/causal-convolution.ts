import { add, addDims, concat, mul, pad, slice, subDims, sum, unsqueeze, type Tensor } from "../../tensor/index.ts";
import { zeros, type Initializer } from "../initializers.ts";
import { Module, Parameter } from "../module.ts";

/** Uniform in ±1/√width. */
const uniform: Initializer = (data, [width = 1], random) => {
  for (let i = 0; i < data.length; i++) data[i] = (2 * random.uniform() - 1) / Math.sqrt(width);
};

/**
 * Each channel filtered over time by itself, from the past only: yₜ = b + Σⱼ wⱼ xₜ₋ⱼ for j from 0 to width − 1. A handful of
 * shifts, products and sums: at such widths they are as fast as the runtime's convolution, and exact in double precision.
 */
export class CausalConvolution extends Module {
  /** [width, channels]; row j meets what lies j positions back. */
  readonly weight: Parameter;
  /** [channels] */
  readonly bias: Parameter;
  readonly width: number;

  constructor({ channels, width }: { channels: number; width: number }) {
    super();
    this.weight = new Parameter({ shape: [width, channels], initializer: uniform });
    this.bias = new Parameter({ shape: [channels], initializer: zeros });
    this.width = width;
  }

  /** x [batch, time, channels] → the same shape; zeros stand before the beginning. */
  forward(x: Tensor): Tensor {
    const time = x.shape[1]!;
    let total = this.bias.value;
    for (let j = 0; j < this.width; j++) {
      const earlier = slice(pad(x, { axis: 1, before: j }), { axis: 1, end: time });
      total = add(mul(earlier, slice(this.weight.value, { axis: 0, start: j, end: j + 1 })), total);
    }
    return total;
  }

  /** x [batch, time, channels] → its last width − 1 places, the latest first, as `step` wants them of the past; zeros before the beginning. */
  past(x: Tensor): Tensor {
    const time = x.shape[1]!;
    const before = this.width - 1;
    const filled = pad(x, { axis: 1, before });
    const places = Array.from({ length: before }, (_, back) => {
      const end = addDims(time, before - back);
      return slice(filled, { axis: 1, start: subDims(end, 1), end });
    });
    return places.length === 0 ? slice(x, { axis: 1, end: 0 }) : concat(places, 1);
  }

  /** x [rows, channels] and what came before it, [rows, width − 1, channels], the latest first; hands on the same with x. */
  step(x: Tensor, past: Tensor): { output: Tensor; past: Tensor } {
    const seen = concat([unsqueeze(x, 1), past], 1); // [rows, width, channels]
    const output = add(sum(mul(seen, this.weight.value), { axes: [1] }), this.bias.value);
    return { output, past: slice(seen, { axis: 1, end: this.width - 1 }) };
  }
}
