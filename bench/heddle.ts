// Heddle's side of the comparison.
import type { DecodingBenchmark, TrainingBenchmark } from "./cases.ts";
import type { MatrixProduct } from "./products.ts";

/** One training step on one batch of random tokens, ready to be repeated. */
export interface TrainingCase {
  /** Forward, backward, Adam (β 0.9, 0.98), and the loss read back, as the opponent does. */
  step(): Promise<void>;
  /** The products of the traced step (`productsOf`); those that the sizes imply where it is left out. */
  products?(): readonly MatrixProduct[];
  dispose(): Promise<void>;
}

/** One batch of random sources, decoded to exactly `outputTime` tokens a sentence. */
export interface DecodingCase {
  /** The whole work: reading the source, then every step. */
  decode(): Promise<void>;
  products?(): readonly MatrixProduct[];
  dispose(): Promise<void>;
}

export async function trainingCase(benchmark: TrainingBenchmark, threads: number): Promise<TrainingCase> {
  throw new Error(`bench/heddle.ts: no training step is connected yet (${benchmark.name}, ${threads} threads)`);
}

export async function decodingCase(benchmark: DecodingBenchmark, threads: number): Promise<DecodingCase> {
  throw new Error(`bench/heddle.ts: no decoder is connected yet (${benchmark.name}, ${threads} threads)`);
}
