// Attention where each block of queries has keys of its own, a fixed number of them: what sparse patterns compute.
import { ConfigError, ShapeError } from "../../base/index.ts";
import {
  add,
  addDims,
  concat,
  equalDims,
  expand,
  floorDivideDim,
  greaterOrEqual,
  mulDims,
  pad,
  reshape,
  slice,
  subDims,
  transpose,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";
import type { Dropout } from "../dropout.ts";
import { maskBias } from "./mask.ts";
import { scaledDotProduct } from "./scaled-dot-product.ts";
import type { AttentionScope } from "./scope.ts";

export interface BlockLayoutOptions {
  /** Positions of the sequence. */
  time: Dim;
  /** Positions of a block. */
  block: number;
  /** Blocks are made of every dilation-th position. */
  dilation?: number;
}

/**
 * A sequence cut into blocks. With a dilation d it is first dealt out into d interleaved ones: position p is number ⌊p/d⌋ of
 * sequence p mod d. Where the length is no multiple of a block, zeros follow.
 */
export class BlockLayout {
  readonly time: Dim;
  readonly block: number;
  readonly dilation: number;
  /** Blocks of each interleaved sequence, at least 1. */
  readonly count: Dim;

  constructor({ time, block, dilation = 1 }: BlockLayoutOptions) {
    this.time = time;
    this.block = block;
    this.dilation = dilation;
    this.count = floorDivideDim(addDims(time, block * dilation - 1), block * dilation);
  }

  /** Positions with the zeros that follow. */
  get paddedTime(): Dim {
    return mulDims(this.count, this.block * this.dilation);
  }

  /** The least that paddedTime can be. */
  get leastTime(): number {
    return this.block * this.dilation;
  }

  /** [.., time, ..] → [.., before + paddedTime + after, ..], zeros on both sides. */
  filled(x: Tensor, axis: number, { before = 0, after = 0 }: { before?: number; after?: number } = {}): Tensor {
    return pad(x, { axis, before, after: addDims(subDims(this.paddedTime, this.time), after) });
  }

  /** [.., time, ..] → [.., dilation, before + count + after, block, ..], blocks of zeros on both sides. */
  blocks(x: Tensor, axis: number, { before = 0, after = 0 }: { before?: number; after?: number } = {}): Tensor {
    const { block, dilation } = this;
    const [leading, trailing] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
    const whole = this.filled(x, axis, { before: before * block * dilation, after: after * block * dilation });
    const count = addDims(this.count, before + after);
    const dealt = swapAxes(reshape(whole, [...leading, mulDims(count, block), dilation, ...trailing]), axis);
    return reshape(dealt, [...leading, dilation, count, block, ...trailing]);
  }

  /** [.., time, ..] → [.., dilation, count, (before + 1 + after) · block, ..]: each block between its neighbours. */
  neighbourhoods(x: Tensor, axis: number, { before, after }: { before: number; after: number }): Tensor {
    const blocks = this.blocks(x, axis, { before, after });
    const shifted = Array.from({ length: before + 1 + after }, (_, shift) =>
      slice(blocks, { axis: axis + 1, start: shift, end: addDims(this.count, shift) }),
    );
    return concat(shifted, axis + 2);
  }

  /** [.., dilation, count, block, ..] → [.., paddedTime, ..] */
  inOrder(x: Tensor, axis: number): Tensor {
    const [leading, trailing] = [x.shape.slice(0, axis), x.shape.slice(axis + 3)];
    const dealt = reshape(x, [...leading, this.dilation, mulDims(this.count, this.block), ...trailing]);
    return reshape(swapAxes(dealt, axis), [...leading, this.paddedTime, ...trailing]);
  }
}

/** Swaps an axis with the one after it; nothing moves where one of them has size 1. */
function swapAxes(x: Tensor, axis: number): Tensor {
  const { shape } = x;
  const swapped = shape.with(axis, shape[axis + 1]!).with(axis + 1, shape[axis]!);
  if (shape[axis] === 1 || shape[axis + 1] === 1) return reshape(x, swapped);
  const axes = shape.map((_, i) => i);
  return transpose(x, axes.with(axis, axis + 1).with(axis + 1, axis));
}

/** Keys that stand before each block of queries. */
export interface KeyPart {
  /** [.., time, ..] → [.., dilation, count, keys, ..]; zeros (false) where there is no such position. */
  gather(x: Tensor, axis: number): Tensor;
  /**
   * Which of them each query sees, causality included: bool, broadcasts to [dilation, count, block, keys]. No pair may be kept by two parts.
   */
  readonly pairs: Tensor;
}

export interface BlockAttentionOptions {
  query: Tensor;
  key: Tensor;
  value: Tensor;
  scope: AttentionScope;
  layout: BlockLayout;
  parts: readonly KeyPart[];
  dropout?: Dropout | undefined;
}

/**
 * Attention of each block of queries to its parts of the keys, side by side.
 * query, key and value [batch, heads, time, dHead] → [batch, heads, paddedTime, dHead]; what follows `time` means nothing.
 */
export function attendBlocks({ query, key, value, scope, layout, parts, dropout }: BlockAttentionOptions): Tensor {
  const gather = (x: Tensor, axis: number): Tensor =>
    concat(
      parts.map((part) => part.gather(x, axis)),
      axis + 2,
    );
  const { dilation, count, block } = layout;
  const visible = gather(scope.keys ?? everyKey(scope), 1); // [1 or batch, dilation, count, keys]
  const [batch, , , keys] = visible.shape as readonly [Dim, number, Dim, number];
  const pairs =
    parts.length === 1
      ? parts[0]!.pairs
      : concat(
          parts.map(({ pairs }) => expand(pairs, [dilation, count, block, pairs.shape.at(-1)!])),
          3,
        );
  let bias = add(maskBias(pairs), maskBias(reshape(visible, [batch, 1, dilation, count, 1, keys])));
  const queryPositions = layout.blocks(scope.queryPositions, 0); // [dilation, count, block]
  const placed = scope.positions?.bias?.(queryPositions, gather(scope.keyPositions, 0)); // [heads, dilation, count, block, keys]
  if (placed !== undefined) bias = add(bias, placed);
  const { context } = scaledDotProduct(layout.blocks(query, 2), gather(key, 2), gather(value, 2), {
    bias,
    ...(dropout && { dropout }),
  });
  return layout.inOrder(context, 2);
}

/** true for each key: bool [1, keyTime]. */
function everyKey({ keyPositions, keyTime }: AttentionScope): Tensor {
  return reshape(greaterOrEqual(keyPositions, 0), [1, keyTime]);
}

/** Patterns are about places in one sequence. */
export function wantSelfAttention(name: string, { queryTime, keyTime }: AttentionScope): void {
  if (equalDims(queryTime, keyTime)) return;
  throw new ShapeError(
    `${name} attention: a sequence that looks at itself is wanted, got ${queryTime} queries and ${keyTime} keys. Take full attention where one sequence looks at another.`,
  );
}

/** An option that counts something. */
export function wantCount(option: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw new ConfigError(`model.attention.${option}`, `a whole number of at least ${least} is wanted, got ${value}`);
}
