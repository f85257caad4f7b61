// What a benchmark prints: a JSON line a case for programs, a table for people.
import type { Summary } from "./rounds.ts";

export interface CaseResult {
  readonly case: string;
  /** Target tokens a second, from the median. */
  readonly tokensPerSecond: number;
  /** How many times as fast as PyTorch; absent where PyTorch is. */
  readonly ratioToPyTorch?: number;
  /** The time taken over the time of its matrix products alone; never below 1 by much. */
  readonly ratioToFloor: number;
  readonly milliseconds: Summary;
  readonly pytorchMilliseconds?: Summary;
  readonly floorMilliseconds: Summary;
  /** Decoding in whole numbers of 8 bits, and how many times as fast it is. */
  readonly int8Milliseconds?: Summary;
  readonly int8Speedup?: number;
  /** A batch for each of as many single-threaded copies as the other sides have threads, and how many times as fast a batch is. */
  readonly replicasMilliseconds?: Summary;
  readonly replicasSpeedup?: number;
  /** Of decoding: the part of a call that passes outside of the runtime, 0 to 1. */
  readonly javascriptShare?: number;
  /** Billions of multiplications and additions in the matrix products. */
  readonly gigaOperations: number;
  readonly threads: number;
  readonly pytorch?: string;
}

const digits = (value: number, count: number): number => Number(value.toFixed(count));

function rounded(summary: Summary): Summary {
  return {
    ...summary,
    milliseconds: digits(summary.milliseconds, 2),
    fastest: digits(summary.fastest, 2),
    slowest: digits(summary.slowest, 2),
  };
}

/** One line, figures rounded to what they are worth. */
export function jsonLine(result: CaseResult): string {
  return JSON.stringify({
    ...result,
    tokensPerSecond: Math.round(result.tokensPerSecond),
    ...(result.ratioToPyTorch !== undefined && { ratioToPyTorch: digits(result.ratioToPyTorch, 3) }),
    ratioToFloor: digits(result.ratioToFloor, 3),
    milliseconds: rounded(result.milliseconds),
    ...(result.pytorchMilliseconds && { pytorchMilliseconds: rounded(result.pytorchMilliseconds) }),
    floorMilliseconds: rounded(result.floorMilliseconds),
    ...(result.int8Milliseconds && { int8Milliseconds: rounded(result.int8Milliseconds) }),
    ...(result.int8Speedup !== undefined && { int8Speedup: digits(result.int8Speedup, 3) }),
    ...(result.replicasMilliseconds && { replicasMilliseconds: rounded(result.replicasMilliseconds) }),
    ...(result.replicasSpeedup !== undefined && { replicasSpeedup: digits(result.replicasSpeedup, 3) }),
    ...(result.javascriptShare !== undefined && { javascriptShare: digits(result.javascriptShare, 3) }),
    gigaOperations: digits(result.gigaOperations, 2),
  });
}

const columns = [
  "case",
  "tokens/s",
  "ms (fastest … slowest)",
  "× PyTorch",
  "PyTorch ms (fastest … slowest)",
  "× floor",
  "floor ms",
  "int8 ×",
  "replicas ×",
  "JavaScript",
  "clean turns",
] as const;

function cells(result: CaseResult): string[] {
  const span = ({ milliseconds, fastest, slowest }: Summary): string =>
    `${milliseconds.toFixed(1)} (${fastest.toFixed(1)} … ${slowest.toFixed(1)})`;
  const sides = [
    result.milliseconds,
    result.floorMilliseconds,
    ...(result.pytorchMilliseconds ? [result.pytorchMilliseconds] : []),
  ];
  return [
    result.case,
    String(Math.round(result.tokensPerSecond)),
    span(result.milliseconds),
    result.ratioToPyTorch?.toFixed(2) ?? "–",
    result.pytorchMilliseconds ? span(result.pytorchMilliseconds) : "–",
    result.ratioToFloor.toFixed(2),
    result.floorMilliseconds.milliseconds.toFixed(1),
    result.int8Speedup?.toFixed(2) ?? "–",
    result.replicasSpeedup?.toFixed(2) ?? "–",
    result.javascriptShare === undefined ? "–" : `${(100 * result.javascriptShare).toFixed(1)} %`,
    `${Math.min(...sides.map(({ clean }) => clean))} of ${result.milliseconds.turns}`,
  ];
}

/** The table, columns aligned: names to the left, figures to the right. */
export function table(results: readonly CaseResult[]): string {
  const rows = [[...columns], ...results.map(cells)];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join("  "),
    )
    .join("\n");
}
