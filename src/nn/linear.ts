import { add, affine, type Tensor } from "../tensor/index.ts";
import { xavierUniform, zeros, type Initializer } from "./initializers.ts";
import { Module, Parameter } from "./module.ts";

export interface LinearOptions {
  from: number;
  to: number;
  /** Whether a learned offset is added. */
  bias?: boolean;
  initializer?: Initializer;
}

/**
 * A small trained addition to a linear layer y = x W + b whose own weights may stay as they are: y + gain(x) or y + gain(y),
 * as `reads` says. Who multiplies with `weight` without calling `forward` must look for an adapter first.
 */
export interface LinearAdapter extends Module {
  readonly reads: "input" | "output";
  /** [.., from] where it reads the input, [.., to] where it reads the output → [.., to] */
  gain(given: Tensor): Tensor;
}

/** x W + b over the last axis, and what an adapter adds where there is one. */
export class Linear extends Module {
  /** [from, to] */
  readonly weight: Parameter;
  /** [to] */
  readonly bias: Parameter | undefined;
  /**
   * The one field of a module that may change after it is made: adapters come and go on a model that is there already,
   * possibly built by others, and every part above keeps pointing at this layer. What was traced before keeps what it saw.
   */
  adapter: LinearAdapter | undefined = undefined;

  constructor({ from, to, bias = true, initializer = xavierUniform() }: LinearOptions) {
    super();
    this.weight = new Parameter({ shape: [from, to], initializer });
    this.bias = bias ? new Parameter({ shape: [to], initializer: zeros }) : undefined;
  }

  /** x [.., from] → [.., to] */
  forward(x: Tensor): Tensor {
    const y = affine(x, this.weight.value, this.bias?.value);
    if (this.adapter === undefined) return y;
    return add(y, this.adapter.gain(this.adapter.reads === "input" ? x : y));
  }
}
