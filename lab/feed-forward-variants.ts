// Gated feed-forward layers against plain ones of the same number of parameters.
import type { FeedForwardChoice } from "heddle/models";
import { judge, type Lab } from "./lab.ts";
import { barPlot } from "./plots/bar-plot.ts";
import { labelLoss, smallModel } from "./small-model.ts";
import { intervalOf } from "./statistics.ts";
import { labelsOf } from "./tasks.ts";
import { CharacterText } from "./text.ts";
import { meanLoss, parameterCount, teach } from "./training.ts";

const variants = [
  { name: "ReLU", choice: "relu", isGated: false },
  { name: "GELU", choice: "gelu", isGated: false },
  { name: "SwiGLU", choice: "swiglu", isGated: true },
  { name: "GeGLU", choice: "geglu", isGated: true },
] as const satisfies readonly { name: string; choice: FeedForwardChoice; isGated: boolean }[];

export const feedForwardVariants: Lab = {
  name: "feed-forward-variants",
  claim: "Gated feed-forward layers (SwiGLU, GeGLU) do better than ReLU at the same number of parameters",
  source: "Shazeer 2020, GLU Variants Improve Transformer",
  usesText: true,
  async run({ seed, isQuick, listener, signal, text }) {
    const source = new CharacterText({ seed, text });
    const dModel = isQuick ? 24 : 48;
    const seeds = Array.from({ length: isQuick ? 2 : 3 }, (_, i) => seed + i);
    const results = [];
    for (const { name, choice, isGated } of variants) {
      const model = smallModel({
        vocabularySize: source.vocabularySize,
        dModel,
        feedForward: choice,
        positions: "rotary",
        // Three matrices in place of two: two thirds of the width.
        dFeedForward: isGated ? (dModel * 8) / 3 : dModel * 4,
      });
      const loss = labelLoss(model);
      const losses: number[] = [];
      for (const own of seeds) {
        const { weights } = await teach({
          model,
          loss,
          batch: source.batches({ rows: isQuick ? 4 : 32, time: isQuick ? 8 : 64 }),
          labels: labelsOf,
          steps: isQuick ? 2 : 400,
          learningRate: 2e-3,
          seed: own,
          name: `${name}, seed ${own}`,
          listener,
          signal,
        });
        const judgement = source.judgement({ time: 64, characters: isQuick ? 256 : 32_768 });
        losses.push(await meanLoss({ model, loss, weights, labels: labelsOf }, judgement));
      }
      const parameters = parameterCount(model);
      results.push({ name, isGated, parameters, losses, ...intervalOf(losses) });
    }
    const [relu] = results;
    const gated = results.filter(({ isGated }) => isGated);
    return {
      tables: [
        {
          title: `Loss on kept text, nats a character, ${seeds.length} seeds`,
          head: ["layer", "parameters", ...seeds.map((one) => `seed ${one}`), "mean", "± (95 %)"],
          rows: results.map(({ name, parameters, losses, mean, radius }) => [
            name,
            `${parameters}`,
            ...losses.map((value) => value.toFixed(4)),
            mean.toFixed(4),
            radius.toFixed(4),
          ]),
        },
      ],
      plot: barPlot({
        title: "Feed-forward layers of the same size",
        x: "layer",
        y: { label: "loss on kept text (nats a character)" },
        series: ["loss"],
        hasDots: true,
        groups: results.map(({ name, mean, radius }) => ({
          name,
          bars: [{ value: mean, low: mean - radius, high: mean + radius }],
        })),
      }),
      verdict: judge(
        gated.map(({ mean }) => mean <= relu!.mean),
        `${results.map(({ name, mean, radius }) => `${name} ${mean.toFixed(3)} ± ${radius.toFixed(3)}`).join(", ")} nats a character.`,
      ),
    };
  },
};
