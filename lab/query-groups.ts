// Fewer heads of keys and values than of queries: what the cache of a decoder, its speed and its loss make of it.
import { hostTensor } from "#base";
import { greedySearch } from "heddle/decode";
import { cacheBytesPerToken, poolKeyValueHeads, teacherForcing, Transformer, TransformerDecoder } from "heddle/models";
import { initialize, namedParameters } from "heddle/nn";
import { DatePairs, dateLabels } from "./dates.ts";
import { judge, type Lab, type LabContext } from "./lab.ts";
import { barPlot } from "./plots/bar-plot.ts";
import { sideBySide } from "./plots/drawing.ts";
import { meanLoss, teach, type Weights } from "./training.ts";

const heads = 8;
const groups = [
  { name: "multi-head", keyValueHeads: 8 },
  { name: "2 groups", keyValueHeads: 2 },
  { name: "multi-query", keyValueHeads: 1 },
] as const;

export const queryGroups: Lab = {
  name: "query-groups",
  claim: "Sharing keys and values between heads makes the cache smaller and decoding faster at little loss",
  source: "Shazeer 2019, Fast Transformer Decoding; Ainslie et al. 2023, GQA",
  async run(context) {
    const { seed, isQuick } = context;
    const pairs = new DatePairs({ seed, isQuick });
    const steps = isQuick ? 10 : 400;
    const make = (keyValueHeads: number): Transformer =>
      new Transformer({
        vocabularySize: pairs.vocabularySize,
        dModel: 64,
        heads,
        keyValueHeads,
        layers: 2,
        dFeedForward: 128,
        dropout: 0,
        norm: "pre",
        maxPositions: 128,
      });
    const results = [];
    let taughtWhole: Weights | undefined;
    for (const { name, keyValueHeads } of groups) {
      const model = make(keyValueHeads);
      const { weights, kept } = await learn(name, model, pairs, { ...context, steps });
      taughtWhole ??= weights;
      // The multi-head checkpoint pooled, as it is and after a tenth of the updates more.
      const includes = (path: string): boolean => path.endsWith("Attention");
      const pooled = poolKeyValueHeads(taughtWhole, { heads, keyValueHeads, includes }) as Weights;
      const loss = teacherForcing(model);
      const atOnce = await meanLoss({ model, loss, weights: pooled, labels: dateLabels }, pairs.judgement());
      const further = await learn(`${name}, pooled`, model, pairs, { ...context, steps: steps / 10, from: pooled });
      results.push({
        name,
        bytes: cacheBytesPerToken(model),
        tokensPerSecond: await speed(keyValueHeads, context),
        kept,
        atOnce,
        further: further.kept,
      });
    }
    const [whole, , single] = results as [(typeof results)[0], (typeof results)[0], (typeof results)[0]];
    const mostLost = Math.max(...results.map(({ kept }) => kept)) - whole.kept;
    return {
      tables: [
        {
          title: `Dates, ${heads} heads of queries; decoding: 64 sequences of ${isQuick ? 16 : 256} tokens, dModel 512, 2 layers`,
          head: [
            "keys and values",
            "cache (bytes a token)",
            "decoding (tokens/s)",
            "loss, taught so",
            "loss, pooled",
            "loss, pooled and taught on",
          ],
          rows: results.map((one) => [
            one.name,
            `${one.bytes}`,
            one.tokensPerSecond.toFixed(0),
            one.kept.toFixed(4),
            one.atOnce.toFixed(4),
            one.further.toFixed(4),
          ]),
        },
      ],
      plot: sideBySide([
        barPlot({
          title: "Decoding",
          x: "heads of keys and values",
          y: { label: "tokens a second" },
          width: 300,
          series: ["speed"],
          groups: results.map(({ name, tokensPerSecond }) => ({ name, bars: [{ value: tokensPerSecond }] })),
        }),
        barPlot({
          title: "Loss on new dates",
          x: "heads of keys and values",
          y: { label: "nats a character" },
          series: ["taught so", "pooled", "pooled and taught on"],
          groups: results.map(({ name, kept, atOnce, further }) => ({
            name,
            bars: [{ value: kept }, { value: atOnce }, { value: further }],
          })),
        }),
      ]),
      verdict: judge(
        [single.bytes * heads === whole.bytes, single.tokensPerSecond > whole.tokensPerSecond, mostLost < 0.05],
        `The cache of multi-query attention is 1/${whole.bytes / single.bytes} of multi-head attention's, its decoding ` +
          `${(single.tokensPerSecond / whole.tokensPerSecond).toFixed(2)} times as fast; the loss grew by at most ${mostLost.toFixed(3)} nats.`,
      ),
    };
  },
};

async function learn(
  name: string,
  model: Transformer,
  pairs: DatePairs,
  { seed, isQuick, listener, signal, steps, from }: LabContext & { steps: number; from?: Weights },
): Promise<{ readonly weights: Weights; readonly kept: number }> {
  const loss = teacherForcing(model);
  const { weights } = await teach({
    model,
    loss,
    batch: pairs.batches(isQuick ? 4 : 24),
    labels: dateLabels,
    steps,
    learningRate: from === undefined ? 2e-3 : 5e-4,
    seed,
    name,
    listener,
    signal,
    ...(from && { from }),
  });
  return { weights, kept: await meanLoss({ model, loss, weights, labels: dateLabels }, pairs.judgement()) };
}

/** Greedy search without an END, with random weights; a model wide enough that its cache weighs. */
async function speed(keyValueHeads: number, { seed, isQuick, signal }: LabContext): Promise<number> {
  signal.throwIfAborted();
  const [rows, tokens] = [isQuick ? 4 : 64, isQuick ? 16 : 256];
  const model = new Transformer({
    vocabularySize: 32,
    dModel: 512,
    heads,
    keyValueHeads,
    layers: { encoder: 1, decoder: 2 },
    dFeedForward: 512,
    maxPositions: 512,
  });
  const decoder = new TransformerDecoder(model, initialize(namedParameters(model), seed));
  try {
    const sources = hostTensor("int32", [rows, 4], new Int32Array(rows * 4).fill(5));
    const seconds: number[] = [];
    for (let run = 0; run < 4; run++) {
      const startMs = performance.now();
      await greedySearch(await decoder.start(sources), { start: 2, maxTokens: tokens });
      seconds.push((performance.now() - startMs) / 1000);
    }
    // The first run compiles.
    return (rows * tokens) / Math.min(...seconds.slice(1));
  } finally {
    await decoder.dispose();
  }
}
