// Taking apart and putting together: split, stack, axes of size 1, reversed and rotated axes, triangles.
import { addDims, subDims, type Dim } from "../dim.ts";
import { operation, shapeError, type Tensor } from "../graph.ts";
import { concat, reshape, resolveAxis, slice } from "./layout.ts";

/**
 * Parts of an axis, one after another: a number of equal parts, or the size of each.
 * @example
 * const [query, key, value] = split(projected, { axis: -1, parts: 3 });
 */
export function split(x: Tensor, { axis, parts }: { axis: number; parts: number | readonly Dim[] }): Tensor[] {
  const resolved = resolveAxis("split", x, axis);
  const size = x.shape[resolved]!;
  if (typeof parts === "number") {
    if (typeof size !== "number" || size % parts !== 0) {
      throw shapeError("split", [x], `axis ${axis} of size ${size} has no ${parts} equal parts; give their sizes`);
    }
    return split(x, { axis, parts: new Array<Dim>(parts).fill(size / parts) });
  }
  const total = parts.reduce<Dim>(addDims, 0);
  if (String(total) !== String(size))
    throw shapeError(
      "split",
      [x],
      `parts of ${parts.join(" + ")} = ${total} do not make up axis ${axis} of size ${size}`,
    );
  let start: Dim = 0;
  return parts.map((part) => {
    const end: Dim = addDims(start, part);
    const piece = slice(x, { axis: resolved, start, end });
    start = end;
    return piece;
  });
}

/** Tensors of one shape along a new axis. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return concat(
    tensors.map((x) => unsqueeze(x, axis)),
    axis < 0 ? axis + (tensors[0]?.rank ?? 0) + 1 : axis,
  );
}

/** A new axis of size 1, which `axis` names in the result; −1 puts it last. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = axis < 0 ? axis + x.rank + 1 : axis;
  if (!Number.isInteger(axis) || at < 0 || at > x.rank)
    throw shapeError("unsqueeze", [x], `no axis ${axis} can be added`);
  return reshape(x, x.shape.toSpliced(at, 0, 1));
}

/** Without an axis of size 1. */
export function squeeze(x: Tensor, axis: number): Tensor {
  const at = resolveAxis("squeeze", x, axis);
  if (x.shape[at] !== 1) throw shapeError("squeeze", [x], `axis ${axis} has size ${x.shape[at]}, not 1`);
  return reshape(x, x.shape.toSpliced(at, 1));
}

const applyFlip = operation<{ readonly axis: number }>({
  name: "flip",
  type: ([x]) => x!,
  gradient: ({ dy, attributes: { axis } }) => [flip(dy, axis)],
  onnx: (emitter, [x], _, { axis }) =>
    // From the last place backwards, to before the first.
    emitter.one("Slice", [
      x!,
      emitter.int64s([-1]),
      emitter.int64s([-(2 ** 31)]),
      emitter.int64s([axis]),
      emitter.int64s([-1]),
    ]),
  samples: [{ inputs: [{ shape: [2, 4, 3] }], attributes: { axis: 1 } }],
});

/** An axis in reverse order. */
export function flip(x: Tensor, axis: number): Tensor {
  return applyFlip([x], { axis: resolveAxis("flip", x, axis) })[0]!;
}

/** An axis moved on by `shift` places; what leaves at the end comes back at the start. Negative shifts move it the other way. */
export function roll(x: Tensor, shift: number, axis: number): Tensor {
  const resolved = resolveAxis("roll", x, axis);
  const size = x.shape[resolved]!;
  const places = typeof size === "number" && size > 0 ? ((shift % size) + size) % size : shift;
  if (places === 0) return x;
  const cut: Dim = places > 0 ? subDims(size, places) : -places;
  return concat([slice(x, { axis: resolved, start: cut }), slice(x, { axis: resolved, end: cut })], resolved);
}

const applyTriangle = operation<{ readonly upper: boolean; readonly diagonal: number }>({
  name: "triangle",
  type: ([x]) => {
    if (x!.shape.length < 2) throw shapeError("triangle", [x!], "at least two axes are wanted");
    return x!;
  },
  gradient: ({ dy, attributes: { upper, diagonal } }) => [
    upper ? upperTriangle(dy, diagonal) : lowerTriangle(dy, diagonal),
  ],
  onnx: (emitter, [x], _, { upper, diagonal }) =>
    emitter.one("Trilu", [x!, emitter.scalar(diagonal, "int64")], { attributes: { upper: { int: upper ? 1 : 0 } } }),
  samples: [
    { inputs: [{ shape: [3, 4] }], attributes: { upper: false, diagonal: 0 } },
    { inputs: [{ shape: [2, 3, 3] }], attributes: { upper: true, diagonal: 1 } },
  ],
});

/** Zeros above a diagonal of the last two axes: what stays has column ≤ row + diagonal. */
export function lowerTriangle(x: Tensor, diagonal = 0): Tensor {
  return applyTriangle([x], { upper: false, diagonal })[0]!;
}

/** Zeros below a diagonal of the last two axes: what stays has column ≥ row + diagonal. */
export function upperTriangle(x: Tensor, diagonal = 0): Tensor {
  return applyTriangle([x], { upper: true, diagonal })[0]!;
}
