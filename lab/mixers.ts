// What can stand where attention stands: on text, and where something has to be looked up again.
import type { MixerChoice, PositionChoice } from "heddle/models";
import { judge, type Lab } from "./lab.ts";
import { barPlot } from "./plots/bar-plot.ts";
import { sideBySide } from "./plots/drawing.ts";
import { labelLoss, smallModel } from "./small-model.ts";
import { batchesOf, labelsOf, recall, recallVocabulary } from "./tasks.ts";
import { CharacterText } from "./text.ts";
import { examine, meanLoss, teach } from "./training.ts";

interface Variant {
  readonly name: string;
  readonly attention: MixerChoice;
  /** What fades or is scanned knows of places by itself. */
  readonly positions: PositionChoice;
}

const variants: readonly Variant[] = [
  { name: "attention", attention: "full", positions: "rotary" },
  { name: "linear attention", attention: "linear", positions: "rotary" },
  { name: "retention", attention: "retention", positions: "none" },
  { name: "state space", attention: "mamba", positions: "none" },
];

export const mixers: Lab = {
  name: "mixers",
  claim: "Other architectures can take the place of attention: linear attention, retention, selective state spaces",
  source: "Katharopoulos et al. 2020; Sun et al. 2023 (RetNet); Gu and Dao 2023 (Mamba)",
  usesText: true,
  async run({ seed, isQuick, listener, signal, text }) {
    const source = new CharacterText({ seed, text });
    const values = 16;
    const distance = isQuick ? 4 : 32;
    const remember = recall({ values, distance, time: 2 * distance });
    const shared = { labels: labelsOf, seed, listener, signal };
    const results = [];
    for (const { name, attention, positions } of variants) {
      const size = { attention, positions, dModel: isQuick ? 16 : 64, dFeedForward: isQuick ? 16 : 128 };
      const writer = smallModel({ ...size, vocabularySize: source.vocabularySize });
      const ofText = labelLoss(writer);
      const read = await teach({
        ...shared,
        model: writer,
        loss: ofText,
        batch: source.batches({ rows: isQuick ? 4 : 32, time: isQuick ? 8 : 64 }),
        steps: isQuick ? 2 : 400,
        learningRate: 2e-3,
        name: `${name}, text`,
      });
      const kept = source.judgement({ time: 64, characters: isQuick ? 256 : 32_768 });
      const textLoss = await meanLoss({ model: writer, loss: ofText, weights: read.weights, labels: labelsOf }, kept);

      const rememberer = smallModel({ ...size, vocabularySize: recallVocabulary(values) });
      const recalled = await teach({
        ...shared,
        model: rememberer,
        loss: labelLoss(rememberer),
        batch: batchesOf(remember, { rows: isQuick ? 4 : 32, seed }),
        steps: isQuick ? 2 : 500,
        learningRate: 2e-3,
        name: `${name}, recall`,
      });
      const questions = isQuick ? 16 : 512;
      const { correct } = await examine(
        { model: rememberer, loss: labelLoss(rememberer, { isCounted: true }), weights: recalled.weights },
        [batchesOf(remember, { rows: questions, seed: seed + 1000 })(1)],
      );
      results.push({ name, textLoss, accuracy: correct! / questions, secondsPerStep: read.secondsPerStep });
    }
    const [attention, ...others] = results;
    const near = others.filter(({ textLoss }) => textLoss <= attention!.textLoss + 0.05);
    const recallers = others.filter(({ accuracy }) => accuracy >= 0.99);
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    return {
      tables: [
        {
          title: `Two layers of dModel 64; recall of one of ${values} values over ${distance} tokens`,
          head: ["mixer", "loss on kept text", "recall", "ms a step on text"],
          rows: results.map(({ name, textLoss, accuracy, secondsPerStep }) => [
            name,
            textLoss.toFixed(4),
            percent(accuracy),
            (1000 * secondsPerStep).toFixed(0),
          ]),
        },
      ],
      plot: sideBySide([
        barPlot({
          title: "Text",
          x: "mixer",
          y: { label: "loss on kept text (nats a character)" },
          series: ["loss"],
          hasDots: true,
          groups: results.map(({ name, textLoss }) => ({ name, bars: [{ value: textLoss }] })),
        }),
        barPlot({
          title: `Recall over ${distance} tokens`,
          x: "mixer",
          y: { label: "right answers (%)", to: 100 },
          series: ["recall"],
          groups: results.map(({ name, accuracy }) => ({ name, bars: [{ value: 100 * accuracy }] })),
        }),
      ]),
      verdict: judge(
        [near.length > 0, recallers.length > 0],
        `On text: ${results.map(({ name, textLoss }) => `${name} ${textLoss.toFixed(3)}`).join(", ")} nats a character. ` +
          `Recall: ${results.map(({ name, accuracy }) => `${name} ${percent(accuracy)}`).join(", ")}.`,
      ),
    };
  },
};
