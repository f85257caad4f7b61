import { dropout, type Tensor } from "../tensor/index.ts";
import { Module } from "./module.ts";

/**
 * Drops each value with the chance `rate` while training. There is no training flag: inference is a rewrite of the graph
 * that takes dropout out.
 */
export class Dropout extends Module {
  readonly rate: number;

  constructor(rate: number) {
    super();
    this.rate = rate;
  }

  forward(x: Tensor): Tensor {
    return dropout(x, this.rate);
  }
}
