import { layerDrop, type Tensor } from "../tensor/index.ts";
import { Module } from "./module.ts";

/**
 * Leaves whole layers out while training, each with the chance `rate` for all sentences of a batch at once; so trained, a model
 * keeps working with layers taken away. Fan et al. 2019, "Reducing Transformer Depth on Demand with Structured Dropout".
 * The layer is computed all the same: what is saved is depth that the model leans on, not time.
 */
export class LayerDrop extends Module {
  readonly rate: number;

  constructor(rate: number) {
    super();
    this.rate = rate;
  }

  /** What goes on from a layer: `before` went in and `after` came out, of one shape. */
  forward(before: Tensor, after: Tensor): Tensor {
    return layerDrop(before, after, this.rate);
  }
}
