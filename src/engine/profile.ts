// Where the time of a run goes: the runtime's profile as a table by operation, and as a trace that Perfetto shows.

/** An event as the runtime writes it; times in microseconds. */
export interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  readonly ph: string;
  readonly ts: number;
  readonly dur: number;
  readonly pid: number;
  readonly tid: number;
  readonly args: Readonly<Record<string, unknown>>;
}

/** Operations of one kind, a run. */
export interface ProfileRow {
  readonly op: string;
  /** How many a run. */
  readonly count: number;
  readonly ms: number;
  /** Part of the time of all operations, from 0 to 1. */
  readonly share: number;
  /** The same by sizes of the inputs, slowest first. */
  readonly shapes: readonly { readonly shape: string; readonly count: number; readonly ms: number }[];
}

export interface ProfileTable {
  /** Slowest first. */
  readonly rows: readonly ProfileRow[];
  /** Runs that the figures are means of; the one to warm up is not among them. */
  readonly runs: number;
  /** One run, all in all. */
  readonly runMs: number;
  /** The operations alone: the sum of the rows. What is missing to `runMs` is the runtime's own. */
  readonly operationsMs: number;
}

/** Chrome's trace format: write it as JSON and open it in Perfetto or at chrome://tracing. */
export interface ProfileTrace {
  readonly traceEvents: readonly Readonly<Record<string, unknown>>[];
}

export interface Profile {
  readonly table: ProfileTable;
  readonly trace: ProfileTrace;
}

/** Makes table and trace of a program's profile; the first run is left out, as it allocates what the others find. */
export function summariseProfile(program: string, events: readonly ProfileEvent[]): Profile {
  const runs = events
    .filter(({ name }) => name === "model_run")
    .sort((a, b) => a.ts - b.ts)
    .slice(1);
  const start = runs[0]?.ts ?? Infinity;
  const kernels = events.filter(({ cat, ts }) => cat === "Node" && ts >= start);
  return { table: tableOf(kernels, runs), trace: traceOf(program, [...runs, ...kernels]) };
}

function tableOf(kernels: readonly ProfileEvent[], runs: readonly ProfileEvent[]): ProfileTable {
  const byOp = grouped(kernels, operatorOf);
  const operationsMs = milliseconds(kernels, runs.length);
  const rows = [...byOp].map(([op, events]) => {
    const ms = milliseconds(events, runs.length);
    const shapes = [...grouped(events, inputShapes)].map(([shape, same]) => ({
      shape,
      count: same.length / runs.length,
      ms: milliseconds(same, runs.length),
    }));
    return {
      op,
      count: events.length / runs.length,
      ms,
      share: ms / operationsMs,
      shapes: shapes.sort((a, b) => b.ms - a.ms),
    };
  });
  return {
    rows: rows.sort((a, b) => b.ms - a.ms),
    runs: runs.length,
    runMs: milliseconds(runs, runs.length),
    operationsMs,
  };
}

function grouped(events: readonly ProfileEvent[], keyOf: (event: ProfileEvent) => string): Map<string, ProfileEvent[]> {
  const groups = new Map<string, ProfileEvent[]>();
  for (const event of events) {
    const key = keyOf(event);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [event]);
    else group.push(event);
  }
  return groups;
}

/** Events under names that say what is computed, on one line of time for the program. */
function traceOf(program: string, events: readonly ProfileEvent[]): ProfileTrace {
  const [first] = events;
  const name = { ph: "M", name: "process_name", pid: first?.pid ?? 0, tid: first?.tid ?? 0, args: { name: program } };
  const renamed = events.map((event) => {
    const isRun = event.cat !== "Node";
    // The name of the graph's node stays with it: with it the event can be led back to where it was traced.
    const args = isRun
      ? {}
      : {
          node: event.name.replace(/_kernel_time$/, ""),
          inputs: inputShapes(event),
          outputs: shapesOf(event.args.output_type_shape),
          provider: event.args.provider,
        };
    return { ...event, name: isRun ? program : `${operatorOf(event)} ${shapesOf(event.args.output_type_shape)}`, args };
  });
  return { traceEvents: [name, ...renamed] };
}

const milliseconds = (events: readonly ProfileEvent[], runs: number): number =>
  events.reduce((sum, { dur }) => sum + dur, 0) / 1000 / runs;

const operatorOf = ({ args }: ProfileEvent): string => String(args.op_name);

const inputShapes = ({ args }: ProfileEvent): string => shapesOf(args.input_type_shape);

/** The runtime lists shapes as [{ float: [2, 3] }, …]. */
function shapesOf(list: unknown): string {
  if (!Array.isArray(list)) return "";
  return list
    .map((typed) =>
      Object.values(typed as Record<string, readonly number[]>)
        .map((dims) => `[${dims.join(", ")}]`)
        .join(),
    )
    .join(" ");
}

/**
 * The table as text, most expensive operations first.
 * @example
 * const { table } = await profile(program, feeds);
 * process.stdout.write(formatProfile(table));
 */
export function formatProfile(
  { rows, runs, runMs, operationsMs }: ProfileTable,
  { shapes = 2 }: { shapes?: number } = {},
): string {
  const line = (op: string, count: number, ms: number, share: string): string =>
    `${op.padEnd(44)} ${String(Math.round(count * 10) / 10).padStart(6)} ${ms.toFixed(3).padStart(10)} ${share.padStart(7)}`.trimEnd();
  const lines = rows.flatMap((row) => [
    line(row.op, row.count, row.ms, `${(row.share * 100).toFixed(1)} %`),
    ...row.shapes.slice(0, shapes).map(({ shape, count, ms }) => line(`  ${shape}`.slice(0, 44), count, ms, "")),
  ]);
  const head = `${"operation".padEnd(44)} ${"count".padStart(6)} ${"ms".padStart(10)} ${"share".padStart(7)}`;
  return `${[head, ...lines].join("\n")}\noperations ${operationsMs.toFixed(3)} ms of ${runMs.toFixed(3)} ms a run (mean of ${runs})\n`;
}
