// The gradient of the whole training program against central differences, in double precision, parameter by parameter.
import { expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import { compile, type Feeds } from "../../src/engine/index.ts";
import { teacherForcing, Transformer, type TransformerOptions } from "../../src/models/index.ts";
import { namedParameters } from "../../src/nn/index.ts";
import { inDoublePrecision, withoutDropout } from "../../src/tensor/index.ts";
import { trainingProgram } from "../../src/train/index.ts";
import { expectClose } from "../close.ts";
import { idRows, noisyWeights, session } from "./small-transformer.ts";

const tiny = { vocabularySize: 8, dModel: 4, heads: 2, layers: 2, dFeedForward: 6, maxPositions: 8 } as const;
// Tanh has no kink for a difference to straddle. (The runtime fuses x · sigmoid(x) into a kernel that knows no double precision.)
const cases: readonly (readonly [string, TransformerOptions])[] = [
  ["post-norm, three-way tied", { ...tiny }],
  [
    "pre-norm, learned positions, concatenated, two-way tied",
    {
      ...tiny,
      norm: "pre",
      positions: "learned",
      positionJoin: "concatenate",
      tying: "two-way",
      feedForward: "tanh",
    },
  ],
  [
    "untied, embedding norm, output offset",
    { ...tiny, layers: 1, tying: "none", embeddingNorm: true, outputBias: "learned", feedForward: "tanh" },
  ],
];

test.each(cases)("every parameter's gradient is the slope of the loss: %s", async (_, options) => {
  const model = new Transformer(options);
  const parameters = namedParameters(model);
  // Constants of the graph are float32, so the share of smoothing, and that share a word, are ones that float32 holds exactly:
  // forward and backward pass would round others apart, by 2e-8.
  const labelSmoothing = 1 / 8;
  const whole = inDoublePrecision(
    withoutDropout(trainingProgram(parameters, teacherForcing(model, { labelSmoothing }))),
  );
  const backward = await compile(whole, session);
  const forward = await compile({ ...whole, outputs: { loss: whole.outputs.loss! } }, session);
  const feeds: Record<string, HostTensor> = {
    sourceIds: idRows([
      [1, 2, 3, 4],
      [5, 6],
    ]),
    targetIds: idRows([
      [1, 3, 2],
      [1, 4, 5, 6, 2],
    ]),
    tokenWeight: hostTensor("float64", [], [1 / 6]),
  };
  for (const [name, { dims, data }] of noisyWeights(model, 5))
    feeds[name] = hostTensor("float64", dims, Float64Array.from(data));

  const stated = await backward.run(feeds);
  const loss = async (given: Feeds): Promise<number> => (await forward.run(given)).loss!.data[0] as number;
  expect(stated.loss!.data[0]).toBe(await loss(feeds));
  const random = new RandomStream(randomKey(6));
  const step = 1e-5;
  for (const name of parameters.keys()) {
    const { dims, data } = feeds[name] as HostTensor<"float64">;
    const gradient = stated[`gradient.${name}`]!.data as Float64Array;
    // Along a random direction every number of a parameter takes part; a wrong one would have to be wrong at right angles to it.
    for (let direction = 0; direction < 2; direction++) {
      const towards = data.map(() => random.normal());
      const moved = (by: number) =>
        loss({ ...feeds, [name]: { dtype: "float64", dims, data: data.map((value, i) => value + by * towards[i]!) } });
      const difference = async (by: number) => ((await moved(by)) - (await moved(-by))) / (2 * by);
      // Richardson's extrapolation: the error of a central difference goes with the square of the step.
      const measured = (4 * (await difference(step)) - (await difference(2 * step))) / 3;
      const expected = gradient.reduce((total, value, i) => total + value * towards[i]!, 0);
      expectClose([expected], [measured], { within: 1e-9, relative: 1e-8, what: `slope along ${name}` });
    }
  }
  await Promise.all([backward.dispose(), forward.dispose()]);
});
