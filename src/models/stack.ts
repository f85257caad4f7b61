import { LayerDrop, Module, type AttentionPositions, type Norm, type Pass } from "../nn/index.ts";
import type { Tensor } from "../tensor/index.ts";

/** What a stack is made of besides its layers. */
export interface StackFrame {
  readonly choices: { readonly layers: number; readonly layerDrop: number };
  /** How attention learns of places, in all layers alike. */
  readonly attentionPositions: AttentionPositions | undefined;
  /** After the last layer; pre-norm stacks need one. */
  finalNorm(): Norm | undefined;
}

/** Layers one upon the other, and a norm on top where there is one: what encoder and decoder have in common. */
export abstract class Stack<Layer extends Module> extends Module {
  readonly layers: readonly Layer[];
  readonly finalNorm: Norm | undefined;
  readonly positions: AttentionPositions | undefined;
  readonly layerDrop: LayerDrop;

  /** `layer` makes one layer. */
  constructor(frame: StackFrame, layer: () => Layer) {
    super();
    this.layers = Array.from({ length: frame.choices.layers }, layer);
    this.finalNorm = frame.finalNorm();
    this.positions = frame.attentionPositions;
    this.layerDrop = new LayerDrop(frame.choices.layerDrop);
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
