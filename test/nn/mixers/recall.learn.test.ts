// Each mixer, alone and in a hundred and fifty steps, learns to say what it read two tokens ago: what no position knows by itself.
import { expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream } from "../../../src/base/index.ts";
import { compile } from "../../../src/engine/index.ts";
import {
  AttentionScope,
  initialize,
  LinearAttention,
  namedParameters,
  parameterInputs,
  Retention,
  RotaryPositions,
  SelectiveStateSpace,
  type Mixer,
} from "../../../src/nn/index.ts";
import {
  constant,
  dim,
  gather,
  gradients,
  input,
  logSoftmax,
  matmul,
  mean,
  neg,
  oneHot,
  mul,
  slice,
  subDims,
  sum,
} from "../../../src/tensor/index.ts";
import { draw } from "./running.ts";

const [dModel, symbols, back, steps] = [16, 8, 2, 150];
const positions = new RotaryPositions({ dHead: 8 });

const mixers: readonly (readonly [name: string, mixer: Mixer])[] = [
  ["linear attention with rotary positions", new LinearAttention({ dModel, heads: 2, positions })],
  ["retention", new Retention({ dModel, heads: 2, expand: 2 })],
  ["a state space", new SelectiveStateSpace({ dModel, state: 8 })],
];

test.each(mixers)("%s", async (_, mixer) => {
  const parameters = namedParameters(mixer);
  const [batch, time] = [dim("batch"), dim("time")];
  const ids = input("ids", "int32", [batch, time]);
  const table = constant(draw([symbols, dModel], 1));
  const { output } = mixer.forward(gather(table, ids), new AttentionScope({ queryTime: time, isCausal: true }));
  const logits = matmul(slice(output, { axis: 1, start: back }), table, { transposeB: true });
  const target = oneHot(slice(ids, { axis: 1, end: subDims(time, back) }), symbols);
  const loss = neg(mean(sum(mul(logSoftmax(logits), target), { axes: [-1] })));
  const slopes = gradients(
    loss,
    [...parameters.values()].map(({ value }) => value),
  );
  const names = [...parameters.keys()];
  const outputs = { loss, ...Object.fromEntries(names.map((name, i) => [`d.${name}`, slopes[i]!])) };
  const inputs = { ...parameterInputs(parameters), ids };
  await using run = await compile({ name: "recall", inputs, outputs }, { threads: 1 });

  const random = new RandomStream(randomKey(4));
  const weights = initialize(parameters, 2);
  const losses: number[] = [];
  const averages = new Map(names.map((name) => [name, new Float64Array(weights.get(name)!.data.length)]));
  const squares = new Map(names.map((name) => [name, new Float64Array(weights.get(name)!.data.length)]));
  for (let step = 1; step <= steps; step++) {
    const drawn = Array.from({ length: 16 * 12 }, () => random.integer(symbols));
    const results = await run.run({ ...Object.fromEntries(weights), ids: hostTensor("int32", [16, 12], drawn) });
    losses.push(results.loss!.data[0] as number);
    for (const name of names) {
      // Adam, with the corrections for its start.
      const [slope, { data }] = [results[`d.${name}`]!.data as Float32Array, weights.get(name)!];
      const [average, square] = [averages.get(name)!, squares.get(name)!];
      for (const [i, each] of slope.entries()) {
        average[i] = 0.9 * average[i]! + 0.1 * each;
        square[i] = 0.98 * square[i]! + 0.02 * each * each;
        const size = Math.sqrt(square[i] / (1 - 0.98 ** step)) + 1e-9;
        data[i]! -= (0.02 * average[i]) / (1 - 0.9 ** step) / size;
      }
    }
  }
  const last = losses.slice(-10).reduce((a, b) => a + b) / 10;
  expect(last).toBeLessThan(0.5 * Math.log(symbols));
});
