import { rmsNorm, type Tensor } from "../../tensor/index.ts";
import { ones } from "../initializers.ts";
import { Module, Parameter } from "../module.ts";

/** x / √(mean x² + ε) · scale over the last axis. Zhang and Sennrich 2019, "Root Mean Square Layer Normalization". */
export class RmsNorm extends Module {
  readonly scale: Parameter;
  readonly epsilon: number;

  constructor({ dModel, epsilon = 1e-6 }: { dModel: number; epsilon?: number }) {
    super();
    this.scale = new Parameter({ shape: [dModel], initializer: ones });
    this.epsilon = epsilon;
  }

  /** x [.., dModel] → [.., dModel] */
  forward(x: Tensor): Tensor {
    return rmsNorm(x, this.scale.value, { epsilon: this.epsilon });
  }
}
