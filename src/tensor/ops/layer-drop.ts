// A whole layer left out by chance: one random byte decides for the batch.
import { equalShapes } from "../dim.ts";
import { input, operation, shapeError, type Tensor } from "../graph.ts";
import { keptBytes, randomLabel } from "./dropout.ts";
import { less, where } from "./elementwise.ts";

const applyLayerDrop = operation<{ readonly rate: number }>({
  name: "layerDrop",
  type: (inputs) => {
    const [before, after, bytes] = inputs;
    if (before!.dtype !== after!.dtype || !equalShapes(before!.shape, after!.shape))
      throw shapeError("layerDrop", inputs, "a layer must leave dtype and shape as they were to be left out");
    if (bytes!.dtype !== "uint8" || !equalShapes(bytes!.shape, [1]))
      throw shapeError("layerDrop", inputs, "one random byte is wanted: uint8 [1]");
    return after!;
  },
  gradient: ({ dy, inputs: [, , bytes], attributes: { rate } }) => {
    const isKept = less(bytes!, keptBytes(rate)); // [1]
    return [where(isKept, 0, dy), where(isKept, dy, 0), undefined];
  },
  onnx: (emitter, [before, after, bytes], _, { rate }) =>
    emitter.one("Where", [emitter.one("Less", [bytes!, emitter.scalar(keptBytes(rate), "uint8")]), after!, before!]),
  samples: [
    [0, 100],
    [200, 256],
  ].map(([low, high]) => ({
    inputs: [{ shape: [2, 3] }, { shape: [2, 3] }, { shape: [1], dtype: "uint8", range: [low!, high!] as const }],
    attributes: { rate: 0.4 },
  })),
});

/**
 * What went into a layer in place of what came out, with the chance `rate` (to the nearest 1/256), for the whole batch at once;
 * nothing is scaled. Inference takes what came out. The random byte is a new input of the program.
 * Fan et al. 2019, "Reducing Transformer Depth on Demand with Structured Dropout", section 3.2.
 */
export function layerDrop(before: Tensor, after: Tensor, rate: number): Tensor {
  if (!(rate >= 0 && rate < 1))
    throw shapeError("layerDrop", [before, after], `the rate must be at least 0 and below 1, got ${rate}`);
  if (rate < 1 / 512) return after;
  return applyLayerDrop([before, after, input(randomLabel, "uint8", [1])], { rate })[0]!;
}
