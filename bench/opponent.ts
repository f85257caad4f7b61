// PyTorch as a child process that is told when to work, at the best settings known for it.
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Benchmark } from "./cases.ts";
import type { Side } from "./rounds.ts";

/** A Python that can import torch, or undefined. `HEDDLE_PYTHON` names one; else the usual places are tried. */
export function findPyTorch(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const candidates =
    environment.HEDDLE_PYTHON === undefined ? ["python3", "/usr/bin/python3"] : [environment.HEDDLE_PYTHON];
  return candidates.find((python) => spawnSync(python, ["-c", "import torch"], { stdio: "ignore" }).status === 0);
}

/** Folders in which Debian keeps the OpenMP build of OpenBLAS beside other builds. */
function openBlasFolders(): string[] {
  const root = "/usr/lib";
  const folders = existsSync(root) ? readdirSync(root).map((name) => join(root, name, "openblas-openmp")) : [];
  return folders.filter((folder) => existsSync(join(folder, "libopenblas.so.0")));
}

function processorHas(flag: string): boolean {
  return (
    existsSync("/proc/cpuinfo") &&
    new RegExp(`^flags\\s*:.*\\b${flag}\\b`, "m").test(readFileSync("/proc/cpuinfo", "utf8"))
  );
}

/**
 * The environment in which PyTorch on OpenBLAS is fastest; README.md says what each setting was worth. Whatever the user has
 * set already is left alone.
 */
export function bestSettings(
  threads: number,
  {
    given = process.env,
    blasFolders = openBlasFolders(),
    hasAvx512 = processorHas("avx512f"),
  }: { given?: NodeJS.ProcessEnv; blasFolders?: readonly string[]; hasAvx512?: boolean } = {},
): Record<string, string> {
  const settings: Record<string, string> = { OMP_NUM_THREADS: String(threads) };
  // The OpenMP build shares PyTorch's threads; the pthread build brings a second pool that fights the first.
  if (blasFolders.length > 0) settings.LD_LIBRARY_PATH = [...blasFolders, given.LD_LIBRARY_PATH ?? []].flat().join(":");
  // On a processor it does not know OpenBLAS falls back to kernels without AVX-512.
  if (hasAvx512) settings.OPENBLAS_CORETYPE = "SkylakeX";
  // Keeps freed memory, in huge pages, where the C library would hand it back and fault it in again every step.
  settings.GLIBC_TUNABLES =
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4000000000:glibc.malloc.trim_threshold=8000000000";
  for (const name of ["OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "GLIBC_TUNABLES"])
    if (given[name] !== undefined) delete settings[name];
  return settings;
}

/** The sizes as the scripts read them from their environment. */
function sizesOf(benchmark: Benchmark, threads: number): Record<string, string> {
  const { model, batch, time } = benchmark;
  const sizes = {
    LAYERS: model.layers,
    D_MODEL: model.dModel,
    HEADS: model.heads,
    D_FEED_FORWARD: model.dFeedForward,
    VOCABULARY: model.vocabulary,
    BATCH: batch,
    TIME: time,
    THREADS: threads,
    ...(benchmark.kind === "training"
      ? { DROPOUT: benchmark.dropout, LABEL_SMOOTHING: benchmark.labelSmoothing }
      : { OUTPUT_TIME: benchmark.outputTime, BEAMS: benchmark.beams }),
  };
  return Object.fromEntries(Object.entries(sizes).map(([name, value]) => [name, String(value)]));
}

/** The folder of the Python scripts, seen from the source and from the compiled file alike. */
function scriptFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const scripts = join(folder, "bench", "pytorch");
    if (existsSync(scripts)) return scripts;
    if (folder === dirname(folder)) throw new Error("bench/pytorch is not to be found above this file");
  }
}

interface Answer {
  readonly ready?: boolean;
  readonly torch?: string;
  readonly ms?: readonly number[];
  readonly error?: string;
  readonly [fact: string]: unknown;
}

/** A PyTorch process. `start` returns when its model stands; `dispose` ends it. */
export class Opponent implements Side {
  readonly name = "pytorch";
  readonly version: string;
  readonly #talk: Conversation;

  private constructor(talk: Conversation, version: string) {
    this.#talk = talk;
    this.version = version;
  }

  static async start(python: string, benchmark: Benchmark, threads: number): Promise<Opponent> {
    const script = benchmark.kind === "training" ? "train_step.py" : "decode.py";
    const env = { ...process.env, ...bestSettings(threads), ...sizesOf(benchmark, threads) };
    const talk = new Conversation(spawn(python, [join(scriptFolder(), script)], { env }));
    const { torch } = await talk.answer();
    return new Opponent(talk, String(torch));
  }

  get processId(): number | undefined {
    return this.#talk.processId;
  }

  async work(count: number): Promise<number[]> {
    const { ms } = await this.#talk.ask(`step ${count}`);
    if (ms?.length !== count) throw new Error(`pytorch: ${count} times were asked for, ${ms?.length ?? 0} came`);
    return [...ms];
  }

  /** What the script can prove about itself. */
  async check(): Promise<Readonly<Record<string, unknown>>> {
    return this.#talk.ask("check");
  }

  async dispose(): Promise<void> {
    await this.#talk.end();
  }
}

/** One line to the child, one JSON line back. */
class Conversation {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;
  #complaint = "";

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("close", () => resolve());
      child.once("error", (error) => {
        this.#complaint += error.message;
        resolve();
      });
    });
    // The child's end is seen where its output ends; a write after it must not bring this process down.
    child.stdin.on("error", () => {});
    child.stderr.on("data", (text: Buffer) => (this.#complaint = (this.#complaint + text.toString()).slice(-2000)));
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  get processId(): number | undefined {
    return this.#child.pid;
  }

  async ask(request: string): Promise<Answer> {
    this.#child.stdin.write(`${request}\n`);
    return this.answer();
  }

  async answer(): Promise<Answer> {
    const line = await this.#lines.next();
    if (line.done === true) {
      await this.#ended;
      throw new Error(`pytorch ended: ${this.#complaint.trim() || "it said nothing"}`);
    }
    const answer = JSON.parse(line.value) as Answer;
    if (answer.error !== undefined) throw new Error(`pytorch: ${answer.error}`);
    return answer;
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await this.#ended;
    clearTimeout(timer);
  }
}
