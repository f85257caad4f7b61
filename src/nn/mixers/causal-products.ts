// Σ over s ≤ t of γ^(t − s) (q_t · k_s) v_s: attention without the softmax, in the two ways to order the products. Linear
// attention is this with γ = 1, retention with a γ for each head.
import {
  add,
  cast,
  cumulativeSum,
  exp,
  greaterOrEqual,
  log,
  lowerTriangle,
  matmul,
  maximum,
  mul,
  range,
  reshape,
  scan,
  slice,
  sub,
  subDims,
  transpose,
  where,
  zeros,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";
import { joinChunks, splitChunks } from "./chunks.ts";

export interface CausalProducts {
  /** [batch, heads, time, dKey] */
  readonly query: Tensor;
  /** [batch, heads, time, dKey]; zeros where there is padding. */
  readonly key: Tensor;
  /** [batch, heads, time, dValue] */
  readonly value: Tensor;
  /** γ of each head, [heads]; all 1 if not said. */
  readonly decay?: Tensor | undefined;
}

/** (Q Kᵀ ⊙ D) V with D_ts = γ^(t − s) for s ≤ t, else 0: quadratic in time. → [batch, heads, time, dValue] */
export function parallelProducts({ query, key, value, decay }: CausalProducts): Tensor {
  const scores = matmul(query, key, { transposeB: true }); // [batch, heads, time, time]
  return matmul(masked(scores, decay), value);
}

/**
 * The same in time linear in the length: quadratic inside a chunk, and from chunk to chunk only S = Σ γ^(..) k vᵀ goes on.
 * Sun et al. 2023, "Retentive Network", equation 7; for γ = 1 Hua et al. 2022, "Transformer Quality in Linear Time", section 3.2.
 */
export function chunkedProducts({ query, key, value, decay }: CausalProducts, size: number): Tensor {
  const [q, k, v] = [query, key, value].map((x) => splitChunks(x, 2, size)) as [Tensor, Tensor, Tensor];
  const inside = matmul(masked(matmul(q, k, { transposeB: true }), decay), v); // [batch, heads, chunks, size, dValue]
  const place = range(size);
  // What a chunk leaves behind at its last position: [batch, heads, chunks, dKey, dValue].
  const left = matmul(aged(k, decay, sub(size - 1, place)), v, { transposeA: true });
  const found = decay === undefined ? cumulativeSum(left, 2, { exclusive: true }) : carried(left, decay, size);
  const before = matmul(aged(q, decay, add(place, 1)), found);
  return joinChunks(add(inside, before), 2, query.shape[2]!);
}

/** Σ over s of γ^(T − 1 − s) k_s v_sᵀ: what a sequence of T places leaves for those that follow, [batch, heads, dKey, dValue]. */
export function leftProducts({ key, value, decay }: Omit<CausalProducts, "query">): Tensor {
  if (decay === undefined) return matmul(key, value, { transposeA: true });
  const time = key.shape[2]!;
  const places = range(time);
  const ages = sub(slice(places, { axis: 0, start: subDims(time, 1) }), places);
  const faded = mul(key, reshape(powers(decay, ages), [decay.shape[0]!, time, 1]));
  return matmul(faded, value, { transposeA: true });
}

/** γ to the power n of each head: n int32 [..] → [heads, ..]. */
function powers(decay: Tensor, n: Tensor): Tensor {
  const rates = reshape(log(decay), [decay.shape[0]!, ...n.shape.map(() => 1)]);
  return exp(mul(rates, cast(n, decay.dtype)));
}

/** D for as many positions: [heads, time, time]; the exponent is kept from growing above the diagonal. */
function decayMatrix(decay: Tensor, time: Dim): Tensor {
  const ages = sub(reshape(range(time), [time, 1]), range(time));
  return where(greaterOrEqual(ages, 0), powers(decay, maximum(ages, 0)), 0);
}

/** scores [batch, heads, .., time, time] ⊙ D. */
function masked(scores: Tensor, decay: Tensor | undefined): Tensor {
  if (decay === undefined) return lowerTriangle(scores);
  const time = scores.shape.at(-1)!;
  const ones = scores.shape.slice(2, -2).map(() => 1);
  return mul(scores, reshape(decayMatrix(decay, time), [decay.shape[0]!, ...ones, time, time]));
}

/** x [batch, heads, chunks, size, width] with the position of age n in its chunk multiplied by γⁿ; ages int32 [size]. */
function aged(x: Tensor, decay: Tensor | undefined, ages: Tensor): Tensor {
  if (decay === undefined) return x;
  return mul(x, reshape(powers(decay, ages), [decay.shape[0]!, 1, ages.shape[0]!, 1]));
}

/** What earlier chunks left, as the first position of each finds it: foundᵢ₊₁ = γ^size foundᵢ + leftᵢ, from zeros. */
function carried(left: Tensor, decay: Tensor, size: number): Tensor {
  const chunksFirst = (x: Tensor): Tensor => transpose(x, [2, 1, 0, 3, 4]);
  const sequence = chunksFirst(left); // [chunks, heads, batch, dKey, dValue]
  const fade = reshape(exp(mul(log(decay), size)), [decay.shape[0]!, 1, 1, 1]);
  const start = zeros({ dtype: left.dtype, shape: sequence.shape.slice(1) });
  const { outputs } = scan({ carry: [start], sequences: [sequence] }, ([found], [next]) => ({
    carry: [add(mul(found!, fade), next!)],
    outputs: [found!],
  }));
  return chunksFirst(outputs[0]!);
}
