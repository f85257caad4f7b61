// Shapes that meet elementwise: aligned at the last axis, where sizes are equal or one of them is 1.
import { equalDims, type Shape } from "./dim.ts";

export type Broadcast = { readonly shape: Shape } | { readonly offendingAxis: number };

/** The common shape, or the axis (counted from the end, −1 is the last) on which the shapes do not meet. */
export function broadcast(a: Shape, b: Shape): Broadcast {
  const rank = Math.max(a.length, b.length);
  const shape = [];
  for (let fromEnd = rank; fromEnd >= 1; fromEnd--) {
    const left = a[a.length - fromEnd] ?? 1;
    const right = b[b.length - fromEnd] ?? 1;
    if (left === 1) shape.push(right);
    else if (right === 1 || equalDims(left, right)) shape.push(left);
    else return { offendingAxis: -fromEnd };
  }
  return { shape };
}
