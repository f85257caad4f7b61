// Work shared out among worker threads: each takes the next job when it is done with its last. The main thread's side is
// WorkerPool, a worker's is serveJobs.
import { parentPort, Worker } from "node:worker_threads";
import {
  ConfigError,
  DataError,
  FormatError,
  HeddleError,
  ShapeError,
  type HeddleEvent,
  type Listener,
} from "../base/index.ts";
import { SearchAborted } from "../decode/index.ts";

type ToWorker<Job> =
  | { readonly kind: "job"; readonly id: number; readonly job: Job }
  | { readonly kind: "abort"; readonly id: number }
  | { readonly kind: "end" };

type FromWorker<Result> =
  | { readonly kind: "done"; readonly id: number; readonly result: Result }
  | { readonly kind: "failed"; readonly id: number; readonly error: ErrorReport }
  | { readonly kind: "event"; readonly event: HeddleEvent };

interface Task<Job, Result> {
  readonly id: number;
  readonly job: Job;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

interface Member<Job, Result> {
  readonly number: number;
  readonly worker: Worker;
  readonly exited: Promise<void>;
  task: Task<Job, Result> | undefined;
}

export interface WorkerPoolOptions {
  /** The script of every worker; it calls `serveJobs`. */
  script: URL;
  /** What a worker is called in errors. */
  name: string;
  workers: number;
  /** The workers' `workerData`. */
  data: unknown;
  /** Hears what the workers' listeners are told. */
  listener: Listener;
}

/**
 * Worker threads with one queue of jobs. They keep the process alive only while a job is under way. One that ends unasked fails
 * its job and all that wait.
 */
export class WorkerPool<Job, Result> {
  readonly #name: string;
  readonly #members: Member<Job, Result>[];
  readonly #waiting: Task<Job, Result>[] = [];
  #jobs = 0;
  #isEnding = false;
  #broken: HeddleError | undefined;

  constructor({ script, name, workers, data, listener }: WorkerPoolOptions) {
    this.#name = name;
    this.#members = Array.from({ length: workers }, (_, i) => this.#start(i + 1, script, data, listener));
  }

  #start(number: number, script: URL, data: unknown, listener: Listener): Member<Job, Result> {
    const worker = new Worker(script, { workerData: data, name: `${this.#name} ${number}` });
    let reason = "";
    worker.on("error", (error) => (reason = error instanceof Error ? error.message : String(error)));
    const exited = new Promise<void>((resolve) => {
      worker.once("exit", (code) => {
        if (!this.#isEnding || member.task !== undefined)
          this.#break(member, reason === "" ? `it left with code ${code}` : reason);
        resolve();
      });
    });
    const member: Member<Job, Result> = { number, worker, exited, task: undefined };
    worker.on("message", (message: FromWorker<Result>) => {
      if (message.kind === "event") return listener(message.event);
      const { task } = member;
      // What a broken pool has rejected is settled.
      if (task?.id !== message.id) return;
      member.task = undefined;
      worker.unref();
      if (message.kind === "done") task.resolve(message.result);
      else task.reject(restored(message.error));
      this.#next(member);
    });
    worker.unref();
    return member;
  }

  /** Does a job when its turn comes. A raised `signal` takes it out of the queue, or is handed on to the worker. */
  run(job: Job, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Result> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    if (signal?.aborted === true) return Promise.reject(aborted());
    const id = this.#jobs++;
    let onAbort: (() => void) | undefined;
    const settled = new Promise<Result>((resolve, reject) => {
      const task: Task<Job, Result> = { id, job, signal, resolve, reject };
      this.#waiting.push(task);
      onAbort = () => this.#abort(task);
      signal?.addEventListener("abort", onAbort);
      for (const member of this.#members) if (member.task === undefined) this.#next(member);
    });
    return settled.finally(() => onAbort && signal?.removeEventListener("abort", onAbort));
  }

  #next(member: Member<Job, Result>): void {
    const task = this.#broken === undefined ? this.#waiting.shift() : undefined;
    if (task === undefined) return;
    member.task = task;
    member.worker.ref();
    try {
      this.#tell(member, { kind: "job", id: task.id, job: task.job });
    } catch (error) {
      // A job that cannot be sent fails alone.
      member.task = undefined;
      member.worker.unref();
      task.reject(error);
      this.#next(member);
    }
  }

  #abort(task: Task<Job, Result>): void {
    const place = this.#waiting.indexOf(task);
    if (place >= 0) {
      this.#waiting.splice(place, 1);
      task.reject(aborted());
      return;
    }
    const member = this.#members.find((one) => one.task === task);
    if (member !== undefined) this.#tell(member, { kind: "abort", id: task.id });
  }

  #tell({ worker }: Member<Job, Result>, message: ToWorker<Job>): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
    worker.postMessage(message);
  }

  #break(member: Member<Job, Result>, reason: string): void {
    this.#broken ??= new HeddleError(`${this.#name} ${member.number} ended unasked: ${reason}`);
    const lost = [...(member.task === undefined ? [] : [member.task]), ...this.#waiting.splice(0)];
    member.task = undefined;
    for (const task of lost) task.reject(this.#broken);
  }

  /**
   * Ends the workers once each is done with its job; jobs that wait are refused. They are asked, never killed: a thread that ends
   * in the middle of a run takes the process with it.
   */
  async dispose(): Promise<void> {
    this.#isEnding = true;
    this.#broken ??= new HeddleError(`${this.#name}s were disposed of`);
    for (const task of this.#waiting.splice(0)) task.reject(this.#broken);
    for (const member of this.#members) {
      member.worker.ref();
      this.#tell(member, { kind: "end" });
    }
    await Promise.all(this.#members.map(({ exited }) => exited));
  }
}

const aborted = (): SearchAborted => new SearchAborted("search aborted before it began");

export interface JobServer<Job, Result> {
  work(job: Job, signal: AbortSignal): Promise<Result>;
  dispose(): Promise<void>;
}

/** A worker's life: opens, does one job after the other, and ends when it is told to. What fails is told to the one who asked. */
export function serveJobs<Job, Result>(open: (listener: Listener) => Promise<JobServer<Job, Result>>): void {
  const port = parentPort;
  if (port === null) throw new HeddleError("this script is a worker's; it does nothing by itself");
  const tell = (message: FromWorker<Result>): void => port.postMessage(message);
  const server = open((event) => tell({ kind: "event", event }));
  // Every job is told of it.
  server.catch(() => undefined);
  let current:
    | { readonly id: number; readonly controller: AbortController; readonly settled: Promise<void> }
    | undefined;
  const work = async (id: number, job: Job, signal: AbortSignal): Promise<void> => {
    try {
      tell({ kind: "done", id, result: await (await server).work(job, signal) });
    } catch (error) {
      tell({ kind: "failed", id, error: reported(error) });
    }
  };
  port.on("message", (message: ToWorker<Job>) => {
    if (message.kind === "job") {
      const controller = new AbortController();
      current = { id: message.id, controller, settled: work(message.id, message.job, controller.signal) };
    } else if (message.kind === "abort") {
      if (current?.id === message.id) current.controller.abort();
    } else {
      void end();
    }
  });
  const end = async (): Promise<void> => {
    await current?.settled;
    await server.then(
      (opened) => opened.dispose(),
      () => undefined,
    );
    // Nothing else keeps the thread.
    port.close();
  };
}

/** An error as it can be sent: copies of errors lose their class and their fields on the way. */
interface ErrorReport {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly isOurs: boolean;
  readonly place?: string;
  readonly problem?: string;
  readonly file?: string;
  readonly line?: number;
  readonly code?: string;
  readonly path?: string;
}

function reported(error: unknown): ErrorReport {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), stack: undefined, isOurs: false };
  const { name, message, stack } = error;
  const facts = Object.entries(error).filter(([, value]) => typeof value === "string" || typeof value === "number");
  return { ...Object.fromEntries(facts), name, message, stack, isOurs: error instanceof HeddleError };
}

function restored({ name, message, stack, isOurs, place = "", problem = "", ...facts }: ErrorReport): Error {
  if (name === "AbortError") return new SearchAborted(message);
  if (name === "ConfigError") return new ConfigError(place, problem);
  if (name === "FormatError") return new FormatError(place, problem);
  if (name === "DataError") return new DataError(facts.file ?? "", facts.line, problem);
  if (name === "ShapeError") return new ShapeError(message);
  // Of others the place in the worker's code says more than the place where they were passed on.
  return Object.assign(isOurs ? new HeddleError(message) : new Error(message), facts, { name, stack });
}
