// Rotary positions: a query and a key are turned by angles that grow with their places, so that their product knows the distance.
import { ConfigError, ShapeError } from "../../base/index.ts";
import {
  cast,
  cos,
  formatShape,
  mul,
  reshape,
  rotatePairs,
  sin,
  type PairLayout,
  type Tensor,
} from "../../tensor/index.ts";
import { Module } from "../module.ts";
import type { AttentionPositions } from "./attention-positions.ts";
import { fixedFrequencies, plainFrequencies, type RotaryScaling, type RotaryScalingOptions } from "./rotary-scaling.ts";

/** Rotary positions as a configuration writes them. */
export interface RotaryOptions {
  /** How many numbers of each head are turned, from its first on: all of them if not said. Even. */
  readonly dimensions?: number;
  /** The base: pair i turns by theta^(−2i / dimensions) radians a position. */
  readonly theta?: number;
  /** Which numbers of a head make a pair: i and i + dimensions/2 (GPT-NeoX, Llama), or 2i and 2i + 1 (the paper, GPT-J). */
  readonly layout?: PairLayout;
  /** For lengths beyond those of training. */
  readonly scaling?: RotaryScalingOptions;
}

export interface RotaryPositionsOptions extends Omit<RotaryOptions, "scaling"> {
  /** Width of a head. */
  readonly dHead: number;
  readonly scaling?: RotaryScaling;
}

/** What turns vectors: float32 [time, dimensions / 2] each. */
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
  readonly layout: PairLayout;
  readonly scaling: RotaryScaling | undefined;
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
  }

  get isRelative(): boolean {
    return this.scaling?.followsLength !== true;
  }

  /** x [.., time, dHead] at positions int32 [time], or all of it at one place [1] → the same shape. */
  turn(x: Tensor, positions: Tensor): Tensor {
    return this.turnBy(x, this.tables(positions));
  }

  /** The same with tables of one's own. */
  turnBy(x: Tensor, { cosine, sine }: RotaryTables): Tensor {
    if (x.shape.at(-1) !== this.dHead) {
      throw new ShapeError(
        `rotary positions: queries and keys [.., time, dHead] with dHead ${this.dHead} are wanted (got ${formatShape(x.shape)})`,
      );
    }
    return rotatePairs(x, cosine, sine, { layout: this.layout });
  }

  /** positions int32 [time] → magnitude · cos and magnitude · sin of each pair's angle. */
  tables(positions: Tensor): RotaryTables {
    let tables = this.#known.get(positions);
    if (tables === undefined) {
      const speeds = this.scaling?.frequencies(this, positions) ?? fixedFrequencies(plainFrequencies(this));
      const angles = mul(placesOf(positions), speeds); // [time, dimensions / 2]
      const magnitude = this.scaling?.magnitude ?? 1;
      tables = {
        cosine: cast(mul(cos(angles), magnitude), "float32"),
        sine: cast(mul(sin(angles), magnitude), "float32"),
      };
      this.#known.set(positions, tables);
    }
    return tables;
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
