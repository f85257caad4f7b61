// First values of weights.
import type { RandomStream } from "../base/index.ts";

/** Fills `data`, an array of this shape. */
export type Initializer = (data: Float32Array, shape: readonly number[], random: RandomStream) => void;

export const zeros: Initializer = (data) => void data.fill(0);
export const ones: Initializer = (data) => void data.fill(1);

/** Normal with this standard deviation and mean 0. */
export function normal(deviation: number): Initializer {
  return (data, _, random) => {
    for (let i = 0; i < data.length; i++) data[i] = deviation * random.normal();
  };
}

/** Uniform in ±√(6 / (fan in + fan out)) for a matrix. Glorot and Bengio 2010, equation 16. `gain` multiplies the bound. */
export function xavierUniform({ gain = 1 }: { gain?: number } = {}): Initializer {
  return (data, [from = 1, to = 1], random) => {
    const bound = gain * Math.sqrt(6 / (from + to));
    for (let i = 0; i < data.length; i++) data[i] = bound * (2 * random.uniform() - 1);
  };
}
