// How far each key stands from each query.
import { ShapeError } from "../../base/index.ts";
import { formatShape, reshape, sub, type Tensor } from "../../tensor/index.ts";

/** Key's place − query's place: int32 [.., queryTime] and [.., keyTime] → [.., queryTime, keyTime]; leading axes broadcast. */
export function distances(queryPositions: Tensor, keyPositions: Tensor): Tensor {
  for (const { rank, dtype, shape } of [queryPositions, keyPositions]) {
    if (rank >= 1 && dtype === "int32") continue;
    throw new ShapeError(`positions: int32 [.., time] are wanted (got ${dtype} ${formatShape(shape)})`);
  }
  return sub(
    reshape(keyPositions, keyPositions.shape.toSpliced(-1, 0, 1)),
    reshape(queryPositions, [...queryPositions.shape, 1]),
  );
}
