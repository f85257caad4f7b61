// A TensorBoard event file on the disk, one record appended at a time.
import { closeSync, mkdirSync, openSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { tensorboardOpening, tensorboardResumption, tensorboardScalars } from "./tensorboard.ts";

export interface TensorboardWriterOptions {
  /** The step after which a resumed run goes on: what earlier files in the folder say of later steps no longer counts. */
  resumedAfterStep?: number;
}

/**
 * Starts a new event file in the folder, which is one run in TensorBoard. Each record is handed to the system at once, in
 * one call: a kill loses nothing that was written, and TensorBoard reads while the run goes on.
 *
 * @example
 * using writer = new TensorboardWriter("runs/en-de");
 * writer.scalars(100, { loss: 3.2, "validation/bleu": 21.5 });
 */
export class TensorboardWriter implements Disposable {
  readonly path: string;
  #file: number | undefined;

  constructor(folder: string, { resumedAfterStep }: TensorboardWriterOptions = {}) {
    mkdirSync(folder, { recursive: true });
    const { path, file } = create(folder);
    this.path = path;
    this.#file = file;
    this.#append(tensorboardOpening(nowSeconds()));
    if (resumedAfterStep !== undefined) this.#append(tensorboardResumption(nowSeconds(), resumedAfterStep + 1));
  }

  /** Appends these values of this step; a name may hold slashes, which group. */
  scalars(step: number, values: Readonly<Record<string, number>>): void {
    this.#append(tensorboardScalars(nowSeconds(), step, values));
  }

  #append(record: Uint8Array): void {
    if (this.#file === undefined) throw new Error(`${this.path} is closed`);
    for (let position = 0; position < record.byteLength;) position += writeSync(this.#file, record, position);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function nowSeconds(): number {
  return Date.now() / 1000;
}

/** TensorBoard reads a run's files in the order of their names: time first, then a number for those of the same second. */
function create(folder: string): { path: string; file: number } {
  const seconds = String(Math.floor(nowSeconds())).padStart(10, "0");
  for (let number = readdirSync(folder).filter((name) => name.startsWith("events.out.tfevents.")).length; ; number++) {
    const path = join(folder, `events.out.tfevents.${seconds}.heddle.${String(number).padStart(6, "0")}`);
    try {
      return { path, file: openSync(path, "ax") };
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
  }
}
