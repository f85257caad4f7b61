// A run whose loss or gradient is no longer a finite number: it is stopped, and the error says where to look.
import { HeddleError, type HostTensor } from "../base/index.ts";

/** Where a run diverged. */
export interface Divergence {
  readonly step: number;
  readonly loss: number;
  readonly gradientNorm: number;
  /** What the update learnt from, for example "train.en, lines 17, 4, 233". */
  readonly lines: string;
  /** The parameter with the largest gradient; one that is not finite comes before all that are. */
  readonly parameter: string;
  /** Its largest gradient by magnitude. */
  readonly gradient: number;
}

/** Thrown by the loop before an update that would have spoilt the weights. */
export class DivergenceError extends HeddleError implements Divergence {
  override name = "DivergenceError";
  readonly step: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly lines: string;
  readonly parameter: string;
  readonly gradient: number;

  constructor({ step, loss, gradientNorm, lines, parameter, gradient }: Divergence) {
    super(
      `step ${step}: the loss is ${loss}, the norm of the gradient ${gradientNorm}; both must be finite. ` +
        `The batch: ${lines}. The largest gradient: ${gradient} in ${parameter}. ` +
        "Nothing of this step was saved. Lower the learning rate, lengthen the warm-up or clip the gradient's norm, " +
        "and go on from the last checkpoint; if the loss itself came out so at the first steps, look at these lines.",
    );
    this.step = step;
    this.loss = loss;
    this.gradientNorm = gradientNorm;
    this.lines = lines;
    this.parameter = parameter;
    this.gradient = gradient;
  }
}

/** The largest gradient by magnitude and its parameter; the first that is not finite, if one is not. */
export function largestGradient(gradients: Readonly<Record<string, HostTensor<"float32">>>): {
  parameter: string;
  gradient: number;
} {
  let largest = { parameter: "no parameter", gradient: 0 };
  for (const [parameter, { data }] of Object.entries(gradients)) {
    for (const gradient of data) {
      if (!Number.isFinite(gradient)) return { parameter, gradient };
      if (Math.abs(gradient) > Math.abs(largest.gradient)) largest = { parameter, gradient };
    }
  }
  return largest;
}
