// Rotary positions: a query and a key are turned by angles that grow with their places, so that their product knows the distance.
import { ConfigError, ShapeError } from "../../base/index.ts";
import {
  add,
  cast,
  concat,
  constant,
  cos,
  expand,
  formatShape,
  matmul,
  mul,
  pad,
  reshape,
  sin,
  type Tensor,
} from "../../tensor/index.ts";
import { Module } from "../module.ts";
import type { AttentionPositions } from "./attention-positions.ts";
import { fixedFrequencies, plainFrequencies, type RotaryScaling, type RotaryScalingOptions } from "./rotary-scaling.ts";

/** Which numbers of a head make a pair: i and i + dimensions/2 (GPT-NeoX, Llama), or 2i and 2i + 1 (the paper, GPT-J). */
export type RotaryLayout = "halves" | "interleaved";

/** Rotary positions as a configuration writes them. */
export interface RotaryOptions {
  /** How many numbers of each head are turned, from its first on: all of them if not said. Even. */
  readonly dimensions?: number;
  /** The base: pair i turns by theta^(−2i / dimensions) radians a position. */
  readonly theta?: number;
  readonly layout?: RotaryLayout;
  /** For lengths beyond those of training. */
  readonly scaling?: RotaryScalingOptions;
}

export interface RotaryPositionsOptions extends Omit<RotaryOptions, "scaling"> {
  /** Width of a head. */
  readonly dHead: number;
  readonly scaling?: RotaryScaling;
}

/** What turns vectors: float32 [time, dHead] each. */
export interface RotaryTables {
  readonly cosine: Tensor;
  readonly sine: Tensor;
}

/**
 * Rotary positions: with the pairs of a head read as complex numbers, x at place n becomes x · e^(i n θ), so that the product of
 * a turned query and a turned key depends on the distance of their places and not on the places.
 * Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", section 3.4.2.
 *
 * Any place can be turned to: angles are worked out in the program, in double precision, as n θ in float32 is off by 0.004
 * radians at place 100,000. They serve all layers that ask with the same tensor of positions.
 *
 * @example
 * const positions = new RotaryPositions({ dHead: 64, theta: 500_000, scaling: new NtkScaling({ factor: 4 }) });
 */
export class RotaryPositions extends Module implements AttentionPositions {
  readonly dHead: number;
  readonly dimensions: number;
  readonly theta: number;
  readonly layout: RotaryLayout;
  readonly scaling: RotaryScaling | undefined;
  readonly #quarterTurn: Tensor;
  readonly #known = new WeakMap<Tensor, RotaryTables>();

  constructor({ dHead, dimensions = dHead, theta = 10_000, layout = "halves", scaling }: RotaryPositionsOptions) {
    super();
    if (!Number.isInteger(dimensions) || dimensions < 2 || dimensions % 2 !== 0 || dimensions > dHead) {
      const most = dHead - (dHead % 2);
      throw new ShapeError(
        `rotary positions: dimensions must be even and at most dHead (got dimensions ${dimensions}, dHead ${dHead}). ` +
          (most < 2 ? "A head of one number has no pair to turn." : `At most ${most} would fit.`),
      );
    }
    if (!(theta > 1 && Number.isFinite(theta)))
      throw new ConfigError("positions.theta", `a number above 1 is wanted (got ${theta}); the paper takes 10000`);
    this.dHead = dHead;
    this.dimensions = dimensions;
    this.theta = theta;
    this.layout = layout;
    this.scaling = scaling;
    this.#quarterTurn = quarterTurn({ dHead, dimensions, layout });
  }

  /** x [.., time, dHead] at positions int32 [time], or all of it at one place [1] → the same shape. */
  turn(x: Tensor, positions: Tensor): Tensor {
    return this.turnBy(x, this.tables(positions));
  }

  /** The same with tables of one's own: x ∘ cosine + (x, each pair turned by 90°) ∘ sine. */
  turnBy(x: Tensor, { cosine, sine }: RotaryTables): Tensor {
    if (x.shape.at(-1) !== this.dHead) {
      throw new ShapeError(
        `rotary positions: queries and keys [.., time, dHead] with dHead ${this.dHead} are wanted (got ${formatShape(x.shape)})`,
      );
    }
    // A product with a small matrix costs what slicing and joining cost, in one operation for either layout and its gradient.
    return add(mul(x, cosine), mul(matmul(x, this.#quarterTurn), sine));
  }

  /** positions int32 [time] → magnitude · cos and magnitude · sin of each number's angle; what is not turned has angle 0. */
  tables(positions: Tensor): RotaryTables {
    let tables = this.#known.get(positions);
    if (tables === undefined) {
      const magnitude = this.scaling?.magnitude ?? 1;
      const angles = mul(placesOf(positions), this.spread(this.#frequencies(positions))); // [time, dHead]
      // Where only a part is turned, the rest has to keep its size; there the magnitude would be no plain factor.
      tables = {
        cosine: cast(mul(cos(angles), this.#onTurned(magnitude)), "float32"),
        sine: cast(mul(sin(angles), magnitude), "float32"),
      };
      this.#known.set(positions, tables);
    }
    return tables;
  }

  /** One number a pair, float64 [dimensions / 2] → each at both places of its pair and 0 at what is not turned, [dHead]. */
  spread(pairs: Tensor): Tensor {
    const count = this.dimensions / 2;
    const both =
      this.layout === "halves"
        ? concat([pairs, pairs], 0)
        : reshape(expand(reshape(pairs, [count, 1]), [count, 2]), [this.dimensions]);
    return pad(both, { axis: 0, after: this.dHead - this.dimensions });
  }

  #frequencies(positions: Tensor): Tensor {
    return this.scaling?.frequencies(this, positions) ?? fixedFrequencies(plainFrequencies(this));
  }

  #onTurned(magnitude: number): Tensor | number {
    if (magnitude === 1 || this.dimensions === this.dHead) return magnitude;
    const data = Float64Array.from({ length: this.dHead }, (_, i) => (i < this.dimensions ? magnitude : 1));
    return fixedFrequencies(data);
  }
}

/** positions int32 [time] → float64 [time, 1]. */
export function placesOf(positions: Tensor): Tensor {
  const [time] = positions.shape;
  if (positions.rank !== 1 || time === undefined || positions.dtype !== "int32") {
    throw new ShapeError(
      `rotary positions: positions int32 [time] are wanted, the same for all sequences (got ${positions.dtype} ${formatShape(positions.shape)})`,
    );
  }
  return reshape(cast(positions, "float64"), [time, 1]);
}

/** The matrix [dHead, dHead] that turns each pair (a, b) into (−b, a) and leaves nothing of what is not turned. */
function quarterTurn({
  dHead,
  dimensions,
  layout,
}: {
  dHead: number;
  dimensions: number;
  layout: RotaryLayout;
}): Tensor {
  const data = new Float32Array(dHead * dHead);
  for (let pair = 0; pair < dimensions / 2; pair++) {
    const [a, b] = layout === "halves" ? [pair, pair + dimensions / 2] : [2 * pair, 2 * pair + 1];
    data[b * dHead + a] = -1;
    data[a * dHead + b] = 1;
  }
  return constant({ dtype: "float32", dims: [dHead, dHead], data });
}
