// xPos: rotary positions whose products also fade with distance.
import { ConfigError } from "../../base/index.ts";
import { cast, exp, mul, neg, type PairLayout, type Tensor } from "../../tensor/index.ts";
import { Module } from "../module.ts";
import type { AttentionPositions } from "./attention-positions.ts";
import { fixedFrequencies } from "./rotary-scaling.ts";
import { placesOf, RotaryPositions, type RotaryTables } from "./rotary.ts";

/** xPos as a configuration writes it. */
export interface XposOptions {
  /** The base of the rotation: pair i turns by theta^(−2i / dHead) radians a position. */
  readonly theta?: number;
  readonly layout?: PairLayout;
  /** Positions over which a pair fades by its ζ: the larger, the longer the reach. */
  readonly scaleBase?: number;
  /** The larger, the less the fast pairs fade. */
  readonly gamma?: number;
}

/**
 * Rotary positions with a decay: pair i of a query at n is multiplied by ζᵢ^(n/scaleBase), that of a key at m by
 * ζᵢ^(−m/scaleBase), with ζᵢ = (i / (dHead/2) + γ) / (1 + γ) ≤ 1. So each pair's share of the product fades with the distance
 * as ζᵢ^((n − m)/scaleBase), the fast pairs soonest. Sun et al. 2022, "A Length-Extrapolatable Transformer", section 2.2 and
 * algorithm 1.
 *
 * For causal self-attention alone: towards later keys the same factor grows without bound. Float32 holds the powers up to
 * position 35,000 or so at the default scaleBase, and further in proportion to it.
 *
 * @example
 * const positions = new XPositions({ dHead: 64 });
 */
export class XPositions extends Module implements AttentionPositions {
  readonly scaleBase: number;
  readonly gamma: number;
  readonly #rotary: RotaryPositions;
  readonly #known = { query: new WeakMap<Tensor, RotaryTables>(), key: new WeakMap<Tensor, RotaryTables>() };

  constructor({ dHead, theta, layout, scaleBase = 512, gamma = 0.4 }: XposOptions & { readonly dHead: number }) {
    super();
    if (!(scaleBase > 0 && Number.isFinite(scaleBase)))
      throw new ConfigError(
        "positions.scaleBase",
        `a number above 0 is wanted (got ${scaleBase}); the paper takes 512`,
      );
    if (!(gamma > 0 && Number.isFinite(gamma)))
      throw new ConfigError("positions.gamma", `a number above 0 is wanted (got ${gamma}); the paper takes 0.4`);
    this.#rotary = new RotaryPositions({
      dHead,
      ...(theta !== undefined && { theta }),
      ...(layout !== undefined && { layout }),
    });
    this.scaleBase = scaleBase;
    this.gamma = gamma;
  }

  /** x [.., time, dHead] at positions int32 [time], or all of it at one place [1] → the same shape. */
  turn(x: Tensor, positions: Tensor, role: "query" | "key"): Tensor {
    return this.#rotary.turnBy(x, this.#tables(positions, role));
  }

  #tables(positions: Tensor, role: "query" | "key"): RotaryTables {
    const known = this.#known[role];
    let tables = known.get(positions);
    if (tables === undefined) {
      const { cosine, sine } = this.#rotary.tables(positions);
      const exponents = mul(placesOf(positions), this.#logarithms()); // n/scaleBase · ln ζ: [time, dHead / 2]
      const decay = cast(exp(role === "query" ? exponents : neg(exponents)), "float32");
      tables = { cosine: mul(cosine, decay), sine: mul(sine, decay) };
      known.set(positions, tables);
    }
    return tables;
  }

  /** ln ζᵢ / scaleBase, one a pair. */
  #logarithms(): Tensor {
    const pairs = this.#rotary.dHead / 2;
    return fixedFrequencies(
      Float64Array.from(
        { length: pairs },
        (_, i) => Math.log((i / pairs + this.gamma) / (1 + this.gamma)) / this.scaleBase,
      ),
    );
  }
}
