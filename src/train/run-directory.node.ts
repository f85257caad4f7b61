// A run's folder: checkpoints/, metrics.jsonl, TensorBoard's event files, and at the end model.safetensors, the weights to use.
import { createReadStream } from "node:fs";
import { access, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, silent, type Listener } from "../base/index.ts";
import { TensorboardWriter, writeAside, writeSafetensors } from "../formats/index.node.ts";
import { averageWeights } from "./averaging.node.ts";
import { checkpointSteps, latestCheckpoint, pruneCheckpoints, removeLeftovers } from "./checkpoint-folder.node.ts";
import {
  checkpointName,
  loadCheckpoint,
  readCheckpoint,
  removeAside,
  writeCheckpoint,
  type CheckpointMemory,
} from "./checkpoint.node.ts";
import { currentEnvironment, environmentChanges, type Environment } from "./environment.node.ts";
import type { MetricsLine, RunRecorder, SaveOptions } from "./loop.ts";
import { MetricsLog } from "./metrics-log.node.ts";
import { RunLock } from "./run-lock.node.ts";
import { initialState, type TrainingState } from "./training-state.ts";

export interface RunDirectoryOptions {
  path: string;
  /** What checkpoints hold. Where there is no checkpoint it stays as it is: freshly initialised. */
  memory: CheckpointMemory;
  /** Must be the one that the run began with. */
  seed: number;
  environment?: Environment;
  /** Newest checkpoints to keep, besides the best one. */
  keepCheckpoints?: number;
  /** How many of the last checkpoints `finish` averages; 0 for none. */
  averageCheckpoints?: number;
  listener?: Listener;
}

/**
 * Opens a run, new or to be resumed, and keeps what the loop hands it. After `open`, the memory holds the latest checkpoint's
 * weights and moments, and `state` says where it stands; what a kill left half done is gone.
 *
 * @example
 * using run = await RunDirectory.open({ path: "runs/en-de", memory, seed: 1 });
 * await train({ learner, batches, reader, state: run.state, recorder: run, steps: 1000, schedule: () => 1e-3 });
 * await run.finish();
 */
export class RunDirectory implements RunRecorder, Disposable {
  readonly path: string;
  readonly #lock: RunLock;
  readonly #memory: CheckpointMemory;
  readonly #environment: Environment;
  readonly #keep: number;
  readonly #averaged: number;
  readonly #metrics: MetricsLog;
  #tensorboard: TensorboardWriter | undefined;
  #state: TrainingState;
  /** The checkpoint of a stop request: it goes when the next one is there. */
  #interim: number | undefined;

  /**
   * Throws FormatError for checkpoints that do not fit the memory, or of which none can be read; ConfigError for another seed,
   * and where another process is training in the folder.
   * Warns of damaged checkpoints, and where versions, threads or processor are no longer the same.
   */
  static async open({
    environment = currentEnvironment(),
    keepCheckpoints = 3,
    averageCheckpoints = 0,
    listener = silent,
    ...required
  }: RunDirectoryOptions): Promise<RunDirectory> {
    const options = { ...required, environment, keepCheckpoints, averageCheckpoints, listener };
    if (!(Number.isInteger(keepCheckpoints) && keepCheckpoints > 0)) {
      throw new ConfigError("keepCheckpoints", `must be a whole number above 0 (got ${keepCheckpoints}).`);
    }
    if (!(Number.isInteger(averageCheckpoints) && averageCheckpoints >= 0)) {
      throw new ConfigError("averageCheckpoints", `must be a whole number, at least 0 (got ${averageCheckpoints}).`);
    }
    await mkdir(join(options.path, "checkpoints"), { recursive: true });
    const lock = new RunLock(options.path);
    try {
      return await RunDirectory.#resume(options, lock);
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  static async #resume(
    { path, memory, seed, environment, keepCheckpoints, averageCheckpoints, listener }: Required<RunDirectoryOptions>,
    lock: RunLock,
  ): Promise<RunDirectory> {
    const folder = join(path, "checkpoints");
    const checkpoint = await latestCheckpoint(folder, { listener, setDamagedAside: true });
    if (checkpoint !== undefined) {
      if (checkpoint.state.seed !== seed) {
        throw new ConfigError(
          "seed",
          `${path} was begun with seed ${checkpoint.state.seed}, got ${seed}. Put it back, or start a new run.`,
        );
      }
      await loadCheckpoint(checkpoint.path, memory);
      const changes = environmentChanges(checkpoint.environment, environment);
      if (changes.length > 0) {
        const message = `${path}: resumed with ${changes.join(", ")}: results may differ in their last bits from those of a run in one piece.`;
        listener({ type: "log", level: "warning", message });
      }
    }
    await removeLeftovers(path);
    await removeLeftovers(folder);
    const state = checkpoint?.state ?? initialState(seed);
    const keep = Math.max(keepCheckpoints, averageCheckpoints);
    return new RunDirectory({
      path,
      lock,
      memory,
      environment,
      state,
      keep,
      averaged: averageCheckpoints,
      interim: checkpoint?.isInterim === true,
    });
  }

  private constructor({ path, lock, memory, environment, state, keep, averaged, interim }: OpenRun) {
    this.path = path;
    this.#lock = lock;
    this.#memory = memory;
    this.#environment = environment;
    this.#keep = keep;
    this.#averaged = averaged;
    this.#metrics = new MetricsLog(join(path, "metrics.jsonl"), { resumedAfterStep: state.step });
    this.#state = state;
    this.#interim = interim ? state.step : undefined;
  }

  /** Where the run stands: the state last saved. */
  get state(): TrainingState {
    return this.#state;
  }

  record(line: MetricsLine): void {
    this.#metrics.append(line);
    this.#tensorboard ??= new TensorboardWriter(this.path, { resumedAfterStep: this.#state.step });
    const scalars = Object.entries(line.figures).map(([name, value]) => [`${line.kind}/${name}`, value] as const);
    this.#tensorboard.scalars(line.step, Object.fromEntries(scalars));
  }

  async save(state: TrainingState, { isInterim }: SaveOptions): Promise<void> {
    const folder = join(this.path, "checkpoints");
    // The weights of an earlier finish are no longer the run's.
    await rm(join(this.path, "model.safetensors"), { force: true });
    this.#metrics.flush();
    await writeCheckpoint(folder, { state, memory: this.#memory, environment: this.#environment, isInterim });
    this.#state = state;
    if (this.#interim !== undefined && this.#interim !== state.step)
      await removeAside(join(folder, checkpointName(this.#interim)));
    this.#interim = isInterim ? state.step : undefined;
    await pruneCheckpoints(folder, {
      keep: this.#keep + (isInterim ? 1 : 0),
      besides: state.best === undefined ? [] : [state.best.step],
    });
  }

  /**
   * Writes model.safetensors, the weights to use from now on: the mean of the last checkpoints where that was asked for, else
   * the best checkpoint's, else the last one's. Gives the steps that it was made of. Throws FormatError for a damaged one.
   */
  async finish(): Promise<number[]> {
    const folder = join(this.path, "checkpoints");
    const weightsOf = (step: number): string => join(folder, checkpointName(step), "model.safetensors");
    const path = join(this.path, "model.safetensors");
    const steps =
      this.#averaged > 0
        ? (await checkpointSteps(folder)).filter((step) => step <= this.#state.step).slice(-this.#averaged)
        : [this.#state.best?.step ?? this.#state.step];
    // Nobody has looked at these files since they were written.
    for (const step of steps) await readCheckpoint(join(folder, checkpointName(step)));
    if (this.#averaged > 0)
      await writeSafetensors(path, await averageWeights(steps.map(weightsOf)), { metadata: { format: "pt" } });
    else await writeAside(path, createReadStream(weightsOf(steps[0]!), { highWaterMark: 2 ** 20 }));
    return steps;
  }

  [Symbol.dispose](): void {
    this.#metrics[Symbol.dispose]();
    this.#tensorboard?.close();
    this.#lock[Symbol.dispose]();
  }
}

interface OpenRun {
  path: string;
  lock: RunLock;
  memory: CheckpointMemory;
  environment: Environment;
  state: TrainingState;
  keep: number;
  averaged: number;
  interim: boolean;
}

/**
 * The weights of a run to use now: those of `finish`, or while it still goes on the best checkpoint's, else the latest one's.
 * Undefined where it has none.
 *
 * @example
 * const path = await runWeights("runs/en-de"); // "runs/en-de/model.safetensors"
 */
export async function runWeights(
  path: string,
  { listener = silent }: { listener?: Listener } = {},
): Promise<string | undefined> {
  const finished = join(path, "model.safetensors");
  if (await exists(finished)) return finished;
  const folder = join(path, "checkpoints");
  const latest = await latestCheckpoint(folder, { listener });
  if (latest === undefined) return undefined;
  const best =
    latest.state.best === undefined
      ? undefined
      : join(folder, checkpointName(latest.state.best.step), "model.safetensors");
  return best !== undefined && (await exists(best)) ? best : join(latest.path, "model.safetensors");
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
