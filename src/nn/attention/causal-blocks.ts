// Causal attention that leaves out most of the half that nobody may see.
import { ConfigError } from "../../base/index.ts";
import {
  add,
  addDims,
  concat,
  floorDivideDim,
  lessOrEqual,
  mulDims,
  pad,
  range,
  reshape,
  slice,
  subDims,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";
import type { Dropout } from "../dropout.ts";
import { wantCount } from "./blocks.ts";
import type { AttentionKernel, AttentionResult } from "./kernel.ts";
import { maskBias } from "./mask.ts";
import { scaledDotProduct } from "./scaled-dot-product.ts";
import type { AttentionScope } from "./scope.ts";

export interface CausalBlocksOptions {
  /** Groups of queries. Of all scores (blocks + 1) / (2 · blocks) are computed: 0.5625 with 8. */
  readonly blocks?: number;
}

/**
 * Queries in groups of equal size one after another, each multiplied only with the keys up to its end: group i of n has the
 * queries from i · ⌈time / n⌋ on. What is left out is exactly what causality hides, so this is full attention, sooner.
 * The skipping of blocks is from Dao et al. 2022, "FlashAttention", section 3.1.
 * @example new MultiHeadAttention({ dModel: 256, heads: 4, kernel: new CausalBlocksAttention({ blocks: 8 }) });
 */
export class CausalBlocksAttention implements AttentionKernel {
  readonly name = "causal-blocks";
  readonly #blocks: number;

  constructor({ blocks = 8 }: CausalBlocksOptions = {}) {
    wantCount("blocks", blocks, 1);
    this.#blocks = blocks;
  }

  attend(query: Tensor, key: Tensor, value: Tensor, scope: AttentionScope, dropout?: Dropout): AttentionResult {
    const { queryTime, keyTime, isCausal } = scope;
    if (!isCausal) {
      throw new ConfigError(
        "model.attention",
        "causal-blocks leaves out what causality hides, and here nothing is hidden. Take full or tiled attention.",
      );
    }
    const size = floorDivideDim(addDims(queryTime, this.#blocks - 1), this.#blocks);
    // Zeros fill the last group up: were it empty, the runtime's product over no rows at all would leave its result unwritten.
    const missing = subDims(mulDims(size, this.#blocks), queryTime);
    const filled = (x: Tensor, axis: number): Tensor => pad(x, { axis, after: missing });
    const earlier = subDims(keyTime, queryTime);
    const queries = { vectors: filled(query, 2), places: filled(scope.queryPositions, 0) };
    let keys: Keys = {
      key: filled(key, 2),
      value: filled(value, 2),
      places: filled(scope.keyPositions, 0),
      visible: scope.keys && filled(scope.keys, 1),
    };
    const order = range(addDims(keyTime, missing));
    const groups: Tensor[] = [];
    // From the last group back each takes its keys from those of the group after it, not from all: so its gradient is padded
    // only to their length, which halves the copying in the backward pass.
    for (let group = this.#blocks - 1; group >= 0; group--) {
      const own = { start: mulDims(size, group), end: mulDims(size, group + 1) };
      const end = addDims(earlier, own.end);
      keys = firstKeys(keys, end);
      const hidden = maskBias(
        lessOrEqual(
          reshape(slice(order, { axis: 0, end }), [1, end]),
          reshape(slice(order, { axis: 0, start: subDims(end, size), end }), [size, 1]),
        ),
      ); // [size, end]
      const bias = withPlaces(hidden, keys, slice(queries.places, { axis: 0, ...own }), scope);
      const { context } = scaledDotProduct(slice(queries.vectors, { axis: 2, ...own }), keys.key, keys.value, {
        bias,
        ...(dropout && { dropout }),
      });
      groups.unshift(context); // [batch, heads, size, dHead]
    }
    return { context: slice(concat(groups, 2), { axis: 2, end: queryTime }) };
  }
}

interface Keys {
  /** [batch, heads, keys, dHead] */
  readonly key: Tensor;
  /** [batch, heads, keys, dHead] */
  readonly value: Tensor;
  /** int32 [keys] */
  readonly places: Tensor;
  /** bool [batch, keys] */
  readonly visible: Tensor | undefined;
}

function firstKeys({ key, value, places, visible }: Keys, end: Dim): Keys {
  return {
    key: slice(key, { axis: 2, end }),
    value: slice(value, { axis: 2, end }),
    places: slice(places, { axis: 0, end }),
    visible: visible && slice(visible, { axis: 1, end }),
  };
}

/** A bias [queries, keys] with padding and places: [1 or batch, 1 or heads, queries, keys]. */
function withPlaces(causal: Tensor, { places, visible }: Keys, queryPlaces: Tensor, scope: AttentionScope): Tensor {
  const placed = scope.positions?.bias?.(queryPlaces, places); // [heads, queries, keys]
  const bias =
    visible === undefined
      ? causal
      : add(causal, maskBias(reshape(visible, [visible.shape[0]!, 1, 1, places.shape[0]!])));
  return placed === undefined ? bias : add(bias, placed);
}
