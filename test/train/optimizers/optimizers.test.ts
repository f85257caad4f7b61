import { describe, expect, test } from "vitest";
import { ConfigError, hostTensor } from "../../../src/base/index.ts";
import { Parameter, zeros } from "../../../src/nn/index.ts";
import { adam, type AdamOptions } from "../../../src/train/optimizers/adam.ts";
import { adamW } from "../../../src/train/optimizers/adamw.ts";
import type { Optimizer } from "../../../src/train/optimizers/optimizer.ts";
import { sgd } from "../../../src/train/optimizers/sgd.ts";
import { ParameterStore, vectorsWithoutDecay, type ParameterGroup } from "../../../src/train/parameter-store.ts";

const start = [1, -2, 0.5, 3];
const gradient = (step: number) => [0.1 * step, -0.2, 0.3 / step, 0.001 * (-1) ** step];

function storeFor(optimizer: Optimizer, groups: readonly ParameterGroup[] = []): ParameterStore {
  const store = new ParameterStore(
    new Map([
      ["matrix", new Parameter({ shape: [2, 2], initializer: zeros })],
      ["vector", new Parameter({ shape: [4], initializer: zeros })],
    ]),
    { slots: optimizer.slots, groups },
  );
  store.load(
    new Map([
      ["matrix", hostTensor("float32", [2, 2], start)],
      ["vector", hostTensor("float32", [4], start)],
    ]),
  );
  return store;
}

function run(
  optimizer: Optimizer,
  { steps = 5, learningRate = 0.01, gradientScale = 1, groups = [] as readonly ParameterGroup[] } = {},
) {
  const store = storeFor(optimizer, groups);
  for (let step = 1; step <= steps; step++) {
    for (const { data } of Object.values(store.gradients))
      data.set(gradient(step).map((value) => value / gradientScale));
    optimizer.update(store, { step, learningRate, gradientScale });
  }
  return store;
}

function expectClose(actual: Iterable<number>, expected: readonly number[], within = 2e-6): void {
  [...actual].forEach((value, i) =>
    expect(Math.abs(value - expected[i]!), `value ${i}: ${value}, expected ${expected[i]}`).toBeLessThan(
      within * Math.max(1, Math.abs(expected[i]!)),
    ),
  );
}

// PyTorch 1.13.0, in float64. p starts as `start`; for t in 1..5: p.grad = `gradient(t)`; optimizer.step(). Then
//   python3 -c 'import torch; …; print(["%.12g" % x for x in p.tolist()])'
// with the optimizer that stands in the first column.
const references: [call: string, Optimizer, learningRate: number, expected: number[]][] = [
  ["Adam(lr=0.01)", adam(), 0.01, [0.951491693174, -1.9500000025, 0.455985393101, 3.01434930883]],
  [
    "Adam(lr=0.01, betas=(0.9, 0.98), eps=1e-9)",
    adam({ betas: [0.9, 0.98], epsilon: 1e-9 }),
    0.01,
    [0.951747353222, -1.95000000025, 0.45571195128, 3.01434943798],
  ],
  [
    "Adam(lr=0.01, weight_decay=0.1)",
    adam({ weightDecay: 0.1 }),
    0.01,
    [0.95041011158, -1.9500110064, 0.454163518261, 2.95001160927],
  ],
  [
    "Adam(lr=0.01, eps=0.1)",
    adam({ epsilon: 0.1 }),
    0.01,
    [0.968069430031, -1.96666666667, 0.470041737059, 3.00014207379],
  ],
  ["AdamW(lr=0.01)", adamW(), 0.01, [0.951001564136, -1.94901020148, 0.455744806223, 3.01284514841]],
  [
    "AdamW(lr=0.01, betas=(0.8, 0.95), weight_decay=0.5)",
    adamW({ betas: [0.8, 0.95], weightDecay: 0.5 }),
    0.01,
    [0.926172846601, -1.90099501496, 0.445210613332, 2.93895001517],
  ],
  ["SGD(lr=0.1)", sgd(), 0.1, [0.85, -1.9, 0.4315, 3.0001]],
  [
    "SGD(lr=0.1, weight_decay=0.1)",
    sgd({ weightDecay: 0.1 }),
    0.1,
    [0.8029751098, -1.8039601996, 0.40889665965, 2.8530681894],
  ],
  [
    "SGD(lr=0.1, momentum=0.9, weight_decay=0.1)",
    sgd({ momentum: 0.9, weightDecay: 0.1 }),
    0.1,
    [0.5596333618, -1.4865361036, 0.22092512565, 2.61513788364],
  ],
  [
    "SGD(lr=0.1, momentum=0.9, dampening=0.5)",
    sgd({ momentum: 0.9, dampening: 0.5 }),
    0.1,
    [0.821009, -1.827608, 0.3276795, 3.00032806],
  ],
  [
    "SGD(lr=0.1, momentum=0.9, nesterov=True)",
    sgd({ momentum: 0.9, nesterov: true }),
    0.1,
    [0.5646721, -1.6634062, 0.2318908, 3.000321949],
  ],
];

describe("five updates end where PyTorch's do, within float32 rounding", () => {
  test.each(references)("%s", (_, optimizer, learningRate, expected) => {
    const { values } = run(optimizer, { learningRate });
    expectClose(values.matrix!.data, expected);
    expectClose(values.vector!.data, expected);
  });

  test.each(references)("%s, gradients halved by gradientScale", (_, optimizer, learningRate, expected) => {
    expectClose(run(optimizer, { learningRate, gradientScale: 0.5 }).values.matrix!.data, expected);
  });
});

/** Kingma and Ba 2015, algorithm 1, line by line in float64. */
function algorithm1(
  { betas: [beta1, beta2] = [0.9, 0.999], epsilon = 1e-8 }: AdamOptions,
  steps: number,
  alpha: number,
): number[] {
  return start.map((theta, i) => {
    let [m, v] = [0, 0];
    for (let t = 1; t <= steps; t++) {
      const g = gradient(t)[i]!;
      m = beta1 * m + (1 - beta1) * g;
      v = beta2 * v + (1 - beta2) * g * g;
      theta -= (alpha * (m / (1 - beta1 ** t))) / (Math.sqrt(v / (1 - beta2 ** t)) + epsilon);
    }
    return theta;
  });
}

test.each([
  ["defaults", {}],
  ["the Transformer's", { betas: [0.9, 0.98], epsilon: 1e-9 }],
  ["no memory", { betas: [0, 0], epsilon: 1e-3 }],
] satisfies [string, AdamOptions][])("200 updates of Adam follow the paper's algorithm: %s", (_, options) => {
  // Every update rounds p to float32, so the error grows with their number.
  expectClose(
    run(adam(options), { steps: 200, learningRate: 1e-3 }).values.matrix!.data,
    algorithm1(options, 200, 1e-3),
    2e-5,
  );
});

describe("groups", () => {
  test.each([
    ["adam", adam({ weightDecay: 0.1 }), adam()],
    ["adamW", adamW({ weightDecay: 0.5 }), adamW({ weightDecay: 0 })],
    ["sgd", sgd({ weightDecay: 0.1 }), sgd()],
    ["sgd with momentum", sgd({ momentum: 0.9, weightDecay: 0.1 }), sgd({ momentum: 0.9 })],
  ])("%s decays the matrix and leaves the vector undecayed where vectors are not to be", (_, decaying, plain) => {
    const { values } = run(decaying, { groups: [vectorsWithoutDecay] });
    expect(values.matrix!.data).toEqual(run(decaying).values.matrix!.data);
    expect(values.vector!.data).toEqual(run(plain).values.vector!.data);
    expect(values.vector!.data).not.toEqual(values.matrix!.data);
  });

  test.each([
    ["adam", adam()],
    ["adamW", adamW()],
    ["sgd", sgd({ momentum: 0.9 })],
  ])("%s multiplies the learning rate by the group's factor", (_, optimizer) => {
    const groups = [{ includes: (name: string) => name === "vector", learningRateFactor: 0.5 }];
    const { values } = run(optimizer, { learningRate: 0.02, groups });
    expect(values.vector!.data).toEqual(run(optimizer, { learningRate: 0.01 }).values.vector!.data);
    expect(values.matrix!.data).toEqual(run(optimizer, { learningRate: 0.02 }).values.matrix!.data);
  });
});

test.each([
  ["adam", adam()],
  ["adamW", adamW()],
  ["sgd", sgd({ momentum: 0.9, dampening: 0.1 })],
])(
  "%s stopped after 3 of 5 updates and resumed from copies of values and slots ends on the same bits",
  (_, optimizer) => {
    const stopped = run(optimizer, { steps: 3 });
    const resumed = storeFor(optimizer);
    for (const region of ["value", ...optimizer.slots]) resumed.load(stopped.copyOut(region), region);
    for (const step of [4, 5]) {
      for (const { data } of Object.values(resumed.gradients)) data.set(gradient(step));
      optimizer.update(resumed, { step, learningRate: 0.01 });
    }
    expect(resumed.copyOut()).toEqual(run(optimizer).copyOut());
  },
);

test("padding between parameters stays zero", () => {
  const store = run(adamW());
  expect(store.flat("value").filter((value) => value !== 0).length).toBe(8);
  expect(store.flat("secondMoment").filter((value) => value !== 0).length).toBe(8);
});

test("plain gradient descent keeps no slots", () => {
  expect(sgd().slots).toEqual([]);
  expect(sgd({ momentum: 0.9 }).slots).toEqual(["momentum"]);
});

test.each<[string, () => Optimizer]>([
  ["adam.betas: must be at least 0 and below 1 (got 1)", () => adam({ betas: [0.9, 1] })],
  ["adam.epsilon: must be above 0 (got 0)", () => adam({ epsilon: 0 })],
  ["adamw.betas: must be at least 0 and below 1 (got -0.1)", () => adamW({ betas: [-0.1, 0.9] })],
  ["adamw.weightDecay: must be at least 0 (got NaN)", () => adamW({ weightDecay: NaN })],
  ["sgd.momentum: must be at least 0 and below 1 (got 1)", () => sgd({ momentum: 1 })],
  ["sgd.nesterov: has no effect without momentum", () => sgd({ nesterov: true })],
  ["sgd.dampening: has no effect without momentum", () => sgd({ dampening: 0.5 })],
  ["sgd.dampening: does not go with nesterov", () => sgd({ momentum: 0.9, nesterov: true, dampening: 0.5 })],
])("%s", (message, make) => {
  expect(make).toThrow(ConfigError);
  expect(make).toThrow(message);
});
