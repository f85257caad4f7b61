import { add, expand, layerNorm, mul, scalar, type Tensor } from "../../tensor/index.ts";
import { ones, zeros } from "../initializers.ts";
import { Module, Parameter } from "../module.ts";

/**
 * Group norm with a group for each head: the values of one head at one position get mean 0 and variance 1, then a scale and a
 * shift of their own. Wu and He 2018, "Group Normalization".
 */
export class HeadNorm extends Module {
  /** [heads, dHead] */
  readonly scale: Parameter;
  /** [heads, dHead] */
  readonly shift: Parameter;
  readonly epsilon: number;

  constructor({ heads, dHead, epsilon = 1e-5 }: { heads: number; dHead: number; epsilon?: number }) {
    super();
    this.scale = new Parameter({ shape: [heads, dHead], initializer: ones });
    this.shift = new Parameter({ shape: [heads, dHead], initializer: zeros });
    this.epsilon = epsilon;
  }

  /** x [.., heads, dHead] → the same shape. */
  forward(x: Tensor): Tensor {
    const width = [x.shape.at(-1)!];
    const [one, zero] = [scalar(1, x.dtype), scalar(0, x.dtype)].map((value) => expand(value, width)) as [
      Tensor,
      Tensor,
    ];
    const normalised = layerNorm(x, one, zero, { epsilon: this.epsilon });
    return add(mul(normalised, this.scale.value), this.shift.value);
  }
}
