import { gather, mul, type Tensor } from "../tensor/index.ts";
import { normal } from "./initializers.ts";
import { Module, Parameter } from "./module.ts";

export interface EmbeddingOptions {
  vocabularySize: number;
  dModel: number;
  /** Factor on every vector; √dModel in the paper (section 3.4). */
  scale?: number;
}

/** One learned vector a token. */
export class Embedding extends Module {
  /** [vocabularySize, dModel] */
  readonly table: Parameter;
  readonly scale: number;

  constructor({ vocabularySize, dModel, scale = Math.sqrt(dModel) }: EmbeddingOptions) {
    super();
    // Deviation 1/√dModel: unit variance after the paper's scaling, and unit logits where the table is also the output.
    this.table = new Parameter({ shape: [vocabularySize, dModel], initializer: normal(dModel ** -0.5) });
    this.scale = scale;
  }

  /** ids [..] of int32 → [.., dModel] */
  forward(ids: Tensor): Tensor {
    return mul(gather(this.table.value, ids), this.scale);
  }
}
