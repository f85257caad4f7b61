// What a lab is: one claim of the notes, put to the test in minutes.
import type { Listener } from "#base";
import type { Drawing } from "./plots/drawing.ts";

export interface LabContext {
  /** Same seed, same figures (times aside). */
  readonly seed: number;
  /** Only see that everything runs, in seconds: the figures then say nothing. */
  readonly isQuick: boolean;
  readonly listener: Listener;
  /** Once aborted, the lab throws the signal's reason. */
  readonly signal: AbortSignal;
  /** Text to learn from in place of the lab's own; only for labs that use text. */
  readonly text?: string;
}

export interface LabTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Verdict {
  readonly held: "held" | "held in part" | "did not hold";
  /** The figures that decide it, in a sentence or two. */
  readonly because: string;
}

export interface LabResult {
  readonly tables: readonly LabTable[];
  readonly plot: Drawing;
  readonly verdict: Verdict;
}

export interface Lab {
  readonly name: string;
  /** What the notes say. */
  readonly claim: string;
  /** Where it comes from. */
  readonly source: string;
  /** Whether it can learn from a text of the user's. */
  readonly usesText?: boolean;
  run(context: LabContext): Promise<LabResult>;
}

/** A verdict from the checks that a claim consists of. */
export function judge(checks: readonly boolean[], because: string): Verdict {
  const passed = checks.filter(Boolean).length;
  return { held: passed === checks.length ? "held" : passed > 0 ? "held in part" : "did not hold", because };
}
