// What a norm looks along: layer norm along the features of one position, batch norm across the positions of a batch.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "#base";
import { compile } from "heddle/engine";
import { teacherForcing, Transformer } from "heddle/models";
import { BatchNorm, initialize, LayerNorm, namedParameters, parameterInputs, Pass, type Norm } from "heddle/nn";
import { dim, input, withoutDropout } from "heddle/tensor";
import { judge, type Lab, type LabContext } from "./lab.ts";
import { linePlot } from "./plots/line-plot.ts";
import { reversal, targetsOf } from "./tasks.ts";
import { meanLoss, teach, type Taught } from "./training.ts";

const dModel = 32;

export const layerNormVersusBatchNorm: Lab = {
  name: "layer-norm-vs-batch-norm",
  claim: "LayerNorm normalises each sample over its features, BatchNorm each feature over the samples of a batch",
  source: "Ba et al. 2016, Layer Normalization; Ioffe and Szegedy 2015, Batch Normalization",
  async run(context) {
    const { isQuick } = context;
    const norms = [
      { name: "layer", make: () => new LayerNorm({ dModel }) },
      { name: "batch", make: () => new BatchNorm({ dModel }) },
    ] as const;
    const mates = [];
    for (const { name, make } of norms) mates.push({ name, ...(await changeByMates(make(), context)) });
    const [layer, batch] = mates as [(typeof mates)[0], (typeof mates)[0]];

    const runs: { norm: "layer" | "batch"; rows: number; taught: Taught; kept: number }[] = [];
    for (const norm of ["layer", "batch"] as const) {
      for (const rows of isQuick ? [4] : [2, 32]) runs.push({ norm, rows, ...(await learn(norm, rows, context)) });
    }
    return {
      tables: [
        {
          title: "Largest change of one sentence's output when only the other sentences of its batch change",
          head: ["norm", "in training", "in inference"],
          rows: mates.map(({ name, training, inference }) => [name, training.toPrecision(3), inference.toPrecision(3)]),
        },
        {
          title: "An encoder with either norm learns to reverse 8 symbols: loss in nats a token",
          head: ["norm", "sentences a batch", "at the end of training", "on new sentences"],
          rows: runs.map(({ norm, rows, taught, kept }) => [
            norm,
            `${rows}`,
            taught.curve.at(-1)![1].toFixed(3),
            kept.toFixed(3),
          ]),
        },
      ],
      plot: linePlot({
        title: "Learning to reverse, by norm and size of batch",
        x: { label: "update" },
        y: { label: "loss (nats a token)" },
        lines: runs.map(({ norm, rows, taught }) => ({ name: `${norm} norm, ${rows} a batch`, points: taught.curve })),
      }),
      verdict: judge(
        [layer.training === 0 && layer.inference === 0, batch.training > 0 && batch.inference === 0],
        `With other sentences beside it a sentence's output changed by ${layer.training} under layer norm and by ` +
          `${batch.training.toPrecision(2)} under batch norm, which in inference takes running means and changes by ${batch.inference}. On new sentences: ` +
          `${runs.map(({ norm, rows, kept }) => `${norm} norm taught ${rows} at a time ${kept.toFixed(2)}`).join(", ")} nats.`,
      ),
    };
  },
};

/** The first of a batch of sentences, with two different sets of others beside it. */
async function changeByMates(
  norm: Norm,
  { seed, signal }: LabContext,
): Promise<{ readonly training: number; readonly inference: number }> {
  signal.throwIfAborted();
  const [rows, time] = [8, 6];
  const x = input("x", "float32", [dim("batch"), dim("time"), dModel]);
  const parameters = namedParameters(norm);
  const program = {
    name: "norm",
    inputs: { x, ...parameterInputs(parameters) },
    outputs: { y: norm.forward(x, new Pass()) },
  };
  const weights = Object.fromEntries(initialize(parameters, seed));
  const batch = (mates: number): HostTensor => {
    const [own, others] = [1, 1 + mates].map((part) => new RandomStream(randomKey(seed, part)));
    const size = time * dModel;
    return hostTensor(
      "float32",
      [rows, time, dModel],
      Float32Array.from({ length: rows * size }, (_, i) => (i < size ? own! : others!).normal()),
    );
  };
  const change = async (form: typeof program | ReturnType<typeof withoutDropout>): Promise<number> => {
    await using executable = await compile(form);
    const [one, other] = [
      await executable.run({ x: batch(1), ...weights }),
      await executable.run({ x: batch(2), ...weights }),
    ].map(({ y }) => (y!.data as Float32Array).subarray(0, time * dModel));
    return one!.reduce((most, value, i) => Math.max(most, Math.abs(value - other![i]!)), 0);
  };
  return { training: await change(program), inference: await change(withoutDropout(program)) };
}

async function learn(
  norm: "layer" | "batch",
  rows: number,
  { seed, isQuick, listener, signal }: LabContext,
): Promise<{ readonly taught: Taught; readonly kept: number }> {
  const task = { symbols: 16, time: 8 };
  const { vocabularySize, batch } = reversal({ ...task, rows, seed });
  const model = new Transformer({
    vocabularySize,
    dModel: isQuick ? 16 : 64,
    heads: 2,
    dFeedForward: isQuick ? 16 : 128,
    layers: 2,
    dropout: 0,
    normKind: { encoder: norm, decoder: "layer" },
    norm: "pre",
    maxPositions: 16,
  });
  const loss = teacherForcing(model);
  const taught = await teach({
    model,
    loss,
    batch,
    labels: targetsOf,
    steps: isQuick ? 4 : 800,
    seed,
    name: `${norm} norm, ${rows} a batch`,
    listener,
    signal,
  });
  const fresh = reversal({ ...task, rows: isQuick ? 4 : 256, seed: seed + 1000 });
  const kept = await meanLoss({ model, loss, weights: taught.weights, labels: targetsOf }, [fresh.batch(1)]);
  return { taught, kept };
}
