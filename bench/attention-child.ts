// A process of its own for one kernel at one length, so that its peak memory is nobody else's. Started by attention.ts.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../src/base/index.ts";
import { compile } from "../src/engine/index.ts";
import { attentionProgram, dHead, heads } from "./attention-kernels.ts";

/** What the child is told: the number of runs to time. */
export type Request = number;
/** What it says: first its peak in MiB, then the milliseconds of the runs asked for. */
export type Answer = { readonly peak: number } | { readonly times: readonly number[] };

const [name, length, threads] = process.argv.slice(2) as [string, string, string];

function feedsOf(time: number): Record<string, HostTensor> {
  const stream = new RandomStream(randomKey(1, time));
  const draw = (): HostTensor =>
    hostTensor(
      "float32",
      [1, heads, time, dHead],
      Float32Array.from({ length: heads * time * dHead }, () => stream.normal()),
    );
  return { query: draw(), key: draw(), value: draw(), above: draw() };
}

const say = (answer: Answer): void => void process.send!(answer);
const mebibytes = (bytes: number): number => bytes / 2 ** 20;

const executable = await compile(attentionProgram(name), { threads: Number(threads) });
// What the runtime and the program take by themselves is not the kernel's: a short run first.
await executable.run(feedsOf(64));
const before = mebibytes(process.memoryUsage.rss());
const feeds = feedsOf(Number(length));
await executable.run(feeds);
say({ peak: Math.max(0, mebibytes(process.resourceUsage().maxRSS * 1024) - before) });

process.on("message", (count: Request) => {
  void (async () => {
    const times: number[] = [];
    for (let run = 0; run < count; run++) {
      const startMs = performance.now();
      await executable.run(feeds);
      times.push(performance.now() - startMs);
    }
    say({ times });
  })();
});
process.on("disconnect", () => void executable.dispose());
