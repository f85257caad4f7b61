// npm run bench -- training|decoding [--json] [--rounds N] [--case NAME] [--threads N]: Heddle, PyTorch and the floor in turn.
// npm run bench -- memory [--json] [--threads N]: whether a long training creeps.
// npm run bench -- attention [--json] [--rounds N] [--threads N] [--longest N]: time and memory of attention against length.
import { parseArgs } from "node:util";
import { attentionText, barsOf, measureAttention } from "./attention.ts";
import { benchmarks, tokensPerCall, type Benchmark, type DecodingBenchmark } from "./cases.ts";
import { Floor } from "./floor.ts";
import { decodingCase, trainingCase } from "./heddle.ts";
import { findPyTorch, Opponent } from "./opponent.ts";
import { measureMemory } from "./memory.ts";
import { javascriptShare } from "./native-time.ts";
import { operationsOf, productsFromSizes, type MatrixProduct } from "./products.ts";
import { replicasOf } from "./replicas.ts";
import { jsonLine, table, type CaseResult } from "./report.ts";
import { interleave, summarize, type Side } from "./rounds.ts";

const USAGE =
  "npm run bench -- training|decoding|memory|attention [--json] [--rounds N] [--case NAME] [--threads N] [--longest N]";

class UsageError extends Error {}

interface Request {
  readonly cases: readonly Benchmark[] | "memory" | "attention";
  readonly json: boolean;
  readonly rounds: number;
  readonly threads: number;
  /** Of attention: longer sequences are left out. */
  readonly longest: number | undefined;
}

function readArguments(words: readonly string[]): Request {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string" },
      threads: { type: "string" },
      case: { type: "string" },
      longest: { type: "string" },
    },
  });
  const wholeFrom1 = (option: "rounds" | "threads" | "longest", ifNotSaid: number): number => {
    const count = Number(values[option] ?? ifNotSaid);
    if (!Number.isInteger(count) || count < 1)
      throw new UsageError(`--${option}: a whole number from 1 is wanted, got "${values[option]}"`);
    return count;
  };
  return {
    cases: casesOf(positionals, values),
    json: values.json,
    rounds: wholeFrom1("rounds", 5),
    threads: wholeFrom1("threads", 2),
    longest: values.longest === undefined ? undefined : wholeFrom1("longest", 0),
  };
}

/** Options that some kinds of benchmark know nothing of. */
const needless: Readonly<Record<string, readonly string[]>> = {
  memory: ["case", "rounds", "longest"],
  attention: ["case"],
  training: ["longest"],
  decoding: ["longest"],
};

function casesOf(positionals: readonly string[], options: Readonly<Record<string, unknown>>): Request["cases"] {
  const [kind = "", ...rest] = positionals;
  const ofKind = benchmarks.filter((benchmark) => benchmark.kind === kind);
  if (!(kind in needless) || rest.length > 0)
    throw new UsageError(`"training", "decoding", "memory" or "attention" is wanted, got "${positionals.join(" ")}"`);
  const idle = needless[kind]!.find((option) => option in options);
  if (idle !== undefined) throw new UsageError(`--${idle} has no effect on ${kind}`);
  if (kind === "memory" || kind === "attention") return kind;
  const cases = options.case === undefined ? ofKind : ofKind.filter(({ name }) => name === options.case);
  if (cases.length === 0)
    throw new UsageError(`--case: no "${options.case}" among ${ofKind.map(({ name }) => name).join(", ")}`);
  return cases;
}

interface OurSide {
  readonly side: Side;
  readonly call: () => Promise<void>;
  readonly products: readonly MatrixProduct[];
}

/** Heddle as a side: the call is timed from outside, with everything that belongs to it. */
async function ourSide(benchmark: Benchmark, threads: number): Promise<OurSide> {
  let call: () => Promise<void>;
  let made: { products?(): readonly MatrixProduct[]; dispose(): Promise<void> };
  if (benchmark.kind === "training") {
    const training = await trainingCase(benchmark, threads);
    [made, call] = [training, () => training.step()];
  } else {
    const decoding = await decodingCase(benchmark, threads);
    [made, call] = [decoding, () => decoding.decode()];
  }
  return { side: timed("heddle", call, made), call, products: made.products?.() ?? productsFromSizes(benchmark) };
}

/** The same decoding in whole numbers of 8 bits. */
async function roundedSide(benchmark: DecodingBenchmark, threads: number): Promise<Side> {
  const decoding = await decodingCase(benchmark, threads, "int8");
  return timed("int8", () => decoding.decode(), decoding);
}

/** The same by as many copies of one thread as the other sides have threads, where a call is a batch of sentences. */
function replicatedSide(benchmark: Benchmark, threads: number): Side | undefined {
  if (benchmark.kind !== "decoding" || benchmark.batch === 1 || threads === 1) return undefined;
  const replicas = replicasOf(benchmark, threads);
  return timed("replicas", () => replicas.decode(), replicas);
}

function timed(name: string, call: () => Promise<void>, made: { dispose(): Promise<void> }): Side {
  return {
    name,
    async work(count) {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const start = performance.now();
        await call();
        times.push(performance.now() - start);
      }
      return times;
    },
    dispose: () => made.dispose(),
  };
}

async function measure(
  benchmark: Benchmark,
  python: string | undefined,
  { rounds, threads }: Request,
): Promise<CaseResult> {
  const started: Side[] = [];
  const start = <S extends Side>(side: S): S => {
    started.push(side);
    return side;
  };
  try {
    const ours = await ourSide(benchmark, threads);
    const heddle = start(ours.side);
    const pytorch = python === undefined ? undefined : start(await Opponent.start(python, benchmark, threads));
    const floor = start(await Floor.of(ours.products, threads));
    const rounded = benchmark.kind === "decoding" ? start(await roundedSide(benchmark, threads)) : undefined;
    const copies = replicatedSide(benchmark, threads);
    const replicated = copies && start(copies);
    const turns = await interleave(started, {
      rounds,
      onTurn: ({ name }, round, { milliseconds, foreignCores }) =>
        console.error(
          `${benchmark.name} round ${round + 1}/${rounds} ${name.padEnd(8)} ${milliseconds.toFixed(1).padStart(8)} ms` +
            (foreignCores === undefined ? "" : `  foreign load ${foreignCores.toFixed(2)} cores`),
        ),
    });
    const milliseconds = summarize(turns.get(heddle)!);
    const shares: number[] = [];
    if (benchmark.kind === "decoding") for (let i = 0; i < 9; i++) shares.push(await javascriptShare(ours.call));
    const floorMilliseconds = summarize(turns.get(floor)!);
    const pytorchMilliseconds = pytorch && summarize(turns.get(pytorch)!);
    const int8Milliseconds = rounded && summarize(turns.get(rounded)!);
    const replicasMilliseconds = replicated && summarize(turns.get(replicated)!);
    return {
      case: benchmark.name,
      tokensPerSecond: (tokensPerCall(benchmark) / milliseconds.milliseconds) * 1000,
      ...(pytorchMilliseconds && { ratioToPyTorch: pytorchMilliseconds.milliseconds / milliseconds.milliseconds }),
      ratioToFloor: milliseconds.milliseconds / floorMilliseconds.milliseconds,
      milliseconds,
      ...(pytorchMilliseconds && { pytorchMilliseconds }),
      floorMilliseconds,
      ...(int8Milliseconds && {
        int8Milliseconds,
        int8Speedup: milliseconds.milliseconds / int8Milliseconds.milliseconds,
      }),
      ...(replicasMilliseconds && {
        replicasMilliseconds,
        // They did as many batches in that time as there are of them.
        replicasSpeedup: (threads * milliseconds.milliseconds) / replicasMilliseconds.milliseconds,
      }),
      ...(shares.length > 0 && { javascriptShare: shares.sort((a, b) => a - b)[shares.length >> 1]! }),
      gigaOperations: operationsOf(ours.products) / 1e9,
      threads,
      ...(pytorch && { pytorch: pytorch.version }),
    };
  } finally {
    for (const side of started) await side.dispose();
  }
}

async function memory({ json, threads }: Request): Promise<void> {
  const onProgress = (step: number, mebibytes: number): void =>
    console.error(`step ${step}  ${mebibytes.toFixed(1)} MiB`);
  const result = await measureMemory({ steps: 5000, window: 500, threads, onProgress });
  const { firstPeak, lastPeak, ratio, window } = result;
  if (json) console.log(JSON.stringify(result));
  else
    console.log(
      `peak of the first ${window} steps ${firstPeak.toFixed(1)} MiB, of the last ${lastPeak.toFixed(1)} MiB: × ${ratio.toFixed(3)}`,
    );
}

async function attention({ json, rounds, threads, longest }: Request): Promise<void> {
  const result = await measureAttention({
    rounds,
    threads,
    ...(longest !== undefined && { longest }),
    onProgress: (text) => console.error(text),
  });
  console.log(
    json ? JSON.stringify({ case: "attention", ...result, bars: barsOf(result), threads }) : attentionText(result),
  );
}

async function main(): Promise<void> {
  const request = readArguments(process.argv.slice(2));
  const { cases } = request;
  if (cases === "memory") return memory(request);
  if (cases === "attention") return attention(request);
  const python = findPyTorch();
  if (python === undefined) {
    console.error(
      "No Python with torch found (Debian: python3-torch and libopenblas0-openmp); set HEDDLE_PYTHON to name one. Measuring without it.",
    );
  }
  const results: CaseResult[] = [];
  for (const benchmark of cases) {
    const result = await measure(benchmark, python, request);
    results.push(result);
    if (request.json) console.log(jsonLine(result));
  }
  if (!request.json) console.log(table(results));
}

try {
  await main();
} catch (error) {
  const isUsage =
    error instanceof UsageError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS") === true;
  console.error(isUsage ? `${(error as Error).message}\n${USAGE}` : error);
  process.exitCode = isUsage ? 2 : 1;
}
