// A hundred thin layers: DeepNorm against the arrangements it was made to better.
import { learnReversal, reversalChance, reversalPlot, reversalTable, type Arrangement } from "./deep-reversal.ts";
import { judge, type Lab } from "./lab.ts";
import { lastLoss } from "./training.ts";

const arrangements: readonly Arrangement[] = [
  { name: "post-norm", placement: "post", hasWarmup: true },
  { name: "DeepNorm", placement: "deep", hasWarmup: true },
];

export const deepNorm: Lab = {
  name: "deep-norm",
  claim: "DeepNorm lets very deep stacks learn where post-norm does not",
  source: "Wang et al. 2022, DeepNet: Scaling Transformers to 1,000 Layers",
  async run(context) {
    const depth = { layers: context.isQuick ? 3 : 50, steps: context.isQuick ? 4 : 240, learningRate: 1e-3 };
    const runs = await learnReversal(arrangements, depth, context);
    const [post, deep] = runs.map(({ taught }) => lastLoss(taught)) as [number, number];
    return {
      tables: [reversalTable(runs, depth)],
      plot: reversalPlot(runs, depth),
      verdict: judge(
        [deep < 0.75 * reversalChance, post > 0.75 * reversalChance],
        `With ${depth.layers} + ${depth.layers} layers and a warm-up DeepNorm came to ${deep.toFixed(2)} nats, post-norm to ${post.toFixed(2)}; ` +
          `guessing is ${reversalChance.toFixed(2)}.`,
      ),
    };
  },
};
