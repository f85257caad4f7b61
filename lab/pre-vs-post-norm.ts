// Deep stacks without warm-up: the norm before the sublayer, after it, after a heavier residual, and no residual at all.
import { teacherForcing, Transformer, type NormPlacement } from "heddle/models";
import { constant } from "heddle/train";
import { judge, type Lab } from "./lab.ts";
import { linePlot } from "./plots/line-plot.ts";
import { reversal, targetsOf } from "./tasks.ts";
import { lastLoss, teach, type Taught } from "./training.ts";

interface Variant {
  readonly name: string;
  readonly placement: NormPlacement;
  readonly hasWarmup: boolean;
}

const variants: readonly Variant[] = [
  { name: "pre-norm, no warm-up", placement: "pre", hasWarmup: false },
  { name: "post-norm, no warm-up", placement: "post", hasWarmup: false },
  { name: "DeepNorm, no warm-up", placement: "deep", hasWarmup: false },
  { name: "post-norm, warm-up", placement: "post", hasWarmup: true },
];

export const preVersusPostNorm: Lab = {
  name: "pre-vs-post-norm",
  claim: "The norm in front of the sublayer (pre-norm) steadies training: deep stacks learn with it without a warm-up",
  source: "Xiong et al. 2020, On Layer Normalization in the Transformer Architecture; Wang et al. 2022, DeepNet",
  async run({ seed, isQuick, listener, signal }) {
    const layers = isQuick ? 2 : 12;
    const steps = isQuick ? 4 : 300;
    const learningRate = 1e-3;
    const { vocabularySize, batch } = reversal({ symbols: 16, time: 8, rows: 32, seed });
    const taught: Taught[] = [];
    for (const { name, placement, hasWarmup } of variants) {
      const model = new Transformer({
        vocabularySize,
        dModel: 32,
        heads: 2,
        dFeedForward: 64,
        layers,
        dropout: 0,
        normPlacement: placement,
        maxPositions: 16,
      });
      const loss = teacherForcing(model);
      // The same rate in the end; warm-up takes the first third to reach it.
      const schedule = constant({ learningRate, warmup: hasWarmup ? Math.floor(steps / 3) : 1 });
      taught.push(
        await teach({
          model,
          loss,
          batch,
          labels: targetsOf,
          steps,
          learningRate: schedule,
          seed,
          every: isQuick ? 2 : 10,
          name,
          listener,
          signal,
        }),
      );
    }
    const chance = Math.log(vocabularySize - 3);
    const [pre, post, deep, postWarm] = taught.map(lastLoss) as [number, number, number, number];
    const learns = (loss: number): boolean => loss < 0.75 * chance;
    return {
      tables: [
        {
          title: `Reversing 8 symbols, ${layers} + ${layers} layers, Adam at ${learningRate}, ${steps} updates (chance ${chance.toFixed(2)})`,
          head: ["stack", "loss at the end (nats)", "diverged", "s a step"],
          rows: variants.map(({ name }, i) => [
            name,
            lastLoss(taught[i]!).toFixed(3),
            taught[i]!.divergedAt === undefined ? "no" : `at ${taught[i]!.divergedAt}`,
            taught[i]!.secondsPerStep.toFixed(3),
          ]),
        },
      ],
      plot: linePlot({
        title: `Reversal with ${layers} + ${layers} layers`,
        x: { label: "update" },
        y: { label: "loss (nats a token)" },
        lines: variants.map(({ name }, i) => ({
          name,
          points: taught[i]!.curve,
          isBroken: taught[i]!.divergedAt !== undefined,
        })),
      }),
      verdict: judge(
        [learns(pre), !learns(post)],
        `Without warm-up pre-norm came to ${pre.toFixed(2)} nats and post-norm to ${post.toFixed(2)}, where guessing is ` +
          `${chance.toFixed(2)}; DeepNorm came to ${deep.toFixed(2)}, post-norm with a warm-up to ${postWarm.toFixed(2)}.`,
      ),
    };
  },
};
