// How a stored tensor lies in comparison with our parameter, and the way there and back.
import { elementCount, type HostTensor } from "../base/index.ts";
import type { HubWeight } from "./family.ts";

/** Shape of the stored tensor that holds a parameter of this shape. */
export function storedDims(
  { transpose = false, skipRows = 0, squeeze = false, part }: HubWeight,
  shape: readonly number[],
): readonly number[] {
  const whole = [...shape.slice(0, -1), shape.at(-1)! * (part?.of ?? 1)];
  whole[0]! += skipRows;
  if (transpose) return whole.toReversed();
  return squeeze ? [1, ...whole] : whole;
}

/** A stored tensor's values as our parameter of this shape. */
export function fromStored(weight: HubWeight, shape: readonly number[], stored: Float32Array): HostTensor<"float32"> {
  if (liesAlike(weight)) return { dtype: "float32", dims: shape, data: stored };
  const data = new Float32Array(elementCount(shape));
  const { factor = 1 } = weight;
  eachPlace(weight, shape, (ours, theirs) => (data[ours] = factor * stored[theirs]!));
  return { dtype: "float32", dims: shape, data };
}

/** Puts our parameter where it belongs in a stored tensor. */
export function intoStored(
  weight: HubWeight,
  shape: readonly number[],
  data: ArrayLike<number>,
  stored: Float32Array,
): void {
  const { factor = 1 } = weight;
  eachPlace(weight, shape, (ours, theirs) => (stored[theirs] = data[ours]! / factor));
}

function liesAlike({ transpose = false, skipRows = 0, part, factor = 1 }: HubWeight): boolean {
  return !transpose && skipRows === 0 && part === undefined && factor === 1;
}

/** Goes over a parameter, seen as [rows, columns], and says where each value is stored. */
function eachPlace(
  { transpose = false, skipRows = 0, part }: HubWeight,
  shape: readonly number[],
  meet: (ours: number, theirs: number) => void,
): void {
  const columns = shape.at(-1)!;
  const rows = elementCount(shape) / columns;
  const { index = 0, of = 1, groups = 1 } = part ?? {};
  const size = columns / groups;
  for (let column = 0; column < columns; column++) {
    const theirs = Math.floor(column / size) * of * size + index * size + (column % size);
    for (let row = 0; row < rows; row++)
      meet(row * columns + column, transpose ? theirs * rows + row : (row + skipRows) * columns * of + theirs);
  }
}
