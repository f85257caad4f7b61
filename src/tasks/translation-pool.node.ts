// Several single-threaded copies of a translation side by side. For batches of small models they beat one copy with as many
// threads: threads inside one step wait for one another at every operation, copies never do.
import { availableParallelism } from "node:os";
import { ConfigError, type HostTensor } from "../base/index.ts";
import { inWindows } from "../data/index.ts";
import type { DecodingOptions } from "./decoding-options.ts";
import { textOf, type Translated, type TranslationLine } from "./decoding-outputs.ts";
import type { Weights } from "./learning.ts";
import { shortlistIn } from "./run-folder.node.ts";
import {
  FolderTranslation,
  membersOf,
  openMember,
  type MemberOptions,
  type OpenTranslationOptions,
} from "./translation-run.node.ts";
import { windowLines, type Translation, type TranslationOptions } from "./translation.ts";
import { WorkerPool } from "./worker-pool.node.ts";

/** What a replica is opened with. */
export interface ReplicaData {
  readonly members: readonly Omit<MemberOptions, "listener">[];
}

/** Lines that a replica translates together, and their numbers in the text. */
export interface ReplicaJob {
  readonly lines: readonly TranslationLine[];
  readonly numbers: readonly number[];
  readonly options: DecodingOptions;
}

/** How many lines make a job: enough of them for a batch, and several jobs a replica, so that none waits long for another. */
const [fewestLines, mostLines] = [32, 128];
const jobsAReplica = 4;

export interface OpenTranslationPoolOptions extends OpenTranslationOptions {
  /** Copies; one for each processor core if not said. */
  replicas?: number;
}

/**
 * A run's translation whose lines are shared out among replicas in worker threads, of one thread each unless `session.threads` says
 * more. In float32 outputs are those of `openTranslation`; in 8 bits they depend a little on which lines stand together. The
 * weights lie in memory once, besides each replica's compiled programs. Threads start with the first call and end with `dispose`.
 *
 * Throws ConfigError for `processors`, which cannot be sent to another thread.
 * @example
 * await using pool = await openTranslationPool("runs/en-de", { replicas: 2 });
 * for await (const [best] of pool.generateEach(lines)) console.log(best.text);
 */
export async function openTranslationPool(
  directory: string,
  { replicas = availableParallelism(), ...options }: OpenTranslationPoolOptions = {},
): Promise<TranslationPool> {
  if (!Number.isInteger(replicas) || replicas < 1)
    throw new ConfigError("replicas", `must be a whole number from 1 (got ${replicas})`);
  const { processors = [], signal: _, ...decoding } = options.decoding ?? {};
  refuseProcessors(processors);
  const [own, ...others] = membersOf(directory, { ...options, decoding });
  const translations: FolderTranslation[] = [];
  const members: ReplicaData["members"][number][] = [];
  for (const member of [own, ...others]) {
    const translation = await openMember(member);
    const weights = inSharedMemory(translation.weights);
    await translation.setWeights(weights);
    translations.push(translation);
    const { listener: ___, checkpoint: ____, ...rest } = member;
    members.push({ ...rest, weights, session: { threads: 1, ...member.session } });
  }
  const [first, ...rest] = translations as [FolderTranslation, ...FolderTranslation[]];
  const { model, source, target, weights, session } = first;
  return new TranslationPool({
    model,
    tokenizer: { source, target },
    weights,
    decoding: first.decoding,
    shortlist: () => shortlistIn(directory, { source, target }),
    ...(options.precision && { precision: options.precision }),
    session,
    ...(options.listener && { listener: options.listener }),
    others: rest,
    data: { members },
    replicas,
  });
}

export interface TranslationPoolOptions extends TranslationOptions {
  others: readonly Translation[];
  data: ReplicaData;
  replicas: number;
}

/** See `openTranslationPool`. What is not about many lines (streams, scores, attention) is done in the caller's own thread. */
export class TranslationPool extends FolderTranslation {
  readonly replicas: number;
  readonly #data: ReplicaData;
  #workers: WorkerPool<ReplicaJob, Translated[][]> | undefined;

  constructor({ others, data, replicas, ...options }: TranslationPoolOptions) {
    super(options);
    super.ensembleWith(...others);
    this.replicas = replicas;
    this.#data = data;
  }

  override async generate(
    lines: readonly TranslationLine[],
    { signal, processors = [], ...options }: DecodingOptions = {},
    { numbers }: { numbers?: readonly number[] } = {},
  ): Promise<Translated[][]> {
    refuseProcessors(processors);
    this.#workers ??= new WorkerPool({
      script: new URL("./translation-replica.node.js", import.meta.url),
      name: "replica",
      workers: this.replicas,
      data: this.#data,
      listener: this.listener,
    });
    const workers = this.#workers;
    // Long lines first: what is left for the end is short, and no replica is late.
    const lengths = lines.map((line) => textOf(line).length);
    const order = lines.map((_, i) => i).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
    const share = Math.ceil(lines.length / this.replicas);
    const size = Math.min(share, mostLines, Math.max(fewestLines, Math.ceil(share / jobsAReplica)));
    const results = new Array<Translated[]>(lines.length);
    const failed = new AbortController();
    const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
    let failure: { readonly error: unknown } | undefined;
    const jobs: Promise<void>[] = [];
    for (let start = 0; start < order.length; start += size) {
      const places = order.slice(start, start + size);
      const job = { lines: places.map((i) => lines[i]!), numbers: places.map((i) => numbers?.[i] ?? i), options };
      jobs.push(
        workers.run(job, { signal: either }).then(
          (found) => places.forEach((place, i) => (results[place] = found[i]!)),
          (error: unknown) => {
            // The rest of the call is in vain.
            failure ??= { error };
            failed.abort();
          },
        ),
      );
    }
    await Promise.all(jobs);
    if (failure !== undefined) throw failure.error;
    return results;
  }

  /** With memory for two windows: one is read while the one before is being translated. */
  override async *generateEach<Line extends TranslationLine>(
    lines: AsyncIterable<Line> | Iterable<Line>,
    { signal, ...options }: DecodingOptions = {},
    { firstLine = 0 }: { firstLine?: number } = {},
  ): AsyncGenerator<Translated[]> {
    const left = new AbortController();
    const either = signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]);
    const under: Promise<Translated[][]>[] = [];
    let before = firstLine;
    const begin = (window: readonly Line[]): void => {
      const numbers = window.map((_, i) => before + i);
      const translated = this.generate(window, { ...options, signal: either }, { numbers });
      // It is waited for in its turn.
      translated.catch(() => undefined);
      under.push(translated);
      before += window.length;
    };
    try {
      for await (const window of inWindows(lines, windowLines)) {
        begin(window);
        if (under.length > 1) yield* await under.shift()!;
      }
      while (under.length > 0) yield* await under.shift()!;
    } finally {
      left.abort();
      await Promise.allSettled(under);
    }
  }

  override ensembleWith(): void {
    throw new ConfigError(
      "ensemble",
      "replicas have theirs when they are opened: openTranslationPool(…, { ensemble })",
    );
  }

  override swapAdapter(_: Weights): void {
    throw new ConfigError("adapter", "replicas have theirs when they are opened: openTranslationPool(…, { adapter })");
  }

  override setWeights(_: Weights): Promise<void> {
    return Promise.reject(
      new ConfigError("weights", "replicas have theirs when they are opened: openTranslationPool(…, { weights })"),
    );
  }

  override train(): Promise<never> {
    return Promise.reject(new ConfigError("train", "replicas only translate. Train what openTranslation gives."));
  }

  override async dispose(): Promise<void> {
    const workers = this.#workers;
    this.#workers = undefined;
    await workers?.dispose();
    await super.dispose();
  }
}

function refuseProcessors(processors: readonly unknown[]): void {
  if (processors.length > 0)
    throw new ConfigError("processors", "are functions, which cannot be sent to replicas. Use openTranslation.");
}

/** The weights where all threads can read them. */
function inSharedMemory(weights: Weights): Weights {
  const bytes = [...weights.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  const memory = new SharedArrayBuffer(bytes);
  const shared = new Map<string, HostTensor<"float32">>();
  let offset = 0;
  for (const [name, { dtype, dims, data: own }] of weights) {
    const data = new Float32Array(memory, offset, own.length);
    data.set(own);
    shared.set(name, { dtype, dims, data });
    offset += own.byteLength;
  }
  return shared;
}
