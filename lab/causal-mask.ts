// What a mask must write over the scores of the future: only a number that softmax turns into nothing hides it.
import { hostTensor } from "#base";
import type { LanguageModel } from "heddle/models";
import { causalMask, MultiHeadAttention, type AttentionKernel } from "heddle/nn";
import { matmul, reshape, scalar, softmax, where, type Dim } from "heddle/tensor";
import { judge, type Lab, type LabContext } from "./lab.ts";
import { sideBySide } from "./plots/drawing.ts";
import { heatMap } from "./plots/heat-map.ts";
import { linePlot } from "./plots/line-plot.ts";
import { labelLoss, smallModel } from "./small-model.ts";
import { batchesOf, labelsOf, MarkovSource } from "./tasks.ts";
import { meanLoss, teach, type Batch, type Taught } from "./training.ts";

/** Full attention with `fill` in place of the scores of later keys. */
const filledWith = (fill: number): AttentionKernel => ({
  name: `filled with ${fill}`,
  attend(query, key, value, { queryTime, keyTime }) {
    const dHead = query.shape.at(-1) as number;
    const scores = matmul(query, key, { transposeB: true, alpha: 1 / Math.sqrt(dHead) });
    const mask = reshape(causalMask(queryTime, keyTime), [1, 1, queryTime, keyTime] as readonly Dim[]);
    const weights = softmax(where(mask, scores, scalar(fill)));
    return { context: matmul(weights, value), weights };
  },
});

/** Finite in place of −∞: below it the exponential is exactly 0, and a row of nothing else gives no NaN. */
const hidden = -1e9;
const fills = [
  { name: "−∞", fill: hidden },
  { name: "−1", fill: -1 },
  { name: "0", fill: 0 },
] as const;

export const futureMask: Lab = {
  name: "causal-mask",
  claim:
    "Masked self-attention writes −1 over the scores of the future, an upper triangle, so that a position sees only the past",
  source: "Vaswani et al. 2017, Attention Is All You Need, section 3.2.3 (which sets them to −∞)",
  async run(context) {
    const { isQuick, seed } = context;
    const [symbols, time] = [16, isQuick ? 8 : 32];
    const source = new MarkovSource({ vocabularySize: symbols, seed });
    const results: { name: string; taught: Taught; seen: number; unseen: number; leak: number }[] = [];
    for (const { name, fill } of fills) {
      const model = smallModel({
        vocabularySize: symbols,
        attention: ({ dModel, heads }) => new MultiHeadAttention({ dModel, heads, kernel: filledWith(fill) }),
      });
      const taught = await learn(model, name, source, time, context);
      const loss = labelLoss(model);
      const [whole, prefixes] = examinationOf(source, time, { rows: isQuick ? 4 : 64, seed: seed + 1000 });
      const weights = taught.weights;
      const mean = (batches: readonly Batch[]): Promise<number> =>
        meanLoss({ model, loss, weights, labels: labelsOf }, batches);
      const leak = leakOf(fill, time);
      results.push({ name, taught, seen: await mean(whole), unseen: await mean(prefixes), leak });
    }
    const { entropy } = source;
    const [proper, minusOne] = results as [(typeof results)[0], (typeof results)[0], (typeof results)[0]];
    const cheats = minusOne.seen < entropy - 0.1 && minusOne.unseen > minusOne.seen + 0.1;
    return {
      tables: [
        {
          title: `A Markov chain of ${symbols} symbols, ${entropy.toFixed(3)} nats a token at best`,
          head: ["fill", "weight on the future at the start", "loss, future in the input", "loss, future not there"],
          rows: results.map(({ name, leak, seen, unseen }) => [
            name,
            leak.toFixed(3),
            seen.toFixed(3),
            unseen.toFixed(3),
          ]),
        },
      ],
      plot: sideBySide([
        linePlot({
          title: "Training: below the line is cheating",
          x: { label: "update" },
          y: { label: "loss (nats a token)", from: 0 },
          lines: [
            ...results.map(({ name, taught }) => ({ name: `fill ${name}`, points: taught.curve })),
            {
              name: "entropy of the chain",
              points: [proper.taught.curve[0]!, proper.taught.curve.at(-1)!].map(([step]) => [step, entropy] as const),
              look: 6 + 8,
            },
          ],
        }),
        ...[-1, hidden].map((fill) =>
          heatMap({
            title: fill === -1 ? "Weights, fill −1" : "Weights, fill −∞",
            x: "key",
            y: "query",
            columns: Array.from({ length: 6 }, (_, i) => `${i + 1}`),
            rows: Array.from({ length: 6 }, (_, i) => `${i + 1}`),
            values: weightsOf(fill, 6),
            scale: { label: "weight", from: 0, to: 1 },
            cell: 30,
          }),
        ),
      ]),
      verdict: judge(
        [minusOne.leak < 1e-6, !cheats],
        `With −1 a query of equal scores gives ${(100 * minusOne.leak).toFixed(0)} % of its weight to the future on average, ` +
          `and training finds it: ${minusOne.seen.toFixed(2)} nats a token where ${entropy.toFixed(2)} are the least that is ` +
          `possible, but ${minusOne.unseen.toFixed(2)} where the future is not there to be read. With −∞ it is ` +
          `${proper.seen.toFixed(2)} and ${proper.unseen.toFixed(2)}. (And with queries as rows, the triangle that stays is the lower one.)`,
      ),
    };
  },
};

/** Mean share of the weight that equal scores give to later keys. */
function leakOf(fill: number, time: number): number {
  const rows = weightsOf(fill, time);
  return rows.reduce((sum, row, i) => sum + row.slice(i + 1).reduce((a, b) => a + b, 0), 0) / time;
}

/** Softmax of rows of scores 0 with the fill after the diagonal. */
function weightsOf(fill: number, time: number): number[][] {
  return Array.from({ length: time }, (_, query) => {
    const row = Array.from({ length: time }, (_, key) => (key <= query ? 1 : Math.exp(fill)));
    const total = row.reduce((a, b) => a + b, 0);
    return row.map((value) => value / total);
  });
}

function learn(
  model: LanguageModel,
  name: string,
  source: MarkovSource,
  time: number,
  { seed, isQuick, listener, signal }: LabContext,
): Promise<Taught> {
  return teach({
    model,
    loss: labelLoss(model),
    batch: batchesOf(source.row(time), { rows: isQuick ? 4 : 32, seed }),
    labels: labelsOf,
    steps: isQuick ? 4 : 600,
    seed,
    every: isQuick ? 2 : 10,
    name: `fill ${name}`,
    listener,
    signal,
  });
}

/**
 * The same rows twice: whole, every token asked for its next; and cut off after each of a few lengths, asked at the last token
 * only, as when a model writes: there the future is not in the input.
 */
function examinationOf(
  source: MarkovSource,
  time: number,
  { rows, seed }: { rows: number; seed: number },
): readonly [whole: readonly Batch[], prefixes: readonly Batch[]] {
  const whole = batchesOf(source.row(time), { rows, seed })(1);
  const [ids, labels] = [whole.ids!.data as Int32Array, whole.labels!.data as Int32Array];
  const prefixes = Array.from({ length: time }, (_, t) => t + 1).map((length) => {
    const cut = new Int32Array(rows * length);
    const asked = new Int32Array(rows * length).fill(-1);
    for (let row = 0; row < rows; row++) {
      cut.set(ids.subarray(row * time, row * time + length), row * length);
      asked[row * length + length - 1] = labels[row * time + length - 1]!;
    }
    return { ids: hostTensor("int32", [rows, length], cut), labels: hostTensor("int32", [rows, length], asked) };
  });
  return [[whole], prefixes];
}
