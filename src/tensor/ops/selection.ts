// Choosing by a mask: how many are chosen is known only when the program runs, so the choice brings a size of its own.
import { dataDim, type Dim } from "../dim.ts";
import { operation, shapeError, type Tensor } from "../graph.ts";

interface TrueIndicesAttributes {
  readonly [key: string]: unknown;
  readonly count: Dim;
}

const applyTrueIndices = operation<TrueIndicesAttributes>({
  name: "trueIndices",
  type: ([mask], { count }) => {
    if (mask!.dtype !== "bool" || mask!.shape.length !== 1)
      throw shapeError("trueIndices", [mask!], "a mask of one axis is wanted: bool [n]");
    return { dtype: "int64", shape: [count] };
  },
  onnx: (emitter, [mask], _, { count }) => {
    const found = emitter.one("NonZero", [mask!]); // [1, count]
    emitter.giveSize(count, { value: found, axis: 1 });
    return emitter.one("Squeeze", [found, emitter.int64s([0])]);
  },
  // No sample can state how many values of a random mask are true, so here all are.
  samples: [{ inputs: [{ shape: [3], dtype: "bool", range: [1, 2] }], attributes: { count: 3 } }],
});

/**
 * Where a mask is true, in rising order: bool [n] → int64 [count], whose one size is a new name that the program finds out as it
 * runs. `atMost`, if more is known than n, limits the random bytes that dropout asks for over arrays of this size.
 * @example
 * const chosen = trueIndices(greater(score, 0)); // score [n]
 * const rows = gather(x, chosen);                // x [n, width] → [count, width]
 */
export function trueIndices(mask: Tensor, { atMost = mask.shape[0] ?? 0 }: { atMost?: Dim } = {}): Tensor {
  return applyTrueIndices([mask], { count: dataDim("chosen", atMost) })[0]!;
}
