import { affine, type Tensor } from "../tensor/index.ts";
import { xavierUniform, zeros, type Initializer } from "./initializers.ts";
import { Module, Parameter } from "./module.ts";

export interface LinearOptions {
  from: number;
  to: number;
  /** Whether a learned offset is added. */
  bias?: boolean;
  initializer?: Initializer;
}

/** x W + b over the last axis. */
export class Linear extends Module {
  /** [from, to] */
  readonly weight: Parameter;
  /** [to] */
  readonly bias: Parameter | undefined;

  constructor({ from, to, bias = true, initializer = xavierUniform() }: LinearOptions) {
    super();
    this.weight = new Parameter({ shape: [from, to], initializer });
    this.bias = bias ? new Parameter({ shape: [to], initializer: zeros }) : undefined;
  }

  /** x [.., from] → [.., to] */
  forward(x: Tensor): Tensor {
    return affine(x, this.weight.value, this.bias?.value);
  }
}
