// metrics.jsonl: one JSON object a line, one story from the first step to the last, however often the run was interrupted.
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import type { MetricsLine } from "./loop.ts";

const newline = 0x0a;

/**
 * Appends lines such as {"kind":"training","step":100,"loss":5.2,…}; a value that is not finite is written as null.
 * Lines of steps after `resumedAfterStep`, which a resumed run takes again, are cut off, and so is a line that a kill left torn.
 *
 * @example
 * using log = new MetricsLog("runs/en-de/metrics.jsonl", { resumedAfterStep: 12_000 });
 * log.append({ kind: "training", step: 12_100, figures: { loss: 3.2 } });
 */
export class MetricsLog implements Disposable {
  readonly #file: number;

  constructor(path: string, { resumedAfterStep }: { resumedAfterStep: number }) {
    this.#file = openSync(path, "a+");
    const bytes = readFileSync(this.#file);
    const kept = bytesUpTo(bytes, resumedAfterStep);
    if (kept < bytes.length) ftruncateSync(this.#file, kept);
  }

  append({ kind, step, figures }: MetricsLine): void {
    const bytes = new TextEncoder().encode(`${JSON.stringify({ kind, step, ...figures })}\n`);
    for (let position = 0; position < bytes.length;) position += writeSync(this.#file, bytes, position);
  }

  /** Waits until the disk has every line. */
  flush(): void {
    fsyncSync(this.#file);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

/** Steps only grow along the file, so all that is to go lies behind the first line that is. */
function bytesUpTo(bytes: Uint8Array, step: number): number {
  const decoder = new TextDecoder();
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(newline, start);
    if (end < 0 || (stepOf(decoder.decode(bytes.subarray(start, end))) ?? 0) > step) return start;
    start = end + 1;
  }
  return bytes.length;
}

function stepOf(line: string): number | undefined {
  try {
    const { step } = JSON.parse(line) as { step?: number };
    return step;
  } catch {
    return undefined; // A line that somebody else wrote there is left alone.
  }
}
