// Why scores are divided by √dHead: without it their variance is dHead, and a softmax over them is nearly a choice of one.
import { hostTensor, randomKey, RandomStream } from "#base";
import { compile } from "heddle/engine";
import { FullAttention, MultiHeadAttention, type AttentionKernel } from "heddle/nn";
import { dim, input, matmul, max, mul, softmax, sum } from "heddle/tensor";
import { constant } from "heddle/train";
import { judge, type Lab, type LabContext } from "./lab.ts";
import { sideBySide } from "./plots/drawing.ts";
import { linePlot } from "./plots/line-plot.ts";
import { batchesOf, labelsOf, recall, recallVocabulary } from "./tasks.ts";
import { labelLoss, smallModel } from "./small-model.ts";
import { lastLoss, stepsTo, teach, type Taught } from "./training.ts";

/** Full attention without the root: the kernel divides by it, so the queries are multiplied with it first. */
const unscaled: AttentionKernel = {
  name: "full, not scaled",
  attend(query, key, value, scope, dropout) {
    const dHead = query.shape.at(-1) as number;
    return new FullAttention().attend(mul(query, Math.sqrt(dHead)), key, value, scope, dropout);
  },
};

interface Scores {
  readonly dHead: number;
  /** Of q · k, queries and keys of independent standard normal numbers. */
  readonly variance: number;
  /** Mean over queries of the largest weight among `keys`, without and with the root. */
  readonly largest: { readonly unscaled: number; readonly scaled: number };
  /** Mean of Σ w(1 − w), the part of a change of scores that reaches the weights. */
  readonly slope: { readonly unscaled: number; readonly scaled: number };
}

const keys = 64;

export const scaling: Lab = {
  name: "scaling",
  claim:
    "Scores are divided by √dHead so that gradients stay steady: unscaled, their variance is dHead and softmax saturates",
  source: "Vaswani et al. 2017, Attention Is All You Need, section 3.2.1 and footnote 4",
  async run(context) {
    const { isQuick } = context;
    const sizes = isQuick ? [16, 64] : [4, 8, 16, 32, 64, 128, 256, 512];
    const scores: Scores[] = [];
    for (const dHead of sizes) scores.push(await measure(dHead, context));
    const pairs: { seed: number; scaled: Taught; unscaled: Taught }[] = [];
    for (let i = 0; i < (isQuick ? 1 : 3); i++) {
      const seed = context.seed + i;
      pairs.push({
        seed,
        scaled: await learn("scaled", new FullAttention(), { ...context, seed }),
        unscaled: await learn("not scaled", unscaled, { ...context, seed }),
      });
    }
    const reached = (taught: Taught): number => stepsTo(threshold, taught) ?? Infinity;
    const slower = pairs.filter((pair) => reached(pair.unscaled) > reached(pair.scaled)).length;
    const deviation = Math.max(...scores.map(({ dHead, variance }) => Math.abs(variance / dHead - 1)));
    const shown = (steps: number): string => (Number.isFinite(steps) ? `${steps}` : "never");
    return {
      tables: [
        {
          title: `Random queries and keys, ${keys} keys a query`,
          head: [
            "dHead",
            "variance of q·k",
            "÷ dHead",
            "largest weight, raw",
            "largest, scaled",
            "slope of softmax, raw",
            "slope, scaled",
          ],
          rows: scores.map(({ dHead, variance, largest, slope }) => [
            `${dHead}`,
            variance.toFixed(1),
            (variance / dHead).toFixed(3),
            largest.unscaled.toFixed(3),
            largest.scaled.toFixed(3),
            slope.unscaled.toFixed(3),
            slope.scaled.toFixed(3),
          ]),
        },
        {
          title: `Recall over 16 tokens, 2 layers, one head of 256: updates until the loss is ${threshold} nats`,
          head: ["seed", "scaled", "not scaled", "loss at the end, scaled", "loss at the end, not scaled"],
          rows: pairs.map((pair) => [
            `${pair.seed}`,
            shown(reached(pair.scaled)),
            shown(reached(pair.unscaled)),
            lastLoss(pair.scaled).toFixed(3),
            lastLoss(pair.unscaled).toFixed(3),
          ]),
        },
      ],
      plot: sideBySide([
        linePlot({
          title: "Variance of scores",
          x: { label: "dHead", scale: "log", base: 2 },
          y: { label: "variance of q·k", scale: "log" },
          width: 300,
          lines: [
            { name: "not scaled", look: 1, hasDots: true, points: scores.map((one) => [one.dHead, one.variance]) },
            {
              name: "divided by √dHead",
              look: 0,
              hasDots: true,
              points: scores.map((one) => [one.dHead, one.variance / one.dHead]),
            },
          ],
        }),
        linePlot({
          title: "Learning to recall, dHead 256",
          x: { label: "update" },
          y: { label: "loss (nats)" },
          lines: pairs.flatMap((pair, i) => [
            { name: `scaled, seed ${pair.seed}`, points: pair.scaled.curve, look: 8 * i },
            {
              name: `not scaled, seed ${pair.seed}`,
              points: pair.unscaled.curve,
              look: 8 * i + 1,
              isBroken: pair.unscaled.divergedAt !== undefined,
            },
          ]),
        }),
      ]),
      verdict: judge(
        [deviation <= 0.1, slower === pairs.length],
        `The variance of q·k was dHead within ${(100 * deviation).toFixed(1)} %. Without the root learning took longer in ` +
          `${slower} of ${pairs.length} seeds: ${pairs.map((pair) => `${shown(reached(pair.unscaled))} against ${shown(reached(pair.scaled))}`).join(", ")} updates.`,
      ),
    };
  },
};

/** Nats; guessing among 16 values costs ln 16 = 2.77. */
const threshold = 0.5;

/** Means over several draws of keys, as the length of few keys is a matter of chance. */
async function measure(dHead: number, { seed, isQuick, signal }: LabContext): Promise<Scores> {
  signal.throwIfAborted();
  const [draws, queries] = isQuick ? [2, 64] : [64, 256];
  const stream = new RandomStream(randomKey(seed, dHead));
  const draw = (rows: number) =>
    hostTensor(
      "float32",
      [rows, dHead],
      Float32Array.from({ length: rows * dHead }, () => stream.normal()),
    );
  const query = input("query", "float32", [dim("queries"), dHead]);
  const key = input("key", "float32", [dim("keys"), dHead]);
  const raw = matmul(query, key, { transposeB: true });
  const weights = { unscaled: softmax(raw), scaled: softmax(mul(raw, 1 / Math.sqrt(dHead))) };
  const both = Object.entries(weights).flatMap(([name, w]) => [
    [`largest ${name}`, sum(max(w, { axes: [1] }))] as const,
    [`squares ${name}`, sum(mul(w, w))] as const,
  ]);
  await using executable = await compile({
    name: "scores",
    inputs: { query, key },
    outputs: { sum: sum(raw), squares: sum(mul(raw, raw)), ...Object.fromEntries(both) },
  });
  const sums: Record<string, number> = {};
  for (let i = 0; i < draws; i++) {
    const results = await executable.run({ query: draw(queries), key: draw(keys) });
    for (const [name, { data }] of Object.entries(results)) sums[name] = (sums[name] ?? 0) + Number(data[0]);
  }
  const asked = draws * queries;
  const mean = (name: string, of = asked): number => sums[name]! / of;
  return {
    dHead,
    variance: mean("squares", asked * keys) - mean("sum", asked * keys) ** 2,
    largest: { unscaled: mean("largest unscaled"), scaled: mean("largest scaled") },
    slope: { unscaled: 1 - mean("squares unscaled"), scaled: 1 - mean("squares scaled") },
  };
}

function learn(
  name: string,
  kernel: AttentionKernel,
  { seed, isQuick, listener, signal }: LabContext,
): Promise<Taught> {
  const values = 16;
  const dModel = isQuick ? 32 : 256;
  const model = smallModel({
    vocabularySize: recallVocabulary(values),
    dModel,
    heads: 1,
    dFeedForward: dModel,
    attention: () => new MultiHeadAttention({ dModel, heads: 1, kernel }),
  });
  return teach({
    model,
    loss: labelLoss(model),
    batch: batchesOf(recall({ values, distance: 16, time: 32 }), { rows: isQuick ? 4 : 32, seed }),
    labels: labelsOf,
    steps: isQuick ? 4 : 400,
    learningRate: constant({ learningRate: 3e-4, warmup: 20 }),
    seed,
    every: isQuick ? 2 : 10,
    name: `${name}, seed ${seed}`,
    listener,
    signal,
  });
}
