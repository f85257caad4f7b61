// Which layer of the encoder each layer of the decoder looks at.
import { teacherForcing, Transformer, type MemoryChoice } from "heddle/models";
import { DatePairs, dateLabels } from "./dates.ts";
import { judge, type Lab } from "./lab.ts";
import { barPlot } from "./plots/bar-plot.ts";
import { sideBySide } from "./plots/drawing.ts";
import { linePlot } from "./plots/line-plot.ts";
import { intervalOf } from "./statistics.ts";
import { meanLoss, teach, type Taught } from "./training.ts";

const wirings: readonly { readonly name: string; readonly memory: MemoryChoice }[] = [
  { name: "last", memory: "last" },
  { name: "same depth", memory: "same-depth" },
  { name: "mixture", memory: "mixture" },
  { name: "list 3, 2, 1", memory: [3, 2, 1] },
];

export const crossAttentionWiring: Lab = {
  name: "cross-attention-wiring",
  claim: "Every decoder layer looks at the encoder's last layer, but it need not: other wirings are worth a study",
  source: "Liu et al. 2020, Layer-Wise Multi-View Decoding; Bapna et al. 2018 (mixtures of all layers)",
  async run({ seed, isQuick, listener, signal }) {
    const seeds = Array.from({ length: isQuick ? 2 : 3 }, (_, i) => seed + i);
    const pairs = new DatePairs({ seed, isQuick });
    const results = [];
    for (const { name, memory } of wirings) {
      const model = new Transformer({
        vocabularySize: pairs.vocabularySize,
        dModel: isQuick ? 16 : 64,
        heads: 4,
        dFeedForward: isQuick ? 16 : 128,
        layers: 3,
        dropout: 0,
        norm: "pre",
        maxPositions: 128,
        memory,
      });
      const loss = teacherForcing(model);
      const runs: { taught: Taught; kept: number }[] = [];
      for (const own of seeds) {
        const taught = await teach({
          model,
          loss,
          batch: pairs.batches(isQuick ? 4 : 24),
          labels: dateLabels,
          steps: isQuick ? 2 : 300,
          learningRate: 2e-3,
          seed: own,
          name: `${name}, seed ${own}`,
          listener,
          signal,
        });
        const { weights } = taught;
        runs.push({ taught, kept: await meanLoss({ model, loss, weights, labels: dateLabels }, pairs.judgement()) });
      }
      results.push({ name, runs, ...intervalOf(runs.map(({ kept }) => kept)) });
    }
    const [last, ...others] = results;
    const best = results.toSorted((a, b) => a.mean - b.mean)[0]!;
    // Intervals that do not meet: a difference that the seeds alone would hardly make.
    const differs = others.filter(({ mean, radius }) => Math.abs(mean - last!.mean) > radius + last!.radius);
    return {
      tables: [
        {
          title: `Loss on dates never seen, nats a character, ${seeds.length} seeds`,
          head: ["wiring", ...seeds.map((one) => `seed ${one}`), "mean", "± (95 %)"],
          rows: results.map(({ name, runs, mean, radius }) => [
            name,
            ...runs.map(({ kept }) => kept.toFixed(4)),
            mean.toFixed(4),
            radius.toFixed(4),
          ]),
        },
      ],
      plot: sideBySide([
        barPlot({
          title: "Loss by wiring",
          x: "encoder layers that the decoder's three look at",
          y: { label: "loss on new dates (nats a character)" },
          series: ["loss"],
          hasDots: true,
          groups: results.map(({ name, mean, radius }) => ({
            name,
            bars: [{ value: mean, low: mean - radius, high: mean + radius }],
          })),
        }),
        linePlot({
          title: `Training, seed ${seed}`,
          x: { label: "update" },
          y: { label: "loss (nats a character)", scale: "log" },
          width: 320,
          lines: results.map(({ name, runs }) => ({ name, points: runs[0]!.taught.curve })),
        }),
      ]),
      verdict: judge(
        [results.every(({ mean }) => Number.isFinite(mean) && mean < 1.5), differs.length > 0],
        `All wirings learn: ${results.map(({ name, mean, radius }) => `${name} ${mean.toFixed(3)} ± ${radius.toFixed(3)}`).join(", ")} ` +
          `nats; the best mean is that of "${best.name}". ` +
          (differs.length > 0
            ? `Beyond the spread of seeds different from "last": ${differs.map(({ name }) => name).join(", ")}.`
            : 'None differs from "last" by more than the seeds do.'),
      ),
    };
  },
};
