// Which blocks a block sees at random: drawn in the program from a fixed table, so that one program serves every length.
import { hostTensor, randomKey, RandomStream } from "../../base/index.ts";
import {
  add,
  addDims,
  cast,
  constant,
  div,
  gather,
  greater,
  greaterOrEqual,
  less,
  maximum,
  minimum,
  mod,
  mul,
  range,
  slice,
  sub,
  where,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";

export interface RandomBlocksOptions {
  /** Blocks drawn for each block. */
  readonly count: number;
  /** The first blocks, which are not drawn. */
  readonly globalBlocks: number;
  /** Neighbours on each side, which are not drawn either. */
  readonly neighbours: number;
  readonly seed: number;
}

/** One block drawn for each query block. */
export interface DrawnBlock {
  /** int32, of the shape of the query blocks; 0 where nothing is drawn. */
  readonly block: Tensor;
  /** Whether there was a block left to draw; bool. */
  readonly isDrawn: Tensor;
}

/** Rows of the table. It is gone through again and again, with other blocks to choose from each time. */
const tableRows = 1024;
/** Words of 16 bits times a number of blocks below 2¹⁵ stay within int32. */
const wordRange = 2 ** 16;

export class RandomBlocks {
  readonly #options: RandomBlocksOptions;
  /** For each draw a word a query block: int32 [tableRows]. */
  readonly #words: readonly Tensor[];

  constructor(options: RandomBlocksOptions) {
    this.#options = options;
    this.#words = Array.from({ length: options.count }, (_, draw) => {
      const random = new RandomStream(randomKey(options.seed, draw));
      return constant(
        hostTensor(
          "int32",
          [tableRows],
          Int32Array.from({ length: tableRows }, () => random.word() >>> 16),
        ),
      );
    });
  }

  /**
   * Draws without replacement from the blocks that are neither global nor neighbours, and under causality lie before. Query
   * blocks are int32 of any shape, `blocks` is how many there are.
   */
  draw(queryBlocks: Tensor, blocks: Dim, isCausal: boolean): DrawnBlock[] {
    const { globalBlocks, neighbours } = this.#options;
    // Left to choose from: [globalBlocks, query block − neighbours) and, without causality, [later, blocks).
    const before = maximum(sub(queryBlocks, neighbours + globalBlocks), 0);
    const later = maximum(add(queryBlocks, neighbours + 1), globalBlocks);
    const choices = isCausal ? before : add(before, maximum(sub(numberOf(blocks), later), 0));
    const row = mod(queryBlocks, tableRows);
    let taken: Tensor[] = []; // in rising order
    return this.#words.map((words, draw) => {
      // One of those that are left, counted without the ones taken: ⌊word · left / 2¹⁶⌋, then past each that lies below.
      const left = maximum(sub(choices, draw), 0);
      let choice = div(mul(gather(words, row), left), wordRange);
      for (const earlier of taken) choice = add(choice, cast(greaterOrEqual(choice, earlier), "int32"));
      taken = inserted(taken, choice);
      const block = where(less(choice, before), add(choice, globalBlocks), add(sub(choice, before), later));
      const isDrawn = greater(choices, draw);
      return { block: where(isDrawn, block, 0), isDrawn };
    });
  }
}

/** A size as int32 [1]. */
function numberOf(size: Dim): Tensor {
  return slice(range(addDims(size, 1)), { axis: 0, start: size });
}

/** Tensors in rising order with one more, element by element. */
function inserted(sorted: readonly Tensor[], next: Tensor): Tensor[] {
  let moving = next;
  const smaller = sorted.map((value) => {
    const least = minimum(value, moving);
    moving = maximum(value, moving);
    return least;
  });
  return [...smaller, moving];
}
