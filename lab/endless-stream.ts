// Reading without end: what a cache of the last keys and the first few costs, and what the loss makes of it.
import {
  LanguageModelDecoder,
  cacheBytesPerToken,
  type LanguageModelOptions,
  type StepProgramsOptions,
} from "heddle/models";
import { judge, type Lab, type LabContext } from "./lab.ts";
import { sideBySide } from "./plots/drawing.ts";
import { linePlot } from "./plots/line-plot.ts";
import { labelLoss, smallModel } from "./small-model.ts";
import { labelsOf } from "./tasks.ts";
import { CharacterText } from "./text.ts";
import { teach, type Weights } from "./training.ts";

/** Characters that the model was taught on at once, and that the rolling caches keep. */
const [taughtLength, window, sinks] = [128, 64, 4] as const;

interface Way {
  readonly name: string;
  readonly positions: "rotary" | "relative";
  readonly attention: NonNullable<LanguageModelOptions["attention"]>;
  /** Places whose keys and values are kept; all of them if undefined. */
  readonly kept?: number;
  /** Counts places within the cache. */
  readonly stream?: StepProgramsOptions["stream"];
  /** How often the piece of text is read, and how often for one entry of the table. */
  readonly times: number;
  readonly timesAnEntry: number;
}

interface Reading extends Way {
  /** Means over stretches of the stream, at their ends. */
  readonly stretches: readonly Stretch[];
}

interface Stretch {
  readonly end: number;
  readonly loss: number;
  readonly ms: number;
  readonly mebibytes: number;
}

const rolling = { kind: "sliding-window", window } as const;
const briefly = { times: 16, timesAnEntry: 1 } as const;
const ways: readonly Way[] = [
  // What keeps everything grows too slow to read as much.
  { name: "rotary, everything kept", positions: "rotary", attention: "full", times: 4, timesAnEntry: 1 },
  { name: `rotary, window of ${window}`, positions: "rotary", attention: rolling, kept: window, ...briefly },
  {
    name: `rotary, window and ${sinks} sinks`,
    positions: "rotary",
    attention: { ...rolling, sinks },
    kept: window + sinks,
    ...briefly,
  },
  {
    name: `relative, window and ${sinks} sinks`,
    positions: "relative",
    attention: { ...rolling, sinks },
    kept: window + sinks,
    ...briefly,
  },
  {
    name: `rotary, window and ${sinks} sinks, places in the cache`,
    positions: "rotary",
    attention: "full",
    stream: { sinks, window },
    kept: window + sinks,
    times: 976,
    timesAnEntry: 8,
  },
];

/** The relative bias knows no distance beyond its last. */
const positionsOf = { rotary: "rotary", relative: { kind: "relative", maxDistance: 32 } } as const;

export const endlessStream: Lab = {
  name: "endless-stream",
  claim:
    "A window and the first few tokens (attention sinks) let a model read a stream without end in constant time and memory",
  source: "Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks",
  usesText: true,
  async run(context) {
    const { seed, isQuick, listener, signal, text } = context;
    const source = new CharacterText({ seed, text });
    const size = { vocabularySize: source.vocabularySize, dModel: isQuick ? 16 : 64 };
    const taught = new Map<Way["positions"], Weights>();
    for (const positions of ["rotary", "relative"] as const) {
      const model = smallModel({ ...size, positions: positionsOf[positions] });
      const { weights } = await teach({
        model,
        loss: labelLoss(model),
        batch: source.batches({ rows: isQuick ? 4 : 16, time: isQuick ? 8 : taughtLength }),
        labels: labelsOf,
        steps: isQuick ? 2 : 600,
        learningRate: 2e-3,
        seed,
        name: `teaching, ${positions}`,
        listener,
        signal,
      });
      taught.set(positions, weights);
    }
    const stretch = isQuick ? 16 : 1024;
    const readings: Reading[] = [];
    for (const way of ways) {
      const [times, timesAnEntry] = isQuick ? [2, 1] : [way.times, way.timesAnEntry];
      // The same characters again and again: stretches differ in nothing but how much was read before.
      const piece = source.kept(stretch);
      const tokens = Int32Array.from({ length: stretch * times + 1 }, (_, i) => piece[i % stretch]!);
      const model = { ...size, positions: positionsOf[way.positions], attention: way.attention };
      const stretches = await read(model, taught.get(way.positions)!, tokens, {
        ...context,
        stretch: stretch * timesAnEntry,
        name: way.name,
        ...(way.stream && { stream: way.stream }),
      });
      readings.push({ ...way, stretches });
    }
    const bytes = cacheBytesPerToken(smallModel(size));
    const [all, alone, rotarySinks, relativeSinks, endless] = readings as [Reading, Reading, Reading, Reading, Reading];
    const first = (reading: Reading): Stretch => reading.stretches[0]!;
    const last = (reading: Reading): Stretch => reading.stretches.at(-1)!;
    // The first stretch starts from nothing and warms the program up: the second is the one to compare with.
    const early = ({ stretches }: Reading): Stretch => stretches[Math.min(1, stretches.length - 1)]!;
    const drift = (reading: Reading): number => Math.exp(last(reading).loss - early(reading).loss) - 1;
    const half = endless.stretches.length / 2;
    const quickest = (part: readonly Stretch[]): number => Math.min(...part.map(({ ms }) => ms));
    const slower = quickest(endless.stretches.slice(half)) / quickest(endless.stretches.slice(0, half));
    const growth = last(endless).mebibytes / early(endless).mebibytes - 1;
    return {
      tables: [
        {
          title: `One stream, a character at a time: the same ${stretch} characters again and again; taught on ${taughtLength} at once`,
          head: [
            "positions and cache",
            "characters",
            "perplexity, first time",
            "last time",
            "ms a character, first",
            "last",
            "cache (KiB)",
          ],
          rows: readings.map((reading) => [
            reading.name,
            thousands(last(reading).end),
            perplexity(first(reading)),
            perplexity(last(reading)),
            first(reading).ms.toFixed(2),
            last(reading).ms.toFixed(2),
            (((reading.kept ?? last(reading).end) * bytes) / 1024).toFixed(0),
          ]),
        },
      ],
      plot: sideBySide([
        linePlot({
          title: "What is still understood",
          x: { label: "characters read", scale: "log" },
          y: { label: "perplexity a character", scale: "log" },
          width: 340,
          hasLegend: false,
          lines: readings.map(({ name, stretches }) => ({
            name,
            points: stretches.map(({ end, loss }) => [end, Math.exp(loss)] as const),
            hasDots: true,
          })),
        }),
        linePlot({
          title: "What it costs",
          x: { label: "characters read", scale: "log" },
          y: { label: "time (ms a character)", from: 0 },
          width: 340,
          lines: readings.map(({ name, stretches }) => ({
            name,
            points: stretches.map(({ end, ms }) => [end, ms] as const),
            hasDots: true,
          })),
        }),
      ]),
      verdict: judge(
        [Math.abs(drift(endless)) <= 0.05, slower <= 1.25, growth <= 0.05, last(all).loss > first(all).loss],
        `Where places are counted within the cache, with a window of ${window} and ${sinks} sinks, perplexity drifts by ` +
          `${percent(drift(endless))} from ${thousands(early(endless).end)} to ${thousands(last(endless).end)} characters, a character takes ` +
          `${slower.toFixed(2)} times as long in the second half as in the first (the fastest stretch of each), and the process grows by ` +
          `${percent(growth)}. Counted from where the text begins, rotary sinks move ever farther away than was taught ` +
          `(${percent(drift(rotarySinks))} by ${thousands(last(rotarySinks).end)}), under a relative bias they do not ` +
          `(${percent(drift(relativeSinks))}). The rotary window without sinks ends at ${perplexity(last(alone))}, with them at ` +
          `${perplexity(last(rotarySinks))}, with places in the cache at ${perplexity(last(endless))}. Where everything is kept, perplexity ` +
          `goes from ${perplexity(first(all))} to ${perplexity(last(all))} within ${thousands(last(all).end)} characters.`,
      ),
    };
  },
};

const perplexity = ({ loss }: Stretch): string => Math.exp(loss).toFixed(2);
const thousands = (count: number): string => count.toLocaleString("en");
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

async function read(
  options: Parameters<typeof smallModel>[0],
  weights: Weights,
  tokens: Int32Array,
  { stretch, name, stream, listener, signal }: LabContext & Pick<Way, "name" | "stream"> & { stretch: number },
): Promise<Reading["stretches"]> {
  const decoder = new LanguageModelDecoder(smallModel(options), weights, { threads: 1 }, { ...(stream && { stream }) });
  try {
    const stepper = await decoder.start([[tokens[0]!]]);
    const row = Int32Array.of(0);
    const stretches: Reading["stretches"][number][] = [];
    for (let end = stretch; end < tokens.length; end += stretch) {
      let loss = 0;
      const startMs = performance.now();
      for (let i = end - stretch; i < end; i++) {
        signal.throwIfAborted();
        const step = { sentences: row, beams: 1, tokens: Int32Array.of(tokens[i]!), parents: row };
        loss -= (await stepper.logProbabilities(step))[tokens[i + 1]!]!;
      }
      const ms = (performance.now() - startMs) / stretch;
      stretches.push({ end, loss: loss / stretch, ms, mebibytes: process.memoryUsage.rss() / 2 ** 20 });
      listener({ type: "progress", task: `reading, ${name}`, done: end, total: tokens.length - 1 });
    }
    return stretches;
  } finally {
    await decoder.dispose();
  }
}
