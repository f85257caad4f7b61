// How a token's vector and its position's vector become one.
import { add, concat, expand, type Tensor } from "../../tensor/index.ts";
import { Linear } from "../linear.ts";
import { Module } from "../module.ts";

/** Joins tokens [batch, time, dModel] with positions [time, dModel]. */
export interface PositionCombination extends Module {
  forward(tokens: Tensor, positions: Tensor): Tensor;
}

/** Element by element, as in the paper. */
export class AddPositions extends Module implements PositionCombination {
  forward(tokens: Tensor, positions: Tensor): Tensor {
    return add(tokens, positions);
  }
}

/** Position in front of token, projected back to dModel: [p; e] W = p Wₚ + e Wₑ, so addition is the case of one shared map. */
export class ConcatenatePositions extends Module implements PositionCombination {
  readonly project: Linear;

  constructor({ dModel }: { dModel: number }) {
    super();
    this.project = new Linear({ from: 2 * dModel, to: dModel, bias: false });
  }

  forward(tokens: Tensor, positions: Tensor): Tensor {
    return this.project.forward(concat([expand(positions, tokens.shape), tokens], -1));
  }
}
