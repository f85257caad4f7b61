// Attention to the neighbourhood: time and memory grow with the length, not with its square.
import {
  abs,
  and,
  equal,
  greaterOrEqual,
  less,
  mod,
  or,
  range,
  reshape,
  slice,
  sub,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";
import type { Dropout } from "../dropout.ts";
import { attendBlocks, BlockLayout, wantCount, wantSelfAttention, type KeyPart } from "./blocks.ts";
import type { AttentionKernel, AttentionResult, PatternQuestion } from "./kernel.ts";
import { leadingKeys } from "./leading-places.ts";
import type { AttentionScope } from "./scope.ts";

export interface WindowOptions {
  /** Keys that a query sees on each side, its own place counted: with 1 only itself. */
  readonly window: number;
  /** Distance between these keys. */
  readonly dilation: number;
}

export interface SlidingWindowOptions extends Partial<WindowOptions> {
  /**
   * The first places that every query sees besides, the attention sinks of Xiao et al. 2023, "Efficient Streaming Language
   * Models with Attention Sinks".
   */
  readonly sinks?: number;
}

/**
 * Query i sees key j where |i − j| < window, and under causality where besides j ≤ i: the last `window` keys. With a dilation d
 * where |i − j| < window · d and d divides i − j. Layers add up: after n of them a place has heard from n · (window − 1) places
 * before it. Beltagy et al. 2020, "Longformer", section 3.1 (whose window of w is w/2 to each side); Jiang et al. 2023,
 * "Mistral 7B", section 2, for the causal form.
 * @example new MultiHeadAttention({ dModel: 256, heads: 4, kernel: new SlidingWindowAttention({ window: 64 }) });
 */
export class SlidingWindowAttention implements AttentionKernel {
  readonly name = "sliding-window";
  readonly window: number;
  readonly dilation: number;
  readonly sinks: number;

  constructor({ window = 128, dilation = 1, sinks = 0 }: SlidingWindowOptions = {}) {
    wantCount("window", window, 1);
    wantCount("dilation", dilation, 1);
    wantCount("sinks", sinks, 0);
    this.window = window;
    this.dilation = dilation;
    this.sinks = sinks;
  }

  get reach(): { readonly sinks: number; readonly window: number } {
    return { sinks: this.sinks, window: this.window * this.dilation };
  }

  get isRelative(): boolean {
    return this.sinks === 0;
  }

  attend(query: Tensor, key: Tensor, value: Tensor, scope: AttentionScope, dropout?: Dropout): AttentionResult {
    wantSelfAttention(this.name, scope);
    const layout = windowLayout(this, scope.queryTime);
    const parts = [windowKeys(this, layout, scope.isCausal)];
    if (this.sinks > 0) {
      const isElsewhere = (queries: Tensor, keys: Tensor): Tensor => isInWindow(this, queries, keys);
      parts.push(leadingKeys(layout, scope, { places: this.sinks, isElsewhere }));
    }
    const context = attendBlocks({ query, key, value, scope, layout, parts, dropout });
    return { context: slice(context, { axis: 2, end: scope.queryTime }) };
  }

  keeps({ queryPositions, keyPositions }: PatternQuestion): Tensor {
    const [queries, keys] = pairsOf(queryPositions, keyPositions);
    const near = isInWindow(this, queries, keys);
    return this.sinks === 0 ? near : or(near, less(keys, this.sinks));
  }
}

/** Positions [.., queryTime] and [.., keyTime] → [.., queryTime, 1] and [.., 1, keyTime]. */
export function pairsOf(queryPositions: Tensor, keyPositions: Tensor): readonly [Tensor, Tensor] {
  const keyTime = keyPositions.shape.at(-1)!;
  return [
    reshape(queryPositions, [...queryPositions.shape, 1]),
    reshape(keyPositions, [...keyPositions.shape.slice(0, -1), 1, keyTime]),
  ];
}

/** Positions that broadcast → bool: are they within a window of each other? */
export function isInWindow({ window, dilation }: WindowOptions, queries: Tensor, keys: Tensor): Tensor {
  const distance = abs(sub(queries, keys));
  const near = less(distance, window * dilation);
  return dilation === 1 ? near : and(near, equal(mod(distance, dilation), 0));
}

/**
 * The layout in which a window is cheap: a block is about half a window, so that the window's keys are few more than it needs, but
 * no smaller than products run well on, and no larger than short sequences bear to be filled up to.
 */
export function windowLayout({ window, dilation }: WindowOptions, time: Dim): BlockLayout {
  const half = 2 ** Math.round(Math.log2(window / 2));
  const block = Math.min(256, Math.max(32, half));
  return new BlockLayout({ time, block, dilation });
}
/** The keys of a window: a query's own block and as many around it as the window reaches into. */
export function windowKeys({ window }: WindowOptions, layout: BlockLayout, isCausal: boolean): KeyPart {
  const { block } = layout;
  const before = Math.ceil((window - 1) / block);
  const after = isCausal ? 0 : before;
  // Whatever the block, offsets from the first key before it.
  const width = (before + 1 + after) * block;
  const queries = reshape(slice(range((before + 1) * block), { axis: 0, start: before * block }), [1, 1, block, 1]);
  const distance = sub(queries, reshape(range(width), [1, 1, 1, width]));
  const near = less(abs(distance), window);
  return {
    gather: (x, axis) => layout.neighbourhoods(x, axis, { before, after }),
    pairs: isCausal ? and(near, greaterOrEqual(distance, 0)) : near,
  };
}
