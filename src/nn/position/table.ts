// Positions as a table of vectors, one a position: computed once (sinusoidal) or learned. Both meet the embeddings the same way.
import { constant, gather, type Tensor } from "../../tensor/index.ts";
import { normal } from "../initializers.ts";
import { Module, Parameter } from "../module.ts";

/** Gives each position a vector. */
export interface PositionTable extends Module {
  /** Positions this table has. */
  readonly maxPositions: number;
  /** positions [..] of int32 → [.., dModel] */
  forward(positions: Tensor): Tensor;
}

export interface SinusoidalOptions {
  dModel: number;
  maxPositions?: number;
  /** Sine and cosine taking turns, as the paper writes it, or all sines before all cosines, as Marian stores it. */
  layout?: "interleaved" | "halves";
}

/**
 * PE(pos, 2i) = sin(pos / 10000^(2i/dModel)), PE(pos, 2i+1) = cos of the same. Vaswani et al. 2017, section 3.5.
 * PE(pos + k) is a rotation of PE(pos) that depends on k alone.
 */
export function sinusoidalTable({
  dModel,
  maxPositions = 1024,
  layout = "interleaved",
}: SinusoidalOptions): Float32Array {
  const table = new Float32Array(maxPositions * dModel);
  const pairs = Math.ceil(dModel / 2);
  for (let position = 0; position < maxPositions; position++) {
    for (let i = 0; i < pairs; i++) {
      const angle = position / 10000 ** ((2 * i) / dModel);
      const [sine, cosine] = layout === "interleaved" ? [2 * i, 2 * i + 1] : [i, pairs + i];
      table[position * dModel + sine] = Math.sin(angle);
      if (cosine < dModel) table[position * dModel + cosine] = Math.cos(angle);
    }
  }
  return table;
}

/** Sinusoidal positions; nothing is learned, so the table is part of the program and not of the weights. */
export class SinusoidalPositions extends Module implements PositionTable {
  readonly maxPositions: number;
  readonly #table: Tensor;

  constructor({ dModel, maxPositions = 1024, layout = "interleaved" }: SinusoidalOptions) {
    super();
    this.maxPositions = maxPositions;
    this.#table = constant({
      dtype: "float32",
      dims: [maxPositions, dModel],
      data: sinusoidalTable({ dModel, maxPositions, layout }),
    });
  }

  forward(positions: Tensor): Tensor {
    return gather(this.#table, positions);
  }
}

/** One learned vector a position. Gehring et al. 2017, "Convolutional Sequence to Sequence Learning", section 3.1. */
export class LearnedPositions extends Module implements PositionTable {
  readonly table: Parameter;
  readonly maxPositions: number;

  constructor({ dModel, maxPositions = 1024 }: { dModel: number; maxPositions?: number }) {
    super();
    this.table = new Parameter({ shape: [maxPositions, dModel], initializer: normal(dModel ** -0.5) });
    this.maxPositions = maxPositions;
  }

  forward(positions: Tensor): Tensor {
    return gather(this.table.value, positions);
  }
}
