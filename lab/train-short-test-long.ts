// Taught on short windows, judged on longer ones: which positions still mean something where no training went.
import type { LanguageModel, PositionChoice } from "heddle/models";
import { judge, type Lab } from "./lab.ts";
import { linePlot } from "./plots/line-plot.ts";
import { labelLoss, smallModel, type SmallModelOptions } from "./small-model.ts";
import { labelsOf } from "./tasks.ts";
import { CharacterText } from "./text.ts";
import { meanLoss, teach, type Weights } from "./training.ts";

interface Scheme {
  readonly name: string;
  /** How it was taught; schemes of the same teaching share their weights. */
  readonly taught: PositionChoice;
  /** How it is judged at `times` the length, where that differs. */
  readonly judged?: (times: number, length: number) => PositionChoice;
}

const schemes: readonly Scheme[] = [
  { name: "sinusoidal", taught: "sinusoidal" },
  { name: "learned", taught: "learned" },
  { name: "none", taught: "none" },
  { name: "rotary", taught: "rotary" },
  {
    name: "rotary, NTK",
    taught: "rotary",
    judged: (factor) => ({ kind: "rotary", scaling: { kind: "ntk", factor } }),
  },
  {
    name: "rotary, YaRN",
    taught: "rotary",
    judged: (factor, originalMaxPositions) => ({
      kind: "rotary",
      scaling: { kind: "yarn", factor, originalMaxPositions },
    }),
  },
  { name: "ALiBi", taught: "alibi" },
  { name: "xPos", taught: "xpos" },
  { name: "relative", taught: "relative" },
];

export const trainShortTestLong: Lab = {
  name: "train-short-test-long",
  claim: "ALiBi, xPos and scaled rotary positions let a model read texts longer than those it was taught on",
  source: "Press et al. 2022, Train Short, Test Long; Sun et al. 2022 (xPos); Peng et al. 2023 (NTK-aware, YaRN)",
  usesText: true,
  async run({ seed, isQuick, listener, signal, text }) {
    const length = isQuick ? 16 : 64;
    const times = [1, 2, 4, 8] as const;
    const steps = isQuick ? 2 : 600;
    const source = new CharacterText({ seed, text });
    const sizes = {
      vocabularySize: source.vocabularySize,
      dModel: isQuick ? 16 : 64,
      heads: 4,
      layers: 2,
    } satisfies SmallModelOptions;
    const make = (positions: PositionChoice): LanguageModel =>
      // A table of learned vectors ends where training ended.
      smallModel({ ...sizes, positions, maxPositions: positions === "learned" ? length : 8 * length });

    const known = new Map<PositionChoice, Weights>();
    const losses = new Map<string, number[]>();
    for (const { name, taught, judged } of schemes) {
      if (!known.has(taught)) {
        const model = make(taught);
        const { weights } = await teach({
          model,
          loss: labelLoss(model),
          batch: source.batches({ rows: isQuick ? 4 : 32, time: length }),
          labels: labelsOf,
          steps,
          learningRate: 2e-3,
          seed,
          name: `${name} at ${length}`,
          listener,
          signal,
        });
        known.set(taught, weights);
      }
      const own: number[] = [];
      for (const n of times) {
        signal.throwIfAborted();
        if (taught === "learned" && n > 1) {
          // The table has no such rows, and the runtime refuses to look them up.
          own.push(Number.NaN);
          continue;
        }
        const model = make(n === 1 || judged === undefined ? taught : judged(n, length));
        const options = { model, loss: labelLoss(model), weights: known.get(taught)!, labels: labelsOf };
        const characters = isQuick ? 256 : 32_768;
        own.push(await meanLoss(options, source.judgement({ time: n * length, characters })));
      }
      losses.set(name, own);
    }

    const perplexity = (name: string, n: number): number => Math.exp(losses.get(name)![times.indexOf(n as 1)]!);
    const ratio = (name: string, n: number): number => perplexity(name, n) / perplexity(name, 1);
    const shown = (value: number): string => (Number.isFinite(value) ? value.toFixed(2) : "refused");
    return {
      tables: [
        {
          title: `Perplexity a character on windows of a multiple of the ${length} characters that were taught`,
          head: ["positions", ...times.map((n) => `${n * length}`), `${4 * length} against ${length}`],
          rows: schemes.map(({ name }) => [
            name,
            ...times.map((n) => shown(perplexity(name, n))),
            Number.isFinite(ratio(name, 4)) ? `× ${ratio(name, 4).toFixed(2)}` : "refused",
          ]),
        },
      ],
      plot: linePlot({
        title: `Taught on ${length} characters, judged on more`,
        x: { label: "window (characters)", scale: "log", base: 2 },
        y: { label: "perplexity a character", scale: "log" },
        lines: schemes.map(({ name }) => ({
          name,
          points: times.map((n) => [n * length, perplexity(name, n)] as const),
          hasDots: true,
        })),
      }),
      verdict: judge(
        [
          ratio("ALiBi", 2) <= 1.02,
          ratio("xPos", 4) <= 1.2 && perplexity("xPos", 4) <= perplexity("rotary", 4),
          ratio("rotary, NTK", 4) <= 1.3 && ratio("rotary", 4) >= 2,
          ratio("sinusoidal", 8) > ratio("ALiBi", 8),
        ],
        `Perplexity at four times the length against the length itself: ${schemes
          .map(
            ({ name }) => `${name} ${Number.isFinite(ratio(name, 4)) ? `× ${ratio(name, 4).toFixed(2)}` : "refused"}`,
          )
          .join(
            ", ",
          )}. Expected were ALiBi at most × 1.02 at twice the length (× ${ratio("ALiBi", 2).toFixed(2)}), xPos at most ` +
          "× 1.2 and not above rotary, NTK at most × 1.3 where plain rotary is at least × 2.",
      ),
    };
  },
};
