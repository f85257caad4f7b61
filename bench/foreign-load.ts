// How much of the machine others use while something is measured. On two cores one busy neighbour slows a program whose
// threads wait for each other several times over, so a figure without this one beside it says little. Linux only.
import { readFileSync } from "node:fs";

/** The kernel's unit in /proc/stat, on every architecture as seen from user space. */
const TICKS_PER_SECOND = 100;

/** Ticks that all processes together have used: user, nice, system, interrupts. */
export function busyTicks(stat: string): number {
  const [user, nice, system, , , interrupts, softInterrupts] = stat
    .split("\n")[0]!
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return user! + nice! + system! + interrupts! + softInterrupts!;
}

/** Ticks that one process has used: user and system, its threads included. The name in brackets may contain anything. */
export function processTicks(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Watches what processes other than this one and `others` use. */
export class ForeignLoad {
  readonly #processes: readonly (number | "self")[];

  constructor(others: readonly number[]) {
    this.#processes = ["self", ...others];
  }

  /** Starts to watch; the function returned gives the cores that others used since, on average. */
  during(): () => number | undefined {
    const before = this.#foreignTicks();
    const start = performance.now();
    return () => {
      const after = this.#foreignTicks();
      if (before === undefined || after === undefined) return undefined;
      const seconds = (performance.now() - start) / 1000;
      return Math.max(0, (after - before) / TICKS_PER_SECOND / seconds);
    };
  }

  /** Waits for a second with little foreign work, no longer than `patienceMs`. */
  async quiet(maxForeignCores: number, patienceMs: number): Promise<void> {
    for (const end = performance.now() + patienceMs; performance.now() < end;) {
      const foreignCores = this.during();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const cores = foreignCores();
      if (cores === undefined || cores <= maxForeignCores) return;
    }
  }

  #foreignTicks(): number | undefined {
    const read = (path: string): string | undefined => {
      try {
        return readFileSync(path, "utf8");
      } catch {
        return undefined;
      }
    };
    const machine = read("/proc/stat");
    const own = this.#processes.map((id) => read(`/proc/${id}/stat`));
    if (machine === undefined || own.includes(undefined)) return undefined;
    return own.reduce((ticks, stat) => ticks - processTicks(stat!), busyTicks(machine));
  }
}
