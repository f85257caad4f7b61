// What attention costs with length: the square for every query against every key, less for kernels that leave pairs out.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "#base";
import { compile } from "heddle/engine";
import {
  AttentionScope,
  BigBirdAttention,
  CausalBlocksAttention,
  FullAttention,
  LongformerAttention,
  SlidingWindowAttention,
  TiledAttention,
  type AttentionKernel,
} from "heddle/nn";
import { dim, input } from "heddle/tensor";
import { judge, type Lab, type LabContext } from "./lab.ts";
import { linePlot } from "./plots/line-plot.ts";

const heads = 4;
const dHead = 64;

/** Each with the causal scope of a decoder. */
const kernels: readonly AttentionKernel[] = [
  new FullAttention(),
  new CausalBlocksAttention(),
  new TiledAttention(),
  new SlidingWindowAttention({ window: 128 }),
  new LongformerAttention({ window: 128, globalTokens: 16 }),
  new BigBirdAttention(),
];

export const attentionCost: Lab = {
  name: "attention-cost",
  claim: "Attention costs n² in the length n, and with a causal mask half of the scores need not be computed",
  source: "Vaswani et al. 2017, table 1; Dao et al. 2022, FlashAttention",
  async run(context) {
    const lengths = context.isQuick ? [64, 128] : [512, 1024, 2048, 4096];
    const times = new Map<string, number[]>();
    for (const kernel of kernels) times.set(kernel.name, await timesOf(kernel, lengths, context));
    const exponent = (name: string): number => slope(lengths, times.get(name)!, 1024);
    const full = exponent("full");
    const last = (name: string): number => times.get(name)!.at(-1)!;
    const skipped = last("causal-blocks") / last("full");
    return {
      tables: [
        {
          title: `Forward pass in milliseconds, batch 1, ${heads} heads of ${dHead}, causal`,
          head: ["kernel", ...lengths.map(String), "exponent from 1,024 on"],
          rows: kernels.map(({ name }) => [
            name,
            ...times.get(name)!.map((ms) => ms.toFixed(1)),
            exponent(name).toFixed(2),
          ]),
        },
      ],
      plot: linePlot({
        title: "Time of attention by length",
        x: { label: "length (tokens)", scale: "log", base: 2 },
        y: { label: "time (ms)", scale: "log" },
        lines: kernels.map(({ name }) => ({
          name,
          points: times.get(name)!.map((ms, i) => [lengths[i]!, ms] as const),
          hasDots: true,
        })),
      }),
      verdict: judge(
        [full >= 1.9 && full <= 2.1, skipped <= 0.75],
        `From 1,024 tokens on the time of full attention grew as n^${full.toFixed(2)}. Leaving out the blocks of keys that a causal ` +
          `mask hides took ${skipped.toFixed(2)} of its time at ${lengths.at(-1)} tokens; a window of 128 grew as ` +
          `n^${exponent("sliding-window").toFixed(2)} and took ${(last("sliding-window") / last("full")).toFixed(2)} of it.`,
      ),
    };
  },
};

/** The fastest of a few runs at each length: what other programs take is no part of it. */
async function timesOf(
  kernel: AttentionKernel,
  lengths: readonly number[],
  { seed, isQuick, listener, signal }: LabContext,
): Promise<number[]> {
  const shape = [1, heads, dim("time"), dHead] as const;
  const [query, key, value] = ["query", "key", "value"].map((name) => input(name, "float32", shape)) as [
    ReturnType<typeof input>,
    ReturnType<typeof input>,
    ReturnType<typeof input>,
  ];
  const scope = new AttentionScope({ queryTime: dim("time"), isCausal: true });
  const { context } = kernel.attend(query, key, value, scope);
  await using executable = await compile({ name: kernel.name, inputs: { query, key, value }, outputs: { context } });
  const times: number[] = [];
  for (const [i, length] of lengths.entries()) {
    listener({ type: "progress", task: `timing ${kernel.name}`, done: i, total: lengths.length });
    const stream = new RandomStream(randomKey(seed, length));
    const draw = (): HostTensor =>
      hostTensor(
        "float32",
        [1, heads, length, dHead],
        Float32Array.from({ length: heads * length * dHead }, () => stream.normal()),
      );
    const feeds = { query: draw(), key: draw(), value: draw() };
    const taken: number[] = [];
    for (let run = 0; run < (isQuick ? 2 : 12); run++) {
      signal.throwIfAborted();
      const startMs = performance.now();
      await executable.run(feeds);
      taken.push(performance.now() - startMs);
    }
    times.push(Math.min(...taken));
  }
  return times;
}

/** Slope of a straight line through the logarithms, from a length on where at least two lengths are left. */
function slope(lengths: readonly number[], values: readonly number[], from = 0): number {
  const all = lengths.map((length, i) => [Math.log(length), Math.log(values[i]!)] as const);
  const late = all.filter((_, i) => lengths[i]! >= from);
  const points = late.length >= 2 ? late : all;
  const mean = (at: 0 | 1): number => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return covariance / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}
