// Blocks that see their neighbours, the first blocks and a few at random.
import { ConfigError } from "../../base/index.ts";
import {
  abs,
  and,
  concat,
  div,
  equal,
  expand,
  floorDivideDim,
  addDims,
  gather,
  less,
  lessOrEqual,
  or,
  range,
  reshape,
  slice,
  stack,
  sub,
  type Tensor,
} from "../../tensor/index.ts";
import type { Dropout } from "../dropout.ts";
import { attendBlocks, BlockLayout, wantCount, wantSelfAttention, type KeyPart } from "./blocks.ts";
import type { AttentionKernel, AttentionResult, PatternQuestion } from "./kernel.ts";
import { attendFromLeading, leadingKeys, replaceLeading } from "./leading-places.ts";
import { RandomBlocks } from "./random-blocks.ts";
import type { AttentionScope } from "./scope.ts";
import { pairsOf } from "./sliding-window.ts";

export interface BigBirdOptions {
  /** Positions of a block. */
  readonly block?: number;
  /** Blocks that a block sees at random. */
  readonly randomBlocks?: number;
  /** Blocks at the front that see and are seen from everywhere. */
  readonly globalBlocks?: number;
  /** Neighbouring blocks that a block sees, itself in the middle: an odd number. */
  readonly windowBlocks?: number;
  /** Names the draw of random blocks. */
  readonly seed?: number;
}

/**
 * Query i sees key j where their blocks are neighbours, one of them is among the first `globalBlocks`, or j's block was drawn
 * for i's. Under causality what lies ahead is hidden and only blocks before are drawn. All heads share one draw. Without
 * causality it depends on how many blocks there are, padding included.
 * Zaheer et al. 2020, "Big Bird: Transformers for Longer Sequences", section 2 and appendix D.
 * @example
 * const kernel = new BigBirdAttention({ block: 32, randomBlocks: 2 });
 * new MultiHeadAttention({ dModel: 256, heads: 4, kernel });
 */
export class BigBirdAttention implements AttentionKernel {
  readonly name = "bigbird";
  readonly block: number;
  readonly globalBlocks: number;
  /** Blocks seen on each side. */
  readonly #neighbours: number;
  readonly #random: RandomBlocks;

  constructor({ block = 64, randomBlocks = 2, globalBlocks = 1, windowBlocks = 3, seed = 1 }: BigBirdOptions = {}) {
    wantCount("block", block, 1);
    wantCount("randomBlocks", randomBlocks, 0);
    wantCount("globalBlocks", globalBlocks, 0);
    wantCount("windowBlocks", windowBlocks, 1);
    wantCount("seed", seed, 0);
    if (windowBlocks % 2 === 0) {
      throw new ConfigError(
        "model.attention.windowBlocks",
        `an odd number is wanted, as many blocks on either side of a block's own, got ${windowBlocks}. ${windowBlocks - 1} or ${windowBlocks + 1} would do.`,
      );
    }
    this.block = block;
    this.globalBlocks = globalBlocks;
    this.#neighbours = (windowBlocks - 1) / 2;
    this.#random = new RandomBlocks({ count: randomBlocks, globalBlocks, neighbours: this.#neighbours, seed });
  }

  attend(query: Tensor, key: Tensor, value: Tensor, scope: AttentionScope, dropout?: Dropout): AttentionResult {
    wantSelfAttention(this.name, scope);
    const { block } = this;
    const layout = new BlockLayout({ time: scope.queryTime, block });
    const parts = [this.#neighbourKeys(layout, scope.isCausal), ...this.#drawnKeys(layout, scope.isCausal)];
    const places = this.globalBlocks * block;
    if (places > 0) {
      const isElsewhere = (queries: Tensor, keys: Tensor): Tensor =>
        this.#areNeighbours(div(queries, block), div(keys, block));
      parts.push(leadingKeys(layout, scope, { places, isElsewhere }));
    }
    const local = attendBlocks({ query, key, value, scope, layout, parts, dropout });
    const context =
      scope.isCausal || places === 0
        ? local
        : replaceLeading(
            local,
            attendFromLeading({ query, key, value, scope, layout, places, dropout }),
            layout.leastTime,
          );
    return { context: slice(context, { axis: 2, end: scope.queryTime }) };
  }

  keeps({ queryPositions, keyPositions, isCausal, keyTime }: PatternQuestion): Tensor {
    const [queries, keys] = pairsOf(div(queryPositions, this.block), div(keyPositions, this.block));
    const blocks = floorDivideDim(addDims(keyTime, this.block - 1), this.block);
    const isGlobal = or(less(queries, this.globalBlocks), less(keys, this.globalBlocks));
    const drawn = this.#random.draw(queries, blocks, isCausal);
    return drawn.reduce(
      (kept, { block, isDrawn }) => or(kept, and(equal(keys, block), isDrawn)),
      or(this.#areNeighbours(queries, keys), isGlobal),
    );
  }

  #areNeighbours(queryBlocks: Tensor, keyBlocks: Tensor): Tensor {
    return lessOrEqual(abs(sub(queryBlocks, keyBlocks)), this.#neighbours);
  }

  #neighbourKeys(layout: BlockLayout, isCausal: boolean): KeyPart {
    const before = this.#neighbours;
    const after = isCausal ? 0 : before;
    const width = (before + 1 + after) * this.block;
    const queries = reshape(range(this.block), [1, 1, this.block, 1]);
    const keys = reshape(sub(range(width), before * this.block), [1, 1, 1, width]); // counted from the first query
    return {
      gather: (x, axis) => layout.neighbourhoods(x, axis, { before, after }),
      pairs: lessOrEqual(keys, isCausal ? queries : width),
    };
  }

  /** The blocks drawn at random; none of them is a neighbour or global, and under causality each lies before. */
  #drawnKeys(layout: BlockLayout, isCausal: boolean): KeyPart[] {
    const { count, block } = layout;
    const drawn = this.#random.draw(range(count), count, isCausal);
    const draws = drawn.length;
    if (draws === 0) return [];
    const ids = drawn.map((draw) => draw.block);
    const areDrawn = drawn.map(({ isDrawn }) => expand(reshape(isDrawn, [1, count, 1, 1]), [1, count, 1, block]));
    return [
      {
        gather: (x, axis) => {
          const [leading, trailing] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
          const chosen = gather(layout.blocks(x, axis), stack(ids, 1), axis + 1); // [.., 1, count, draws, block, ..]
          return reshape(chosen, [...leading, 1, count, draws * block, ...trailing]);
        },
        pairs: concat(areDrawn, 3),
      },
    ];
  }
}
