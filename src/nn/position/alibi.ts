// ALiBi: attention with linear biases, a fixed penalty on distance.
import { ConfigError } from "../../base/index.ts";
import { abs, cast, constant, mul, neg, reshape, type Tensor } from "../../tensor/index.ts";
import { Module } from "../module.ts";
import type { AttentionPositions } from "./attention-positions.ts";
import { distances } from "./distances.ts";

/**
 * The penalty a position of each head. For h heads, a power of two, 2^(−8i/h) with i from 1; for others the slopes of the next
 * smaller power of two come first, then every second one of the next larger. Press et al. 2022, section 3 and the authors' program.
 */
export function alibiSlopes(heads: number): Float64Array<ArrayBuffer> {
  if (!Number.isInteger(heads) || heads < 1)
    throw new ConfigError("heads", `a whole number of at least 1 is wanted (got ${heads})`);
  const power = 2 ** Math.floor(Math.log2(heads));
  return Float64Array.from({ length: heads }, (_, head) =>
    head < power ? 2 ** ((-8 * (head + 1)) / power) : 2 ** ((-4 * (2 * (head - power) + 1)) / power),
  );
}

/**
 * −slope · |n − m| on the score of a query at n and a key at m, with a slope of its own for each head: near ones see the
 * neighbourhood, far ones everything. Nothing is learned, and lengths beyond training look like more of the same.
 * Press et al. 2022, "Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation". The paper is
 * about causal attention; in an encoder the penalty is the same on either side.
 *
 * @example
 * const positions = new AlibiPositions({ heads: 8 }); // slopes ½, ¼, … 1/256
 */
export class AlibiPositions extends Module implements AttentionPositions {
  readonly isRelative = true;
  readonly heads: number;
  readonly #slopes: Tensor;

  constructor({ heads }: { heads: number }) {
    super();
    this.heads = heads;
    this.#slopes = constant({ dtype: "float32", dims: [heads], data: Float32Array.from(alibiSlopes(heads)) });
  }

  /** queryPositions int32 [.., queryTime] and keyPositions int32 [.., keyTime] → [heads, .., queryTime, keyTime]. */
  bias(queryPositions: Tensor, keyPositions: Tensor): Tensor {
    const penalty = neg(cast(abs(distances(queryPositions, keyPositions)), "float32")); // [.., queryTime, keyTime]
    return mul(reshape(this.#slopes, [this.heads, ...penalty.shape.map(() => 1)]), penalty);
  }
}
