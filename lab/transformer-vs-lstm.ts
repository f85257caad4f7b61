// The Transformer beside the LSTMs that it replaced, all of one size, on one small translation task.
import { LstmTranslator, teacherForcing, Transformer, type SequenceToSequence } from "heddle/models";
import { DatePairs, dateLabels } from "./dates.ts";
import { judge, type Lab } from "./lab.ts";
import { barPlot } from "./plots/bar-plot.ts";
import { sideBySide } from "./plots/drawing.ts";
import { linePlot } from "./plots/line-plot.ts";
import { meanLoss, parameterCount, teach } from "./training.ts";

/** How far apart numbers of parameters may be. */
const parity = 0.05;

/** The LSTM whose width brings it nearest to this many parameters. */
function lstmOf(parameters: number, options: { vocabularySize: number; dModel: number; attention: "luong" | "none" }) {
  const sized = Array.from({ length: 120 }, (_, i) => 8 + 2 * i).map((dHidden) => {
    const model = new LstmTranslator({ ...options, dHidden, layers: 2, dropout: 0, maxPositions: 128 });
    return { model, off: Math.abs(parameterCount(model) - parameters) };
  });
  return sized.reduce((a, b) => (b.off < a.off ? b : a)).model;
}

export const transformerVsLstm: Lab = {
  name: "transformer-vs-lstm",
  claim:
    "A Transformer translates better than an LSTM and trains faster, and one vector for a whole sentence forgets long sentences",
  source: "Vaswani et al. 2017; Bahdanau et al. 2015; Sutskever et al. 2014",
  async run({ seed, isQuick, listener, signal }) {
    const pairs = new DatePairs({ seed, isQuick });
    const { vocabularySize } = pairs;
    const dModel = isQuick ? 16 : 64;
    const transformer = new Transformer({
      vocabularySize,
      dModel,
      heads: 4,
      dFeedForward: 2 * dModel,
      layers: 2,
      dropout: 0,
      norm: "pre",
      maxPositions: 128,
    });
    const size = parameterCount(transformer);
    const models: { name: string; model: SequenceToSequence }[] = [
      { name: "Transformer", model: transformer },
      { name: "LSTM with attention", model: lstmOf(size, { vocabularySize, dModel, attention: "luong" }) },
      { name: "LSTM, one vector", model: lstmOf(size, { vocabularySize, dModel, attention: "none" }) },
    ];
    const kept = pairs.judgement();
    const third = Math.ceil(kept.length / 3);
    const results = [];
    for (const { name, model } of models) {
      const loss = teacherForcing(model);
      const batch = pairs.batches(isQuick ? 4 : 32);
      const taught = await teach({
        model,
        loss,
        batch,
        labels: dateLabels,
        steps: isQuick ? 2 : 500,
        learningRate: 3e-3,
        seed,
        name,
        listener,
        signal,
      });
      const lossOn = (batches: typeof kept): Promise<number> =>
        meanLoss({ model, loss, weights: taught.weights, labels: dateLabels }, batches);
      results.push({
        name,
        taught,
        parameters: parameterCount(model),
        all: await lossOn(kept),
        short: await lossOn(kept.slice(0, third)),
        long: await lossOn(kept.slice(-third)),
        tokensPerSecond: dateLabels(batch(1)) / taught.secondsPerStep,
      });
    }
    const [ours, attending, vector] = results as [(typeof results)[0], (typeof results)[0], (typeof results)[0]];
    const faster = ours.tokensPerSecond / attending.tokensPerSecond;
    const isFair = results.every(({ parameters }) => Math.abs(parameters / size - 1) <= parity || isQuick);
    return {
      tables: [
        {
          title:
            "Loss on dates never seen, nats a character; short and long: the third of the dates whose sources are so",
          head: ["model", "parameters", "all", "short", "long", "target tokens/s in training"],
          rows: results.map(({ name, parameters, all, short, long, tokensPerSecond }) => [
            name,
            parameters.toLocaleString("en"),
            all.toFixed(4),
            short.toFixed(4),
            long.toFixed(4),
            tokensPerSecond.toFixed(0),
          ]),
        },
      ],
      plot: sideBySide([
        barPlot({
          title: "Loss by length of the source",
          x: "model",
          y: { label: "loss on new dates (nats a character)" },
          series: ["short", "long"],
          groups: results.map(({ name, short, long }) => ({ name, bars: [{ value: short }, { value: long }] })),
        }),
        linePlot({
          title: "Training",
          x: { label: "update" },
          y: { label: "loss (nats a character)", scale: "log" },
          width: 320,
          lines: results.map(({ name, taught }) => ({ name, points: taught.curve })),
        }),
      ]),
      verdict: judge(
        [isFair && ours.all < attending.all, attending.all < vector.all, vector.long > vector.short, faster > 1],
        `After as many updates, with parameters within ${(100 * parity).toFixed(0)} %: Transformer ${ours.all.toFixed(3)}, LSTM with attention ` +
          `${attending.all.toFixed(3)}, LSTM with one vector ${vector.all.toFixed(3)} nats a character; from short to long sources ` +
          `${results.map(({ short, long }) => `${short.toFixed(3)} → ${long.toFixed(3)}`).join(", ")}. The Transformer trains ` +
          `${faster.toFixed(2)} times as fast as the LSTM with attention here.`,
      ),
    };
  },
};
