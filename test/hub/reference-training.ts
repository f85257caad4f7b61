// Losses, gradients and training steps against the reference's, for any model.
import { expect } from "vitest";
import { allocate, type HostTensor } from "../../src/base/index.ts";
import { compile } from "../../src/engine/index.ts";
import { fromHub, toHub, type HubModel, type ModelClass } from "../../src/hub/index.node.ts";
import type { LossProgram } from "../../src/models/index.ts";
import { namedParameters, type Module } from "../../src/nn/index.ts";
import { withoutDropout } from "../../src/tensor/index.ts";
import { adamW, ParameterStore, trainingProgram, TrainingStep, type ParameterGroup } from "../../src/train/index.ts";
import { expectClose } from "../close.ts";
import type { Reference } from "./reference.ts";

export const session = { threads: 1 };

export interface ComparedTraining<Model extends Module> {
  readonly reference: Reference;
  readonly loaded: HubModel<Model>;
  readonly loss: (model: Model) => LossProgram;
  readonly feeds: Readonly<Record<string, HostTensor>>;
  /** Tensors that the reference does not train. */
  readonly untrained?: readonly string[];
  /** Ours over theirs, where a parameter is stored otherwise than it is used. */
  readonly factor?: (parameter: string) => number;
}

/** The loss, and the first gradient of every parameter. */
export async function expectGradients<Model extends Module>({
  reference,
  loaded,
  loss,
  feeds,
  untrained = [],
  factor = () => 1,
}: ComparedTraining<Model>): Promise<void> {
  const program = trainingProgram(namedParameters(loaded.model), loss(loaded.model));
  await using run = await compile(withoutDropout(program), session);
  const results = await run.run({ ...Object.fromEntries(loaded.weights), ...feeds });
  expectClose(results.loss!.data as Float32Array, [reference.loss], { within: 1e-4, what: "loss" });
  // Gradients lie like their weights, so they are written out under the reference's names as weights are. Where ours is theirs
  // times f, writing divides by f what the chain rule multiplies with it.
  const ours = [...loaded.weights].map(([parameter, { dims, data }]): [string, HostTensor] => {
    const gradient = results[`gradient.${parameter}`]?.data as Float32Array | undefined;
    const f = factor(parameter);
    return [
      parameter,
      { dtype: "float32", dims, data: gradient?.map((x) => x * f * f) ?? allocate("float32", data.length) },
    ];
  });
  const gradients = toHub({ config: loaded.config, weights: new Map(ours) });
  const without = [...gradients.keys()].filter((tensor) => reference.train!.grads_step0[tensor] === undefined);
  expect(without).toEqual(untrained);
  for (const [tensor, { l2, sum }] of Object.entries(reference.train!.grads_step0)) {
    const values = gradients.get(tensor)!.data;
    const got = {
      l2: Math.sqrt(values.reduce((total, x) => total + x * x, 0)),
      sum: values.reduce((total, x) => total + x, 0),
    };
    for (const figure of ["l2", "sum"] as const) {
      const expected = { l2, sum }[figure];
      const tolerance = Math.max(1e-5, 1e-3 * Math.abs(expected));
      expectClose([got[figure]], [expected], { within: tolerance, what: `${figure} of the gradient of ${tensor}` });
    }
  }
  const whole = [...reference.tensors].filter(([tensor]) => tensor.startsWith("grad."));
  expect(whole.length).toBeGreaterThan(3);
  for (const [tensor, { data }] of whole) {
    const got = gradients.get(tensor.slice("grad.".length))!.data;
    expectClose(got, data as Float32Array, { within: 1e-5, relative: 1e-3, what: tensor });
  }
}

/** Six losses, before and after each of five AdamW steps. `rates` are the keys of the configuration that drop. */
export async function expectTrace<Model extends Module>(
  { reference, loaded, loss, feeds, factor }: ComparedTraining<Model>,
  { rates, as }: { rates: readonly string[]; as: ModelClass<Model> },
): Promise<void> {
  const config = { ...loaded.config, ...Object.fromEntries(rates.map((rate) => [rate, 0])) };
  const { model, weights } = fromHub(config, toHub(loaded), { as });
  const { optimizer: settings, losses: expected } = reference.train!;
  const parameters = namedParameters(model);
  const optimizer = adamW({ betas: settings.betas, epsilon: settings.eps, weightDecay: settings.weight_decay });
  const factors = new Set([...parameters.keys()].map((name) => factor?.(name) ?? 1));
  // Adam's steps do not grow with the weights, so a weight that is used f times as large as it is stored takes steps f times as large.
  const groups = [...factors].map((f): ParameterGroup => ({
    includes: (name) => (factor?.(name) ?? 1) === f,
    learningRateFactor: f,
    weightDecayFactor: 1 / f,
  }));
  const store = new ParameterStore(parameters, { slots: optimizer.slots, groups });
  store.load(weights);
  const training = await TrainingStep.create({ parameters, loss: loss(model), memory: store, seed: 0, session });
  const losses: number[] = [];
  for (let step = 1; step <= expected.length; step++) {
    losses.push((await training.run(feeds, { step })).loss);
    optimizer.update(store, { step, learningRate: settings.lr });
  }
  await training.dispose();
  expectClose(losses, expected, { within: 1e-3, what: "losses" });
}
