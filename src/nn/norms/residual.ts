// Where the norm stands relative to the residual: the two arrangements of one sublayer.
import { add, type Tensor } from "../../tensor/index.ts";
import type { Dropout } from "../dropout.ts";
import { Module } from "../module.ts";
import type { Pass } from "../pass.ts";

/** A module with one input and one output of the same shape. */
export interface Norm extends Module {
  forward(x: Tensor, pass?: Pass): Tensor;
}

/** A residual connection around a sublayer. */
export abstract class Residual extends Module {
  readonly norm: Norm;
  readonly dropout: Dropout;

  constructor(norm: Norm, dropout: Dropout) {
    super();
    this.norm = norm;
    this.dropout = dropout;
  }

  abstract forward(x: Tensor, sublayer: (x: Tensor) => Tensor, pass?: Pass): Tensor;
}

/** norm(x + dropout(sublayer(x))): the paper's. Vaswani et al. 2017, section 3.1. */
export class PostNorm extends Residual {
  override forward(x: Tensor, sublayer: (x: Tensor) => Tensor, pass?: Pass): Tensor {
    return this.norm.forward(add(x, this.dropout.forward(sublayer(x))), pass);
  }
}

/** x + dropout(sublayer(norm(x))): trains without warm-up. Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture". */
export class PreNorm extends Residual {
  override forward(x: Tensor, sublayer: (x: Tensor) => Tensor, pass?: Pass): Tensor {
    return add(x, this.dropout.forward(sublayer(this.norm.forward(x, pass))));
  }
}
