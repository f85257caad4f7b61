// Time and peak memory of attention against length, forward and backward, one kernel beside the other.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { freemem } from "node:os";
import { fileURLToPath } from "node:url";
import type { Answer, Request } from "./attention-child.ts";
import { heads, kernels } from "./attention-kernels.ts";
import { interleave, summarize, type Side } from "./rounds.ts";

export const lengths = [512, 1024, 2048, 4096, 8192] as const;

export interface AttentionPoint {
  readonly kernel: string;
  readonly length: number;
  /** Forward and backward, median. */
  readonly milliseconds: number;
  /** Largest resident set over what the process took after a run at length 64, MiB; inputs and results included. */
  readonly mebibytes: number;
  /** Turns without foreign load, of all. */
  readonly clean: number;
  readonly turns: number;
}

export interface AttentionResult {
  readonly points: readonly AttentionPoint[];
  readonly skipped: readonly { readonly kernel: string; readonly length: number; readonly reason: string }[];
}

export interface AttentionRequest {
  rounds: number;
  threads: number;
  /** Leaves out longer sequences. */
  longest?: number;
  onProgress?: (text: string) => void;
}

/** All kernels at one length stand ready in processes of their own and work in turn; then comes the next length. */
export async function measureAttention({
  rounds,
  threads,
  longest = Infinity,
  onProgress = () => {},
}: AttentionRequest): Promise<AttentionResult> {
  const points: AttentionPoint[] = [];
  const skipped: { kernel: string; length: number; reason: string }[] = [];
  for (const length of lengths.filter((one) => one <= longest)) {
    const sides: KernelProcess[] = [];
    try {
      for (const kernel of Object.keys(kernels)) {
        const reason = shortage(kernel, length);
        if (reason === undefined) {
          sides.push(await KernelProcess.start(kernel, length, threads));
          onProgress(`${kernel} at ${length}: ${sides.at(-1)!.peak.toFixed(0)} MiB`);
        } else {
          skipped.push({ kernel, length, reason });
          onProgress(`${kernel} at ${length} is left out: ${reason}`);
        }
      }
      const turns = await interleave(sides, { rounds, turnMs: 1000 });
      for (const side of sides) {
        const { milliseconds, clean, turns: all } = summarize(turns.get(side)!);
        points.push({ kernel: side.name, length, milliseconds, mebibytes: side.peak, clean, turns: all });
      }
    } finally {
      for (const side of sides) await side.dispose();
    }
  }
  return { points, skipped };
}

/** Matrices of scores, float32, that are alive at once in kernels that keep them: as measured, rounded up. */
const MATRICES: Readonly<Record<string, number>> = { full: 4.5, "causal-blocks": 2 };

function shortage(kernel: string, length: number): string | undefined {
  const needed = ((MATRICES[kernel] ?? 0) * heads * length ** 2 * 4) / 2 ** 30;
  const free = freemem() / 2 ** 30;
  if (needed < 0.8 * free) return undefined;
  return `about ${needed.toFixed(1)} GiB are needed, ${free.toFixed(1)} GiB are free`;
}

class KernelProcess implements Side {
  readonly name: string;
  readonly peak: number;
  readonly #child: ChildProcess;

  private constructor(name: string, peak: number, child: ChildProcess) {
    this.name = name;
    this.peak = peak;
    this.#child = child;
  }

  static async start(name: string, length: number, threads: number): Promise<KernelProcess> {
    const program = fileURLToPath(new URL("attention-child.js", import.meta.url));
    const child = fork(program, [name, String(length), String(threads)]);
    const { peak } = (await answerOf(child, name)) as { peak: number };
    return new KernelProcess(name, peak, child);
  }

  get processId(): number | undefined {
    return this.#child.pid;
  }

  async work(count: number): Promise<number[]> {
    const answer = answerOf(this.#child, this.name);
    this.#child.send(count satisfies Request);
    const { times } = (await answer) as { times: readonly number[] };
    return [...times];
  }

  async dispose(): Promise<void> {
    const end = once(this.#child, "exit");
    this.#child.disconnect();
    await end;
  }
}

async function answerOf(child: ChildProcess, name: string): Promise<Answer> {
  const stop = new AbortController();
  const { signal } = stop;
  try {
    return await Promise.race([
      once(child, "message", { signal }).then(([answer]) => answer as Answer),
      once(child, "exit", { signal }).then(([code, by]) => {
        throw new Error(`attention: the process of ${name} ended (${code ?? by}); memory may have run out`);
      }),
    ]);
  } finally {
    stop.abort();
  }
}

/** Slope of the straight line through the logarithms of lengths and values: 1 for linear growth, 2 for the square's. */
export function growth(points: readonly (readonly [length: number, value: number])[]): number {
  const logs = points.map(([length, value]) => [Math.log(length), Math.log(value)] as const);
  const mean = (at: 0 | 1): number => logs.reduce((sum, point) => sum + point[at], 0) / logs.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const together = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return together / logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

export interface Bar {
  readonly what: string;
  readonly value: number;
  readonly most: number;
  readonly held: boolean;
}

/** What the kernels are for, as figures; bars whose lengths were not measured are left out. */
export function barsOf({ points }: AttentionResult): Bar[] {
  const at = (kernel: string, length: number): AttentionPoint | undefined =>
    points.find((point) => point.kernel === kernel && point.length === length);
  const slope = (kernel: string, of: "milliseconds" | "mebibytes"): number =>
    growth(points.filter((point) => point.kernel === kernel).map((point) => [point.length, point[of]] as const));
  const ratio = (kernel: string, length: number): number =>
    (at(kernel, length)?.milliseconds ?? Number.NaN) / (at("full", length)?.milliseconds ?? Number.NaN);
  const bars = [
    { what: "tiled: memory grows as length^", value: slope("tiled", "mebibytes"), most: 1.2 },
    { what: "sliding-window: time grows as length^", value: slope("sliding-window", "milliseconds"), most: 1.2 },
    { what: "causal-blocks: time of full at 1,024", value: ratio("causal-blocks", 1024), most: 0.75 },
    ...["sliding-window", "longformer", "bigbird"].map((kernel) => ({
      what: `${kernel}: time of full at 2,048`,
      value: ratio(kernel, 2048),
      most: 1,
    })),
  ];
  return bars.filter(({ value }) => Number.isFinite(value)).map((bar) => ({ ...bar, held: bar.value <= bar.most }));
}

/** Two tables, kernels by lengths, and the bars below them. */
export function attentionText(result: AttentionResult): string {
  const { points, skipped } = result;
  const names = [...new Set(points.map(({ kernel }) => kernel))];
  const measured = [...new Set(points.map(({ length }) => length))];
  const block = (title: string, of: "milliseconds" | "mebibytes", digits: number): string => {
    const rows = names.map((kernel) => {
      const own = points.filter((point) => point.kernel === kernel);
      const cells = measured.map((length) => own.find((point) => point.length === length)?.[of].toFixed(digits) ?? "–");
      return [kernel, ...cells, growth(own.map((point) => [point.length, point[of]] as const)).toFixed(2)];
    });
    const all = [[title, ...measured.map(String), "growth"], ...rows];
    const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
    return all
      .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "))
      .join("\n");
  };
  const bars = barsOf(result).map(
    ({ what, value, most, held }) => `${held ? "held  " : "MISSED"}  ${what} ${value.toFixed(2)} (at most ${most})`,
  );
  const unclean = points.filter(({ clean }) => clean === 0).length;
  return [
    block("ms, forward and backward", "milliseconds", 1),
    "",
    block("peak MiB", "mebibytes", 0),
    "",
    ...bars,
    ...skipped.map(({ kernel, length, reason }) => `left out: ${kernel} at ${length}, ${reason}`),
    ...(unclean > 0 ? [`${unclean} of ${points.length} times were taken beside foreign load alone: repeat it`] : []),
  ].join("\n");
}
