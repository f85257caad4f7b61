import { constant, equal, expand, gather, mul, reshape, stopGradient, where, type Tensor } from "../tensor/index.ts";
import { normal } from "./initializers.ts";
import { Module, Parameter } from "./module.ts";

export interface EmbeddingOptions {
  vocabularySize: number;
  dModel: number;
  /** Factor on every vector; √dModel in the paper (section 3.4). */
  scale?: number;
  /** An id whose lookups leave its vector as it is. */
  untaught?: number;
  /** Whether training changes the vectors; false keeps those that were loaded. */
  trainable?: boolean;
}

/** One learned vector a token. */
export class Embedding extends Module {
  /** [vocabularySize, dModel] */
  readonly table: Parameter;
  readonly scale: number;
  readonly untaught: number | undefined;

  constructor({ vocabularySize, dModel, scale = Math.sqrt(dModel), untaught, trainable = true }: EmbeddingOptions) {
    super();
    // Deviation 1/√dModel: unit variance after the paper's scaling, and unit logits where the table is also the output.
    this.table = new Parameter({ shape: [vocabularySize, dModel], initializer: normal(dModel ** -0.5), trainable });
    this.scale = scale;
    this.untaught = untaught;
  }

  /** ids [..] of int32 → [.., dModel] */
  forward(ids: Tensor): Tensor {
    const vectors = gather(this.table.value, ids);
    if (this.untaught === undefined) return mul(vectors, this.scale);
    const isUntaught = equal(ids, constant({ dtype: "int32", dims: [], data: Int32Array.of(this.untaught) }));
    const mask = expand(reshape(isUntaught, [...ids.shape, 1]), vectors.shape);
    return mul(where(mask, stopGradient(vectors), vectors), this.scale);
  }
}
