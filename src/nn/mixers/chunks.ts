// Time cut into stretches of one length, so that what is quadratic stays inside a stretch.
import {
  addDims,
  floorDivideDim,
  mulDims,
  pad,
  reshape,
  slice,
  subDims,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";

/** The axis of time in stretches of `size`, the last filled up with zeros: [.., time, ..] → [.., ⌈time / size⌉, size, ..]. */
export function splitChunks(x: Tensor, axis: number, size: number): Tensor {
  const time = x.shape[axis]!;
  const chunks = floorDivideDim(addDims(time, size - 1), size);
  const filled = pad(x, { axis, after: subDims(mulDims(chunks, size), time) });
  return reshape(filled, x.shape.toSpliced(axis, 1, chunks, size));
}

/** The stretches one after another, without what filled up the last: [.., chunks, size, ..] → [.., time, ..]. */
export function joinChunks(x: Tensor, axis: number, time: Dim): Tensor {
  const whole = mulDims(x.shape[axis]!, x.shape[axis + 1]!);
  return slice(reshape(x, x.shape.toSpliced(axis, 2, whole)), { axis, end: time });
}
