// The coverage penalty: outputs that pass over words of the source score lower.
import { ConfigError } from "../base/index.ts";
import type { Step, Stepper } from "./stepper.ts";

/** A source token that nothing looked at would cost an infinity; so it counts as looked at this much. */
const leastAttention = 1e-10;

/**
 * weight · Σᵢ log(min(Σⱼ pᵢⱼ, 1)), where pᵢⱼ is how much the step that wrote target token j looked at source token i. Wu et
 * al. 2016, "Google's Neural Machine Translation System", section 7, equation 14 (weight: their β, 0.2).
 */
export class CoveragePenalty {
  readonly #stepper: Stepper;
  readonly #weight: number;
  #sourceTime = 0;
  #lengths: Int32Array = new Int32Array(0);
  /** Σⱼ pᵢⱼ of the rows of the last step [rows, sourceTime]. */
  #sums = new Float32Array(0);
  #sentenceOfRow = new Int32Array(0);

  constructor(stepper: Stepper, weight: number) {
    if (!(weight >= 0)) throw new ConfigError("coveragePenalty", `expected a number of at least 0, got ${weight}.`);
    if (stepper.attention === undefined) {
      throw new ConfigError(
        "coveragePenalty",
        "this model does not show where its steps look in the source. Leave the penalty out, or start the model so that it does.",
      );
    }
    this.#stepper = stepper;
    this.#weight = weight;
  }

  /** Adds where the rows of the step that was just scored looked. */
  look({ sentences, beams, parents }: Step, stepIndex: number): void {
    // Called on the stepper: a detached method would lose `this`.
    const { sourceTime, lengths, weights } = this.#stepper.attention!();
    const before = this.#sums;
    const sums = weights.slice(0, parents.length * sourceTime);
    if (stepIndex > 0) {
      for (const [row, parent] of parents.entries()) {
        if (parent < 0) continue; // joins with this step
        // Where sentences join or leave, the longest source may be another one.
        for (let i = 0; i < Math.min(sourceTime, this.#sourceTime); i++)
          sums[row * sourceTime + i]! += before[parent * this.#sourceTime + i]!;
      }
    }
    this.#sums = sums;
    this.#sourceTime = sourceTime;
    this.#lengths = lengths;
    this.#sentenceOfRow = Int32Array.from(parents, (_, row) => sentences[Math.floor(row / beams)]!);
  }

  /** The penalty, at most 0, of a hypothesis that continues this row of the last step. */
  readonly of = (row: number): number => {
    const length = this.#lengths[this.#sentenceOfRow[row]!]!;
    let sum = 0;
    for (let i = row * this.#sourceTime; i < row * this.#sourceTime + length; i++) {
      sum += Math.log(Math.min(Math.max(this.#sums[i]!, leastAttention), 1));
    }
    return this.#weight * sum;
  };
}
