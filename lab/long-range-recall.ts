// How far back something can be looked up: by attention at once, through windows a layer at a time, or not at all.
import type { OutputLayer } from "heddle/models";
import { Embedding, Lstm, Module, PassReports } from "heddle/nn";
import type { Tensor } from "heddle/tensor";
import { judge, type Lab } from "./lab.ts";
import { linePlot } from "./plots/line-plot.ts";
import { labelLoss, smallModel, type Reader } from "./small-model.ts";
import { batchesOf, labelsOf, recall, recallVocabulary } from "./tasks.ts";
import { examine, parameterCount, teach } from "./training.ts";

const window = 16;
const layers = 2;
/** The last place that a stack of windows still hears from: each layer reaches window − 1 places back. */
const reach = layers * (window - 1);

/** Layers of long short-term memory, one upon the other; the output layer is the table of embeddings. */
class LstmReader extends Module implements Reader {
  readonly embedding: Embedding;
  readonly layers: readonly Lstm[];

  constructor({ vocabularySize, width, layers }: { vocabularySize: number; width: number; layers: number }) {
    super();
    this.embedding = new Embedding({ vocabularySize, dModel: width });
    this.layers = Array.from({ length: layers }, () => new Lstm({ from: width, to: width }));
  }

  forward(ids: Tensor): { output: Tensor; reports: PassReports } {
    const output = this.layers.reduce((x, layer) => layer.forward(x).output, this.embedding.forward(ids));
    return { output, reports: new PassReports() };
  }

  outputLayer(): OutputLayer {
    return { table: this.embedding.table.value, bias: undefined };
  }
}

const variants: readonly { readonly name: string; readonly make: (vocabularySize: number) => Reader }[] = [
  { name: "full attention", make: (vocabularySize) => smallModel({ vocabularySize, layers }) },
  {
    name: `window of ${window}`,
    make: (vocabularySize) => smallModel({ vocabularySize, layers, attention: { kind: "sliding-window", window } }),
  },
  {
    name: `window of ${window}, 2 global tokens`,
    make: (vocabularySize) =>
      smallModel({ vocabularySize, layers, attention: { kind: "longformer", window, globalTokens: 2 } }),
  },
  // Three layers have the parameters of two of the others.
  { name: "LSTM", make: (vocabularySize) => new LstmReader({ vocabularySize, width: 64, layers: 3 }) },
];

export const longRangeRecall: Lab = {
  name: "long-range-recall",
  claim:
    "An LSTM keeps hold of 7 to 15 tokens, attention reaches any distance; a window reaches as far as its layers add up to",
  source: "Khandelwal et al. 2018, Sharp Nearby, Fuzzy Far Away; Beltagy et al. 2020, Longformer",
  async run({ seed, isQuick, listener, signal }) {
    const values = 16;
    const distances = isQuick ? [4, 8] : [8, 16, 24, 32, 64, 128];
    // The thing to remember stands at the front, right after its mark.
    const tasks = distances.map((distance) => recall({ values, distance, time: distance + 2 }));
    const rows = isQuick ? 4 : 32;
    const results: { name: string; parameters: number; accuracies: number[] }[] = [];
    for (const { name, make } of variants) {
      const model = make(recallVocabulary(values));
      const { weights } = await teach({
        model,
        loss: labelLoss(model),
        // All distances in turn.
        batch: (step) => batchesOf(tasks[step % tasks.length]!, { rows, seed })(step),
        labels: labelsOf,
        steps: isQuick ? 4 : 600,
        learningRate: 2e-3,
        seed,
        name,
        listener,
        signal,
      });
      const loss = labelLoss(model, { isCounted: true });
      const accuracies: number[] = [];
      for (const task of tasks) {
        const questions = isQuick ? 8 : 256;
        const { correct } = await examine({ model, loss, weights }, [
          batchesOf(task, { rows: questions, seed: seed + 1000 })(1),
        ]);
        accuracies.push(correct! / questions);
      }
      const parameters = parameterCount(model);
      results.push({ name, parameters, accuracies });
    }
    const at = (name: string, distance: number): number =>
      results.find((one) => one.name === name)!.accuracies[distances.indexOf(distance)]!;
    const [far, chance] = [distances.at(-1)!, 1 / values];
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    const [full, windowed, global, lstm] = variants.map(({ name }) => name) as [string, string, string, string];
    const [within, beyond] = [distances.filter((d) => d <= reach), distances.filter((d) => d > reach)];
    return {
      tables: [
        {
          title: `Right answers by the distance of what is asked for; ${layers} layers, one of ${values} values, chance ${percent(chance)}`,
          head: ["model", "parameters", ...distances.map((distance) => `${distance}`)],
          rows: results.map(({ name, parameters, accuracies }) => [name, `${parameters}`, ...accuracies.map(percent)]),
        },
      ],
      plot: linePlot({
        title: "Recall by distance",
        x: { label: "distance (tokens)", scale: "log", base: 2 },
        y: { label: "right answers (%)", from: 0, to: 100 },
        lines: [
          ...results.map(({ name, accuracies }) => ({
            name,
            points: accuracies.map((value, i) => [distances[i]!, 100 * value] as const),
            hasDots: true,
          })),
          {
            name: `reach of ${layers} windows: ${reach}`,
            points: [
              [reach, 0],
              [reach, 100],
            ] as const,
            look: 14,
          },
        ],
      }),
      verdict: judge(
        [
          at(full, far) >= 0.99,
          within.every((d) => at(windowed, d) > 0.9) && beyond.every((d) => at(windowed, d) < 3 * chance),
          at(global, far) >= 0.99,
          at(lstm, far) < 0.5,
        ],
        `At ${far} tokens full attention was right in ${percent(at(full, far))}, a window of ${window} in ${percent(at(windowed, far))}, ` +
          `with global tokens in ${percent(at(global, far))}, an LSTM in ${percent(at(lstm, far))}. Two layers of windows reach ${reach} places.`,
      ),
    };
  },
};
