// One process a run: two that train in one folder would prune each other's checkpoints and interleave their logs.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../base/index.ts";

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process began, as the system counts; tells it from a later one of the same number. Only on Linux. */
  readonly began?: string;
}

/**
 * A claim on a run's folder, in a file `lock` that names the process. The claim of a process that is gone, killed for example, is
 * taken over.
 */
export class RunLock implements Disposable {
  readonly #file: string;

  /** Throws ConfigError where another process that is still there holds the folder. */
  constructor(path: string) {
    this.#file = join(path, "lock");
    const claim = JSON.stringify(thisProcess());
    if (this.#write(claim)) return;
    const holder = this.#holder();
    if (holder !== undefined && isThere(holder)) {
      const where = holder.host === hostname() ? `process ${holder.pid}` : `process ${holder.pid} on ${holder.host}`;
      throw new ConfigError(
        path,
        `${where} is training in this folder. Wait for it or stop it, or name another folder; if there is no such process, delete ${this.#file}.`,
      );
    }
    rmSync(this.#file, { force: true });
    // Where another process was faster, the claim is its own.
    if (!this.#write(claim)) throw new ConfigError(path, "another process has just begun to train in this folder.");
  }

  #write(claim: string): boolean {
    try {
      writeFileSync(this.#file, claim, { flag: "wx" });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    }
  }

  /** Who holds the folder; undefined for a file that was cut short, as by a full disk. */
  #holder(): Holder | undefined {
    try {
      return JSON.parse(readFileSync(this.#file, "utf8")) as Holder;
    } catch {
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    if (this.#holder()?.pid === process.pid) rmSync(this.#file, { force: true });
  }
}

function thisProcess(): Holder {
  const began = beginningOf(process.pid);
  return { pid: process.pid, host: hostname(), ...(began !== undefined && { began }) };
}

/** Whether the holder is a process other than this one that still runs, as far as can be known from here. */
function isThere({ pid, host, began }: Holder): boolean {
  if (host !== hostname()) return true;
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
  return began === undefined || beginningOf(pid) === began;
}

function beginningOf(pid: number): string | undefined {
  try {
    // Field 22 of proc(5); the name in field 2 may hold spaces and ends with the last parenthesis.
    return readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /su, "")
      .split(" ")[19];
  } catch {
    return undefined;
  }
}
