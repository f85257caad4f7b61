// What the path around each sublayer is for: twelve layers with it and without.
import { Encoder, EncoderLayer, resolveSingleStack, singleStackParts, type OutputLayer } from "heddle/models";
import { AttentionScope, Dropout, Embedding, Module, Pass, Residual, type PassReports } from "heddle/nn";
import { range, type Tensor } from "heddle/tensor";
import { judge, type Lab } from "./lab.ts";
import { linePlot } from "./plots/line-plot.ts";
import { labelLoss, type Reader } from "./small-model.ts";
import { batchesOf, labelsOf, MarkovSource } from "./tasks.ts";
import { lastLoss, teach, type Taught } from "./training.ts";

/** norm(sublayer(x)): nothing passes by. */
class NoResidual extends Residual {
  override forward(x: Tensor, sublayer: (x: Tensor) => Tensor, pass?: Pass): Tensor {
    return this.norm.forward(sublayer(x), pass);
  }
}

/** A causal stack of post-norm layers, whose residual connections can be left out. */
class Stack extends Module implements Reader {
  readonly embedding: Embedding;
  readonly input: ReturnType<ReturnType<typeof singleStackParts>["input"]>;
  readonly layers: Encoder;

  constructor({
    vocabularySize,
    layers,
    hasResiduals,
  }: {
    vocabularySize: number;
    layers: number;
    hasResiduals: boolean;
  }) {
    super();
    const options = { vocabularySize, dModel: 32, heads: 2, dFeedForward: 64, layers, dropout: 0, pad: -1 };
    const parts = singleStackParts(resolveSingleStack(options, "decoder", { positions: "sinusoidal" }), "decoder");
    this.embedding = new Embedding({ vocabularySize, dModel: options.dModel });
    this.input = parts.input(this.embedding);
    this.layers = new Encoder(
      parts,
      () =>
        new EncoderLayer({
          mixer: () => parts.mixer(),
          crossAttention: () => parts.crossAttention(),
          feedForward: () => parts.feedForward(),
          residual: () => (hasResiduals ? parts.residual() : new NoResidual(parts.norm(), new Dropout(0))),
        }),
    );
  }

  forward(ids: Tensor): { output: Tensor; reports: PassReports } {
    const time = ids.shape[1]!;
    const pass = new Pass();
    const scope = new AttentionScope({ queryTime: time, isCausal: true });
    const { output } = this.layers.forward(this.input.forward(ids, range(time), pass), scope, pass);
    return { output, reports: pass.reports };
  }

  outputLayer(): OutputLayer {
    return { table: this.embedding.table.value, bias: undefined };
  }
}

export const residuals: Lab = {
  name: "residuals",
  claim: "The short-cut around each sublayer is what lets deep stacks learn",
  source: "He et al. 2016, Deep Residual Learning for Image Recognition",
  async run({ seed, isQuick, listener, signal }) {
    const layers = isQuick ? [2] : [2, 12];
    const symbols = 16;
    const source = new MarkovSource({ vocabularySize: symbols, seed });
    const runs: { name: string; layers: number; hasResiduals: boolean; taught: Taught }[] = [];
    for (const depth of layers) {
      for (const hasResiduals of [true, false]) {
        const name = `${depth} layers, ${hasResiduals ? "with" : "without"}`;
        const model = new Stack({ vocabularySize: symbols, layers: depth, hasResiduals });
        const taught = await teach({
          model,
          loss: labelLoss(model),
          batch: batchesOf(source.row(isQuick ? 8 : 32), { rows: isQuick ? 4 : 32, seed }),
          labels: labelsOf,
          steps: isQuick ? 4 : 400,
          seed,
          name,
          listener,
          signal,
        });
        runs.push({ name, layers: depth, hasResiduals, taught });
      }
    }
    const { entropy } = source;
    const at = (depth: number, hasResiduals: boolean): number =>
      lastLoss(runs.find((run) => run.layers === depth && run.hasResiduals === hasResiduals)!.taught);
    const deepest = layers.at(-1)!;
    const gap = at(deepest, false) - at(deepest, true);
    return {
      tables: [
        {
          title: `A Markov chain of ${symbols} symbols, ${entropy.toFixed(3)} nats a token at best`,
          head: ["stack", "loss at the end (nats a token)"],
          rows: runs.map(({ name, taught }) => [name, lastLoss(taught).toFixed(3)]),
        },
      ],
      plot: linePlot({
        title: "Learning with and without residual connections",
        x: { label: "update" },
        y: { label: "loss (nats a token)" },
        lines: [
          ...runs.map(({ name, taught }) => ({ name, points: taught.curve })),
          {
            name: "entropy of the chain",
            points: [0, -1].map((i) => [runs[0]!.taught.curve.at(i)![0], entropy] as const),
            look: 14,
          },
        ],
      }),
      verdict: judge(
        [at(deepest, true) < entropy + 0.2, gap > 0.3],
        `With ${deepest} layers the loss came to ${at(deepest, true).toFixed(2)} nats with residual connections and to ` +
          `${at(deepest, false).toFixed(2)} without, ${gap.toFixed(2)} more; ${entropy.toFixed(2)} is the least that is possible.`,
      ),
    };
  },
};
