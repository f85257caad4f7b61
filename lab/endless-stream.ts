// Reading without end: what a cache of the last keys and the first few costs, and what the loss makes of it.
import { LanguageModelDecoder, cacheBytesPerToken, type LanguageModelOptions } from "heddle/models";
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
const ways: readonly Way[] = [
  { name: "rotary, everything kept", positions: "rotary", attention: "full" },
  { name: `rotary, window of ${window}`, positions: "rotary", attention: rolling, kept: window },
  {
    name: `rotary, window and ${sinks} sinks`,
    positions: "rotary",
    attention: { ...rolling, sinks },
    kept: window + sinks,
  },
  { name: `relative, window of ${window}`, positions: "relative", attention: rolling, kept: window },
  {
    name: `relative, window and ${sinks} sinks`,
    positions: "relative",
    attention: { ...rolling, sinks },
    kept: window + sinks,
  },
];

/** Rotary positions count from where the text begins. The relative bias knows no distance beyond its last. */
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
      // What keeps everything grows too slow to read as much.
      const length = stretch * (isQuick ? 2 : way.kept === undefined ? 4 : 16);
      // The same characters again and again: stretches differ in nothing but how much was read before.
      const piece = source.kept(stretch);
      const tokens = Int32Array.from({ length: length + 1 }, (_, i) => piece[i % stretch]!);
      const model = { ...size, positions: positionsOf[way.positions], attention: way.attention };
      const stretches = await read(model, taught.get(way.positions)!, tokens, { ...context, stretch, name: way.name });
      readings.push({ ...way, stretches });
    }
    const bytes = cacheBytesPerToken(smallModel(size));
    const [all, , rotarySinks, , relativeSinks] = readings as [Reading, Reading, Reading, Reading, Reading];
    const first = (reading: Reading): Stretch => reading.stretches[0]!;
    const last = (reading: Reading): Stretch => reading.stretches.at(-1)!;
    // The first stretch starts from nothing and warms the program up: the second is the one to compare with.
    const early = ({ stretches }: Reading): Stretch => stretches[Math.min(1, stretches.length - 1)]!;
    const drift = (reading: Reading): number => Math.exp(last(reading).loss - early(reading).loss) - 1;
    const half = relativeSinks.stretches.length / 2;
    const quickest = (part: readonly Stretch[]): number => Math.min(...part.map(({ ms }) => ms));
    const slower = quickest(relativeSinks.stretches.slice(half)) / quickest(relativeSinks.stretches.slice(0, half));
    const growth = last(relativeSinks).mebibytes - early(relativeSinks).mebibytes;
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
            `${last(reading).end}`,
            Math.exp(first(reading).loss).toFixed(2),
            Math.exp(last(reading).loss).toFixed(2),
            first(reading).ms.toFixed(2),
            last(reading).ms.toFixed(2),
            (((reading.kept ?? last(reading).end) * bytes) / 1024).toFixed(0),
          ]),
        },
      ],
      plot: sideBySide([
        linePlot({
          title: "What is still understood",
          x: { label: "characters read" },
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
          x: { label: "characters read" },
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
        [Math.abs(drift(relativeSinks)) <= 0.05, slower <= 1.25, last(all).loss > first(all).loss],
        `From ${early(relativeSinks).end} to ${last(relativeSinks).end} characters, with a window of ${window} and ${sinks} sinks, perplexity drifts by ` +
          `${percent(drift(relativeSinks))} under a relative bias and by ${percent(drift(rotarySinks))} under rotary positions, which put the sinks ` +
          `ever farther away than was taught. A character takes ${slower.toFixed(2)} times as long in the second half as in the first, and ` +
          `the process grew by ${growth.toFixed(0)} MiB. Where everything is kept, perplexity goes from ${Math.exp(first(all).loss).toFixed(2)} to ` +
          `${Math.exp(last(all).loss).toFixed(2)} within ${last(all).end} characters. The window without sinks ends at ${readings
            .filter(({ kept }) => kept === window)
            .map((reading) => `${Math.exp(last(reading).loss).toFixed(2)} (${reading.positions})`)
            .join(
              " and ",
            )}, with them at ${Math.exp(last(rotarySinks).loss).toFixed(2)} and ${Math.exp(last(relativeSinks).loss).toFixed(2)}.`,
      ),
    };
  },
};

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

async function read(
  options: Parameters<typeof smallModel>[0],
  weights: Weights,
  tokens: Int32Array,
  { stretch, name, listener, signal }: LabContext & { stretch: number; name: string },
): Promise<Reading["stretches"]> {
  const decoder = new LanguageModelDecoder(smallModel(options), weights, { threads: 1 });
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
