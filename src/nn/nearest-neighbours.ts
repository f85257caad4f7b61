// Which rows of an embedding point the same way.
import { type HostTensor } from "../base/index.ts";

export interface NearestNeighboursOptions {
  /** The row whose neighbours are wanted; it is none of them. */
  of: number;
  count?: number;
  /** Rows that may be neighbours; all if not said. */
  among?: (row: number) => boolean;
}

export interface Neighbour {
  readonly row: number;
  /** Cosine of the angle between the two rows, −1 to 1. */
  readonly similarity: number;
}

/**
 * The rows of a table [rows, width] with the largest cosine to one of them, largest first. A row of zeros has no direction:
 * it is no neighbour, and has none.
 *
 * @example
 * nearestNeighbours(weights.get("source.embedding.table"), { of: tokenizer.idOf("▁red"), count: 10 });
 */
export function nearestNeighbours(
  { dims, data }: HostTensor<"float32">,
  { of, count = 10, among = () => true }: NearestNeighboursOptions,
): Neighbour[] {
  const [rows, width] = dims as readonly [number, number];
  if (!Number.isInteger(of) || of < 0 || of >= rows)
    throw new RangeError(`nearestNeighbours: the table has rows 0 to ${rows - 1}, got ${of}`);
  const product = (a: number, b: number): number => {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += data[a * width + i]! * data[b * width + i]!;
    return sum;
  };
  const length = Math.sqrt(product(of, of));
  const found: Neighbour[] = [];
  for (let row = 0; row < rows; row++) {
    if (row === of || !among(row)) continue;
    const similarity = product(of, row) / (length * Math.sqrt(product(row, row)));
    if (!Number.isNaN(similarity)) found.push({ row, similarity });
  }
  return found.sort((a, b) => b.similarity - a.similarity || a.row - b.row).slice(0, count);
}
