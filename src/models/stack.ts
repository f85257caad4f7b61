import { LayerDrop, Module, type Norm, type Pass } from "../nn/index.ts";
import type { Tensor } from "../tensor/index.ts";

export interface StackOptions<Layer extends Module> {
  layers: number;
  /** Makes one layer. */
  layer: () => Layer;
  /** After the last layer; pre-norm stacks need one. */
  finalNorm?: Norm | undefined;
  /** Chance to leave out a layer in a training step. */
  layerDrop?: number;
}

/** Layers one upon the other, and a norm on top where there is one: what encoder and decoder have in common. */
export abstract class Stack<Layer extends Module> extends Module {
  readonly layers: readonly Layer[];
  readonly finalNorm: Norm | undefined;
  readonly layerDrop: LayerDrop;

  constructor({ layers, layer, finalNorm, layerDrop = 0 }: StackOptions<Layer>) {
    super();
    this.layerDrop = new LayerDrop(layerDrop);
    this.layers = Array.from({ length: layers }, layer);
    this.finalNorm = finalNorm;
  }

  /** What stands before the first layer and after each; the last one after the final norm. */
  protected climb(x: Tensor, pass: Pass, through: (layer: Layer, x: Tensor, index: number) => Tensor): Tensor[] {
    const hidden = [x];
    for (const [index, layer] of this.layers.entries()) {
      const below = hidden.at(-1)!;
      hidden.push(this.layerDrop.forward(below, through(layer, below, index)));
    }
    if (this.finalNorm !== undefined) hidden.push(this.finalNorm.forward(hidden.pop()!, pass));
    return hidden;
  }
}
