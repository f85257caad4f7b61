// Many feed-forward layers of which each token goes through one: more parameters at the same work a token.
import type { FeedForwardChoice } from "heddle/models";
import { judge, type Lab } from "./lab.ts";
import { barPlot } from "./plots/bar-plot.ts";
import { sideBySide } from "./plots/drawing.ts";
import { linePlot } from "./plots/line-plot.ts";
import { labelLoss, smallModel } from "./small-model.ts";
import { labelsOf } from "./tasks.ts";
import { CharacterText } from "./text.ts";
import { meanLoss, parameterCount, teach } from "./training.ts";

const variants: readonly { readonly name: string; readonly feedForward: FeedForwardChoice }[] = [
  { name: "one layer for all", feedForward: "relu" },
  { name: "4 experts", feedForward: { kind: "experts", experts: 4 } },
  { name: "8 experts", feedForward: { kind: "experts", experts: 8 } },
  { name: "8 experts, not balanced", feedForward: { kind: "experts", experts: 8, balance: 0 } },
];

export const experts: Lab = {
  name: "experts",
  claim:
    "A mixture of experts (Switch) uses a part of its parameters for each token, and a balance loss keeps all experts at work",
  source: "Fedus et al. 2021, Switch Transformers",
  usesText: true,
  async run({ seed, isQuick, listener, signal, text }) {
    const source = new CharacterText({ seed, text });
    const results = [];
    for (const { name, feedForward } of variants) {
      const model = smallModel({
        vocabularySize: source.vocabularySize,
        dModel: isQuick ? 16 : 64,
        dFeedForward: isQuick ? 16 : 128,
        feedForward,
        positions: "rotary",
      });
      const loss = labelLoss(model);
      const taught = await teach({
        model,
        loss,
        batch: source.batches({ rows: isQuick ? 4 : 32, time: isQuick ? 8 : 64 }),
        labels: labelsOf,
        steps: isQuick ? 2 : 500,
        learningRate: 2e-3,
        seed,
        name,
        listener,
        signal,
      });
      const judgement = source.judgement({ time: 64, characters: isQuick ? 256 : 32_768 });
      const { weights, secondsPerStep, figures, curve } = taught;
      results.push({
        name,
        curve,
        secondsPerStep,
        parameters: parameterCount(model),
        load: figures["experts.load"],
        dropped: figures["experts.dropped"],
        kept: await meanLoss({ model, loss, weights, labels: labelsOf }, judgement),
      });
    }
    const [dense, , balanced, alone] = results as [
      (typeof results)[0],
      (typeof results)[0],
      (typeof results)[0],
      (typeof results)[0],
    ];
    return {
      tables: [
        {
          title: "A character model with 2 layers: one expert a token, capacity 1.25 times the fair share",
          head: ["feed-forward", "parameters", "loss on kept text", "busiest ÷ mean", "dropped a batch", "ms a step"],
          rows: results.map((one) => [
            one.name,
            `${one.parameters}`,
            one.kept.toFixed(4),
            one.load?.toFixed(2) ?? "–",
            one.dropped?.toFixed(0) ?? "–",
            (1000 * one.secondsPerStep).toFixed(0),
          ]),
        },
      ],
      plot: sideBySide([
        linePlot({
          title: "Training",
          x: { label: "update" },
          y: { label: "loss (nats a character, balance included)", scale: "log" },
          lines: results.map(({ name, curve }) => ({ name, points: curve })),
        }),
        barPlot({
          title: "How busy the busiest expert is",
          x: "feed-forward",
          y: { label: "busiest ÷ mean" },
          width: 320,
          series: ["load"],
          groups: results
            .filter(({ load }) => load !== undefined)
            .map(({ name, load }) => ({ name: name.replace(" experts", ""), bars: [{ value: load! }] })),
        }),
      ]),
      verdict: judge(
        [balanced.kept < dense.kept, balanced.load! <= 1.5, alone.load! > balanced.load!],
        `8 experts have ${(balanced.parameters / dense.parameters).toFixed(1)} times the parameters and came to ${balanced.kept.toFixed(3)} nats, one layer to ` +
          `${dense.kept.toFixed(3)}. With the balance loss the busiest expert had ${balanced.load!.toFixed(2)} times its share, without ${alone.load!.toFixed(2)}.`,
      ),
    };
  },
};
