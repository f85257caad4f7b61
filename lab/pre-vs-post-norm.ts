// Deep stacks without warm-up: the norm before the sublayer, after it, and after a heavier residual.
import { learnReversal, reversalChance, reversalPlot, reversalTable, type Arrangement } from "./deep-reversal.ts";
import { judge, type Lab } from "./lab.ts";
import { lastLoss } from "./training.ts";

const arrangements: readonly Arrangement[] = [
  { name: "pre-norm, no warm-up", placement: "pre", hasWarmup: false },
  { name: "post-norm, no warm-up", placement: "post", hasWarmup: false },
  { name: "DeepNorm, no warm-up", placement: "deep", hasWarmup: false },
  { name: "post-norm, warm-up", placement: "post", hasWarmup: true },
];

export const preVersusPostNorm: Lab = {
  name: "pre-vs-post-norm",
  claim: "The norm in front of the sublayer (pre-norm) steadies training: deep stacks learn with it without a warm-up",
  source: "Xiong et al. 2020, On Layer Normalization in the Transformer Architecture; Wang et al. 2022, DeepNet",
  async run(context) {
    const depth = { layers: context.isQuick ? 2 : 12, steps: context.isQuick ? 4 : 300, learningRate: 1e-3 };
    const runs = await learnReversal(arrangements, depth, context);
    const [pre, post, deep, postWarm] = runs.map(({ taught }) => lastLoss(taught)) as [number, number, number, number];
    const learns = (loss: number): boolean => loss < 0.75 * reversalChance;
    return {
      tables: [reversalTable(runs, depth)],
      plot: reversalPlot(runs, depth),
      verdict: judge(
        [learns(pre), !learns(post)],
        `Without warm-up pre-norm came to ${pre.toFixed(2)} nats and post-norm to ${post.toFixed(2)}, where guessing is ` +
          `${reversalChance.toFixed(2)}; DeepNorm came to ${deep.toFixed(2)}, post-norm with a warm-up to ${postWarm.toFixed(2)}.`,
      ),
    };
  },
};
