// Progress on standard error: one line that is redrawn on a terminal, and a plain line now and then in a log file.
import { styleText } from "node:util";
import type { HeddleEvent, Listener, ProgressEvent } from "../base/index.ts";

const redrawMs = 100;
const plainLineMs = 10_000;
const barCells = 20;

export interface ProgressLineOptions {
  stream?: Pick<NodeJS.WriteStream, "write" | "isTTY" | "columns">;
  /** A clock in milliseconds. */
  now?: () => number;
}

/**
 * Shows events as they come. Call `end()` when the work is over, so that the terminal's next line is free.
 *
 * @example
 * const progress = new ProgressLine();
 * await translation.train(corpus, { listener: progress.listener }).finally(() => progress.end());
 */
export class ProgressLine {
  readonly listener: Listener = (event) => this.#show(event);
  readonly #stream: Pick<NodeJS.WriteStream, "write" | "isTTY" | "columns">;
  readonly #now: () => number;
  /** The task on the line. */
  #task: string | undefined;
  /**
   * Where and when each task was first seen, for the time left: a resumed run does not start at 0, and a validation that comes
   * between takes its time from the training.
   */
  readonly #starts = new Map<string, { readonly ms: number; readonly done: number }>();
  #shownMs = -Infinity;
  #drawn = "";

  constructor({ stream = process.stderr, now = () => performance.now() }: ProgressLineOptions = {}) {
    this.#stream = stream;
    this.#now = now;
  }

  /** Leaves the last state of the line on the terminal. */
  end(): void {
    if (this.#drawn !== "") this.#stream.write("\n");
    this.#drawn = "";
    this.#task = undefined;
  }

  #show(event: HeddleEvent): void {
    if (event.type === "log") {
      const text = event.level === "warning" ? `warning: ${event.message}` : event.message;
      this.#stream.write(this.#drawn === "" ? `${text}\n` : `\r\x1b[K${text}\n${this.#drawn}`);
      return;
    }
    const now = this.#now();
    const isNew = this.#task !== event.task;
    if (isNew) this.end();
    this.#task = event.task;
    const start = this.#starts.get(event.task);
    // A task that has gone back has begun again.
    if (start === undefined || event.done <= start.done) this.#starts.set(event.task, { ms: now, done: event.done });
    const isLast = event.done === event.total;
    const intervalMs = this.#stream.isTTY ? redrawMs : plainLineMs;
    if (!isNew && !isLast && now - this.#shownMs < intervalMs) return;
    this.#shownMs = now;
    if (!this.#stream.isTTY) {
      this.#stream.write(`${this.#parts(event, now).join("  ")}\n`);
    } else {
      this.#drawn = `\r${this.#line(event, now)}\x1b[K`;
      this.#stream.write(this.#drawn);
    }
    if (isLast) {
      this.#starts.delete(event.task);
      this.end();
    }
  }

  /** The line for a terminal, cut to its width: a longer one would wrap, and each redraw would leave a row behind. */
  #line(event: ProgressEvent, now: number): string {
    const [task, ...rest] = this.#parts(event, now);
    const filled = event.total === undefined ? 0 : Math.round((barCells * event.done) / Math.max(event.total, 1));
    const bar = event.total === undefined ? "" : `${"━".repeat(filled)}${"─".repeat(Math.max(barCells - filled, 0))}  `;
    const line = `${task}  ${bar}${rest.join("  ")}`.slice(0, (this.#stream.columns ?? 80) - 1);
    return line.replace(/━+/, (done) => (process.env.NO_COLOR ? done : styleText("cyan", done)));
  }

  #parts({ task, done, total, figures = {} }: ProgressEvent, now: number): string[] {
    const parts = [task, total === undefined ? String(done) : `${done}/${total}`];
    for (const [name, value] of Object.entries(figures)) parts.push(`${label(name)} ${figure(value)}`);
    const start = this.#starts.get(task)!;
    if (total !== undefined && done > start.done && done < total) {
      parts.push(`${duration(((now - start.ms) / (done - start.done)) * (total - done))} left`);
    } else if (done === total) {
      parts.push(`in ${duration(now - start.ms)}`);
    }
    return parts;
  }
}

/** "tokensPerSecond" → "tokens/s", "learningRate" → "learning rate". */
function label(name: string): string {
  const words = name.replace(/PerSecond$/, "/s").replace(/([a-z])([A-Z])/g, "$1 $2");
  return words === words.toUpperCase() ? words : words.toLowerCase();
}

function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1e4) return `${(value / 1000).toFixed(1)}k`;
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) < 1e-3 ? value.toExponential(2) : value.toPrecision(4);
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const two = (part: number): string => String(part).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
