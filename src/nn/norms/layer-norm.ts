import { layerNorm, type Tensor } from "../../tensor/index.ts";
import { ones, zeros } from "../initializers.ts";
import { Module, Parameter } from "../module.ts";

/** (x − mean) / √(variance + ε) · scale + shift over the last axis. Ba et al. 2016, "Layer Normalization". */
export class LayerNorm extends Module {
  readonly scale: Parameter;
  readonly shift: Parameter;
  readonly epsilon: number;

  constructor({ dModel, epsilon = 1e-5 }: { dModel: number; epsilon?: number }) {
    super();
    this.scale = new Parameter({ shape: [dModel], initializer: ones });
    this.shift = new Parameter({ shape: [dModel], initializer: zeros });
    this.epsilon = epsilon;
  }

  /** x [.., dModel] → [.., dModel] */
  forward(x: Tensor): Tensor {
    return layerNorm(x, this.scale.value, this.shift.value, { epsilon: this.epsilon });
  }
}
