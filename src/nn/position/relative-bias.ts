// T5's relative positions: one learned number a head and range of distances.
import { ConfigError } from "../../base/index.ts";
import { add, constant, gather, maximum, minimum, transpose, type Tensor } from "../../tensor/index.ts";
import { normal } from "../initializers.ts";
import { Module, Parameter } from "../module.ts";
import type { AttentionPositions } from "./attention-positions.ts";
import { distances } from "./distances.ts";

/** A relative bias as a configuration writes it. */
export interface RelativeBiasOptions {
  /** Ranges of distances that are told apart. */
  readonly buckets?: number;
  /** From this distance on all are one. */
  readonly maxDistance?: number;
}

interface BucketRule {
  readonly buckets: number;
  readonly maxDistance: number;
  readonly bidirectional: boolean;
}

/**
 * The bucket of each distance from −maxDistance to maxDistance (key's place − query's), in that order. Half of a side's buckets
 * hold one distance each, the others grow with its logarithm up to maxDistance; with `bidirectional` the upper half of all is
 * for keys after the query, without it these share bucket 0 with the query's own place. Raffel et al. 2020, section 2.1, and
 * the authors' program.
 */
export function distanceBuckets({ buckets, maxDistance, bidirectional }: BucketRule): Int32Array<ArrayBuffer> {
  const side = bidirectional ? buckets / 2 : buckets;
  const single = Math.floor(side / 2);
  if (!Number.isInteger(side) || side < 2) {
    const wanted = bidirectional ? "an even number of at least 4" : "a whole number of at least 2";
    throw new ConfigError("positions.buckets", `${wanted} is wanted (got ${buckets}); the paper takes 32`);
  }
  if (!Number.isInteger(maxDistance) || maxDistance <= single) {
    throw new ConfigError(
      "positions.maxDistance",
      `a whole number above ${single}, the distances with a bucket of their own, is wanted (got ${maxDistance}); the paper takes 128`,
    );
  }
  const ofDistance = new Int32Array(maxDistance + 1);
  const steps = BigInt(side - single);
  const [first, last] = [BigInt(single), BigInt(maxDistance)];
  let bucket = 0;
  for (let distance = 0; distance <= maxDistance; distance++) {
    if (distance <= single) bucket = distance;
    // bucket = single + ⌊steps · ln(distance/single) / ln(maxDistance/single)⌋, in whole numbers, as logarithms would round at
    // the edges: the next one, k steps on, begins where distance^steps ≥ maxDistance^k · single^(steps − k).
    else {
      const power = BigInt(distance) ** steps;
      const begins = (k: bigint): bigint => last ** k * first ** (steps - k);
      while (bucket < side - 1 && begins(BigInt(bucket + 1 - single)) <= power) bucket++;
    }
    ofDistance[distance] = bucket;
  }
  return Int32Array.from({ length: 2 * maxDistance + 1 }, (_, i) => {
    const distance = i - maxDistance;
    if (distance <= 0) return ofDistance[-distance]!;
    return bidirectional ? side + ofDistance[distance]! : 0;
  });
}

/**
 * A learned number on each score, one a head and bucket of distances, shared by all layers of a stack.
 * Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer" (T5), section 2.1.
 * T5 itself does not scale its scores; here, as everywhere, they are scaled by 1/√dHead first.
 *
 * @example
 * const positions = new RelativeBias({ heads: 8, bidirectional: true }); // for an encoder
 */
export class RelativeBias extends Module implements AttentionPositions {
  readonly isRelative = true;
  /** [buckets, heads] */
  readonly table: Parameter;
  readonly maxDistance: number;
  readonly bidirectional: boolean;
  readonly #buckets: Tensor;

  constructor({
    heads,
    bidirectional,
    buckets = 32,
    maxDistance = 128,
  }: RelativeBiasOptions & {
    readonly heads: number;
    /** Whether keys after the query have buckets of their own, as an encoder needs and a decoder cannot use. */
    readonly bidirectional: boolean;
  }) {
    super();
    const data = distanceBuckets({ buckets, maxDistance, bidirectional });
    this.#buckets = constant({ dtype: "int32", dims: [data.length], data });
    // T5 draws with deviation 1/√dModel, which is 0.044 for its base model.
    this.table = new Parameter({ shape: [buckets, heads], initializer: normal(0.04) });
    this.maxDistance = maxDistance;
    this.bidirectional = bidirectional;
  }

  /** queryPositions int32 [.., queryTime] and keyPositions int32 [.., keyTime] → [heads, .., queryTime, keyTime]. */
  bias(queryPositions: Tensor, keyPositions: Tensor): Tensor {
    const near = minimum(maximum(distances(queryPositions, keyPositions), -this.maxDistance), this.maxDistance);
    const ofDistance = gather(this.table.value, this.#buckets); // [2 · maxDistance + 1, heads]
    // Rows of all heads, then the heads in front: the runtime gathers single numbers nine times as slowly.
    const found = gather(ofDistance, add(near, this.maxDistance)); // [.., queryTime, keyTime, heads]
    return transpose(found, [found.rank - 1, ...near.shape.keys()]);
  }
}
