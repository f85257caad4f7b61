import { ShapeError } from "../../base/index.ts";
import {
  add,
  cast,
  div,
  equalShapes,
  expand,
  formatShape,
  maximum,
  minimum,
  mul,
  phase,
  reshape,
  scalar,
  sizeOf,
  sqrt,
  sub,
  sum,
  where,
  type Tensor,
} from "../../tensor/index.ts";
import { ones, zeros } from "../initializers.ts";
import { Module, Parameter } from "../module.ts";
import type { Pass } from "../pass.ts";
import type { Norm } from "./residual.ts";

export interface BatchNormOptions {
  dModel: number;
  epsilon?: number;
  /** How far the running mean and variance go towards a batch's at each step. */
  momentum?: number;
}

/**
 * (x − mean) / √(variance + ε) · scale + shift, mean and variance of each column taken over all positions of the batch that are no
 * padding. Ioffe and Szegedy 2015, "Batch Normalization", algorithm 1. Where layer norm looks along a position, this looks
 * across positions: what comes out for a sentence depends on the sentences beside it, and in a decoder it would let a position
 * see later ones.
 *
 * Inference takes running means of both, parameters that no gradient moves: each training step reports their next values in
 * `pass.reports.statistics`, running ← (1 − momentum) · running + momentum · batch, with the variance of n values times
 * n / (n − 1) as in the paper's algorithm 2.
 */
export class BatchNorm extends Module implements Norm {
  readonly scale: Parameter;
  readonly shift: Parameter;
  readonly runningMean: Parameter;
  readonly runningVariance: Parameter;
  readonly epsilon: number;
  readonly momentum: number;

  constructor({ dModel, epsilon = 1e-5, momentum = 0.1 }: BatchNormOptions) {
    super();
    const shape = [dModel];
    this.scale = new Parameter({ shape, initializer: ones });
    this.shift = new Parameter({ shape, initializer: zeros });
    this.runningMean = new Parameter({ shape, initializer: zeros, trainable: false });
    this.runningVariance = new Parameter({ shape, initializer: ones, trainable: false });
    this.epsilon = epsilon;
    this.momentum = momentum;
  }

  /** x [.., dModel] → [.., dModel]; `pass.valid` is bool [..] */
  forward(x: Tensor, pass?: Pass): Tensor {
    const leading = x.shape.slice(0, -1);
    if (pass === undefined)
      throw new ShapeError("batch norm: its running statistics are reported to a pass; hand one to forward");
    if (pass.valid !== undefined && !equalShapes(pass.valid.shape, leading))
      throw new ShapeError(
        `batch norm: which positions of x ${formatShape(x.shape)} are valid is bool ${formatShape(leading)}, got ${formatShape(pass.valid.shape)}`,
      );
    const rows = reshape(x, [sizeOf(leading), x.shape.at(-1)!]); // [positions, dModel]
    const isValid = pass.valid && reshape(pass.valid, [sizeOf(leading), 1]);
    const counted = (values: Tensor): Tensor => (isValid === undefined ? values : where(isValid, values, 0));
    const count = sum(isValid === undefined ? expand(scalar(1), [sizeOf(leading)]) : cast(isValid, "float32"));
    const atLeastOne = maximum(count, 1);
    const mean = div(sum(counted(rows), { axes: [0] }), atLeastOne); // [dModel]
    const centred = counted(sub(rows, mean));
    const squares = sum(mul(centred, centred), { axes: [0] });
    this.#report(pass, { count, mean, variance: div(squares, maximum(sub(count, 1), 1)) });

    const centre = phase(mean, this.runningMean.value);
    const variance = phase(div(squares, atLeastOne), this.runningVariance.value);
    const scale = div(this.scale.value, sqrt(add(variance, this.epsilon))); // [dModel]
    return add(mul(sub(x, centre), scale), this.shift.value);
  }

  /** A batch of nothing but padding leaves the statistics as they are. A norm applied twice moves them twice. */
  #report(
    { reports: { statistics } }: Pass,
    { count, mean, variance }: Record<"count" | "mean" | "variance", Tensor>,
  ): void {
    // A frozen base stays as it is, statistics included: an adapter's file does not hold them.
    if (!this.scale.trainable) return;
    const rate = mul(minimum(count, 1), this.momentum);
    for (const [running, batch] of [
      [this.runningMean, mean],
      [this.runningVariance, variance],
    ] as const) {
      const before = statistics.get(running) ?? running.value;
      statistics.set(running, add(before, mul(sub(batch, before), rate)));
    }
  }
}
