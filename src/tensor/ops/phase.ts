// One value while training, another for inference: which of the two it is, a rewrite of the graph decides.
import { equalShapes } from "../dim.ts";
import { operation, shapeError, type Tensor } from "../graph.ts";

const applyPhase = operation({
  name: "phase",
  type: (inputs) => {
    const [training, inference] = inputs;
    if (training!.dtype !== inference!.dtype || !equalShapes(training!.shape, inference!.shape))
      throw shapeError("phase", inputs, "both must have the same dtype and the same shape");
    return training!;
  },
  gradient: ({ dy }) => [dy, undefined],
  onnx: (_, [training]) => training!,
  // Inference is not computed in training, and what it alone depends on is no input of the program.
  idle: () => [1],
  samples: [{ inputs: [{ shape: [2, 3] }, { shape: [2, 3] }] }],
});

/**
 * `training`, value and gradient, in a program as it was traced; `inference` once `withoutDropout` has rewritten it. The two
 * have one dtype and one shape. The one that is not taken costs nothing: neither its operations nor its inputs are part of
 * the program.
 * @example
 * const mean = phase(batchMean, runningMean.value);
 */
export function phase(training: Tensor, inference: Tensor): Tensor {
  return applyPhase([training, inference], {})[0]!;
}
