// Experts: who goes where, what is computed, what is dropped, and what the router is told.
import { describe, expect, test } from "vitest";
import { ConfigError, hostTensor, ShapeError, type HostTensor } from "../../src/base/index.ts";
import {
  ExpertsFeedForward,
  FeedForward,
  GatedFeedForward,
  Module,
  Pass,
  PassReports,
  type ExpertsFeedForwardOptions,
  type FeedForwardLayer,
} from "../../src/nn/index.ts";
import {
  add,
  cast,
  constant,
  dim,
  div,
  equal,
  gradients,
  input,
  mul,
  reshape,
  slice,
  softmax,
  sum,
  tanh,
  topK,
  type Tensor,
} from "../../src/tensor/index.ts";
import { expectClose, largestDifference } from "../close.ts";
import { expectSlopes, leaf, noisyWeights, normals, runModule, validRows, type Weights } from "./module-program.ts";

const [dModel, dFeedForward] = [6, 10];
const x = input("x", "float32", [dim("batch"), dim("time"), dModel]);
const valid = input("valid", "bool", [dim("batch"), dim("time")]);
const expert = (): FeedForwardLayer => new FeedForward({ dModel, dFeedForward, activation: tanh });
const floats = (tensor: HostTensor | undefined): Float32Array => tensor!.data as Float32Array;

/** Everything that a layer leaves: its output, the sum of its losses, and its figures. */
function outputsOf(layer: ExpertsFeedForward, given?: Tensor) {
  const reports = new PassReports();
  const y = layer.forward(x, new Pass(given, reports));
  return {
    y,
    ...Object.fromEntries(reports.losses.map((loss, i) => [`loss${i}`, loss])),
    dropped: reports.figures.get("experts.dropped")!,
    load: reports.figures.get("experts.load")!,
  };
}

test.each([false, true])("one expert is the dense layer, bit for bit (inference: %s)", async (inference) => {
  const layer = new ExpertsFeedForward({ dModel, experts: 1, expert });
  const dense = layer.experts[0]!;
  const upstream = input("upstream", "float32", x.shape);
  const outputs = { routed: layer.forward(x), dense: dense.forward(x) };
  const slopes = Object.fromEntries(
    Object.entries(outputs).map(([name, y]) => [`${name}Slope`, gradients(sum(mul(y, upstream)), [x])[0]!]),
  );
  const results = await runModule(
    layer,
    { inputs: { x, upstream }, outputs: inference ? outputs : { ...outputs, ...slopes } },
    { x: normals([3, 5, dModel], 1), ...(inference ? {} : { upstream: normals([3, 5, dModel], 2) }) },
    { inference },
  );
  expect(largestDifference(floats(results.routed), floats(results.dense))).toBe(0);
  if (!inference) expectClose(floats(results.routedSlope), floats(results.denseSlope), { within: 1e-6 });
});

/** The definition: every expert over every token, and all but the chosen ones multiplied away. */
function everywhere(layer: ExpertsFeedForward, given: Tensor): Tensor {
  const odds = softmax(layer.router.forward(given)); // [batch, time, experts]
  const { ids } = topK(odds, layer.chosen);
  const kept = layer.experts.map((_, i) => {
    const hit = equal(ids, constant({ dtype: "int64", dims: [], data: BigInt64Array.of(BigInt(i)) }));
    return mul(
      sum(cast(hit, "float32"), { axes: [-1], keepDims: true }),
      slice(odds, { axis: 2, start: i, end: i + 1 }),
    );
  });
  const norm = layer.chosen === 1 ? undefined : kept.reduce((a, b) => add(a, b));
  return layer.experts
    .map((part, i) => mul(part.forward(given), norm === undefined ? kept[i]! : div(kept[i]!, norm)))
    .reduce((a, b) => add(a, b));
}

describe.each([
  [1, "plain", expert],
  [2, "plain", expert],
  [4, "plain", expert],
  [2, "gated", () => new GatedFeedForward({ dModel, dFeedForward, activation: tanh })],
] as const)("%i of 4 experts, %s", (chosen, _, make) => {
  const layer = new ExpertsFeedForward({ dModel, experts: 4, chosen, expert: make, capacityFactor: 4 });
  const given = normals([3, 7, dModel], 3);

  test.each([false, true])(
    "are what all of them over all tokens are by definition (inference: %s)",
    async (inference) => {
      const outputs = { routed: layer.forward(x), wanted: everywhere(layer, x) };
      const results = await runModule(layer, { inputs: { x }, outputs }, { x: given }, { inference, threads: 2 });
      expectClose(floats(results.routed), floats(results.wanted), { within: 2e-6 });
    },
  );

  test("have the gradients of the definition", async () => {
    const upstream = input("upstream", "float32", x.shape);
    const leaves = [
      x,
      layer.router.weight.value,
      ...layer.experts.map((part) => (part as FeedForward).expand.weight.value),
    ];
    const outputs: Record<string, Tensor> = {};
    for (const [name, y] of Object.entries({ routed: layer.forward(x), wanted: everywhere(layer, x) }))
      gradients(sum(mul(y, upstream)), leaves).forEach((slope, i) => (outputs[`${name}${i}`] = slope));
    const feeds = { x: given, upstream: normals([3, 7, dModel], 4) };
    const results = await runModule(layer, { inputs: { x, upstream }, outputs }, feeds, { threads: 2 });
    for (const i of leaves.keys())
      expectClose(floats(results[`routed${i}`]), floats(results[`wanted${i}`]), {
        within: 2e-5,
        what: `gradient ${i}`,
      });
  });
});

/** Weights with which token i goes where `scores` row i says: x is that row, and the router passes it on. */
function transparent(layer: ExpertsFeedForward): Weights {
  const weights = noisyWeights(layer, 5);
  const router = weights.get("router.weight")!;
  const [from, to] = router.dims as [number, number];
  for (let i = 0; i < from * to; i++) router.data[i] = Math.floor(i / to) === i % to ? 1 : 0;
  return weights;
}

/** One row a token: 5 at the token's first choice, 4 at its second, 0 elsewhere. */
function choosing(...choices: (readonly number[])[]): HostTensor<"float32"> {
  const rows = choices.flatMap((ids) =>
    Array.from({ length: dModel }, (_, i) => (ids.includes(i) ? 5 - ids.indexOf(i) : 0)),
  );
  return hostTensor("float32", [1, choices.length, dModel], rows);
}

/** Which rows of an output are not all zero. */
function servedRows({ data }: HostTensor): number[] {
  return Array.from({ length: data.length / dModel }, (_, i) => i).filter((i) =>
    (data as Float32Array).subarray(i * dModel, (i + 1) * dModel).some((value) => value !== 0),
  );
}

const make = (options: Partial<ExpertsFeedForwardOptions> = {}): ExpertsFeedForward =>
  new ExpertsFeedForward({ dModel, experts: 3, expert, ...options });

describe("capacity", () => {
  // Six tokens, three experts: the fair share is 2, times 1.25 and rounded up 3.
  const tokens = choosing([0], [0], [1], [0], [0], [0]);
  const layer = make();
  const run = (options: { inference: boolean }) =>
    runModule(
      layer,
      { inputs: { x }, outputs: outputsOf(layer) },
      { x: tokens },
      { ...options, weights: transparent(layer) },
    );

  test("in training an expert takes its first tokens, the rest are zeros and are counted", async () => {
    const { y, dropped, load } = await run({ inference: false });
    expect(servedRows(y!)).toEqual([0, 1, 2, 3]);
    expect(floats(dropped)).toEqual(Float32Array.of(2));
    // Five tokens at the busiest of three, where two are the mean.
    expect(floats(load)[0]).toBeCloseTo(2.5, 6);
  });

  test("in inference nobody is dropped", async () => {
    const { y, dropped } = await run({ inference: true });
    expect(servedRows(y!)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(floats(dropped)).toEqual(Float32Array.of(0));
  });

  test.each([
    [1, 1, 2],
    [1.5, 1, 3],
    [1.51, 1, 4],
    [0.001, 1, 1],
    [1, 2, 4],
  ])(
    "factor %d with %i chosen gives each of 3 experts room for %i of 6 tokens",
    async (capacityFactor, chosen, room) => {
      const crowded = make({ capacityFactor, chosen });
      const everyone = choosing(...Array.from({ length: 6 }, () => [0, 1]));
      const { y, dropped } = await runModule(
        crowded,
        { inputs: { x }, outputs: outputsOf(crowded) },
        { x: everyone },
        { weights: transparent(crowded) },
      );
      expect(servedRows(y!)).toEqual(Array.from({ length: room }, (_, i) => i));
      expect(floats(dropped)[0]).toBe((6 - room) * chosen);
    },
  );

  test("a token that one of its two experts has no room for keeps the other's part with its gate", async () => {
    // Room for ⌈0.75 · 4 · 2 / 3⌉ = 2 tokens; expert 0 is everybody's first choice, 1 and 2 are second choices of two each.
    const two = make({ capacityFactor: 0.75, chosen: 2 });
    const weights = transparent(two);
    const given = choosing([0, 1], [0, 1], [0, 2], [0, 2]);
    const second = two.experts[2]!.forward(x);
    const program = { inputs: { x }, outputs: { ...outputsOf(two), second } };
    const results = await runModule(two, program, { x: given }, { weights });
    // Of scores 5 and 4 the second has the share 1 / (1 + e).
    const expected = floats(results.second).map((value) => value / (1 + Math.E));
    expectClose(floats(results.y), expected, { within: 1e-6, where: (i) => i >= 2 * dModel });
    expect(floats(results.dropped)[0]).toBe(2);
  });
});

describe("padding", () => {
  const layer = make({ chosen: 2, capacityFactor: 0.9 });
  const outputs = outputsOf(layer, valid);

  test("more of it changes nothing: no output, no loss, no count", async () => {
    const lengths = [4, 2, 5];
    const given = normals([3, 5, dModel], 7);
    const wide = normals([4, 9, dModel], 8); // one more row, of nothing but padding
    lengths.forEach((length, row) => {
      const from = given.data.subarray(row * 5 * dModel, (row * 5 + length) * dModel);
      wide.data.set(from, row * 9 * dModel);
    });
    const inputs = { x, valid };
    const narrow = await runModule(layer, { inputs, outputs }, { x: given, valid: validRows(lengths, 5) });
    const padded = await runModule(layer, { inputs, outputs }, { x: wide, valid: validRows([...lengths, 0], 9) });
    expect(floats(narrow.dropped)[0]).toBeGreaterThan(0);
    for (const name of ["loss0", "loss1", "dropped", "load"])
      expectClose(floats(padded[name]), floats(narrow[name]), { within: 1e-6, what: name });
    lengths.forEach((length, row) => {
      const [a, b] = [floats(narrow.y), floats(padded.y)];
      expectClose(
        b.subarray(row * 9 * dModel, (row * 9 + length) * dModel),
        a.subarray(row * 5 * dModel, (row * 5 + length) * dModel),
        { within: 1e-6, what: `row ${row}` },
      );
      expect(
        servedRows({
          dtype: "float32",
          dims: [],
          data: b.subarray((row * 9 + length) * dModel, (row + 1) * 9 * dModel),
        }),
      ).toEqual([]);
    });
  });

  test("a batch of nothing else gives zeros and finite losses", async () => {
    const feeds = { x: normals([2, 3, dModel], 9), valid: validRows([0, 0], 3) };
    const results = await runModule(layer, { inputs: { x, valid }, outputs }, feeds);
    expect(servedRows(results.y!)).toEqual([]);
    for (const name of ["loss0", "loss1", "load"]) expect(floats(results[name])[0]).toBe(0);
  });

  test("a mask that is not that of x is refused", () => {
    expect(() => layer.forward(slice(x, { axis: 1, start: 1 }), new Pass(valid))).toThrow(ShapeError);
  });
});

describe("losses", () => {
  test("the balance loss is its weight where choices are even, and grows to experts times that with one expert's share", async () => {
    const layer = make({ balance: 0.5, routerZ: 0 });
    const program = { inputs: { x }, outputs: outputsOf(layer) };
    const weights = transparent(layer);
    const even = await runModule(layer, program, { x: choosing([0], [1], [2]) }, { weights });
    expect(floats(even.loss0)[0]).toBeCloseTo(0.5, 6);
    const all = await runModule(layer, program, { x: choosing([1], [1], [1]) }, { weights });
    // All choices fall on one expert, whose mean probability is e⁵ / (e⁵ + 2).
    expect(floats(all.loss0)[0]).toBeCloseTo(0.5 * 3 * (Math.exp(5) / (Math.exp(5) + 2)), 5);
  });

  test("the router's loss is the mean square of ln Σ eˢ", async () => {
    const layer = make({ balance: 0, routerZ: 0.25 });
    const program = { inputs: { x }, outputs: outputsOf(layer) };
    const { loss0 } = await runModule(layer, program, { x: choosing([0], [0, 1]) }, { weights: transparent(layer) });
    const [first, second] = [Math.log(Math.exp(5) + 2), Math.log(Math.exp(5) + Math.exp(4) + 1)];
    expect(floats(loss0)[0]).toBeCloseTo((0.25 * (first ** 2 + second ** 2)) / 2, 4);
  });

  test("layers add up what they dropped and show the worst load", async () => {
    const reports = new PassReports();
    const [first, second] = [make({ capacityFactor: 0.5 }), make({ capacityFactor: 0.5 })];
    first.forward(x, new Pass(undefined, reports));
    second.forward(mul(x, -1), new Pass(undefined, reports));
    expect(reports.losses).toHaveLength(4);
    const both = Object.fromEntries(reports.figures);
    const alone = outputsOf(first);
    class Pair extends Module {
      readonly first = first;
      readonly second = second;
    }
    const weights: Weights = new Map();
    for (const [name, value] of transparent(first))
      for (const part of ["first", "second"]) weights.set(`${part}.${name}`, value);
    // Tokens 0 to 3 choose expert 0; turned round they score −5, 0, 0 and choose expert 1, the first of equals.
    const results = await runModule(
      new Pair(),
      { inputs: { x }, outputs: { ...both, alone: alone.dropped } },
      { x: choosing([0], [0], [0], [0]) },
      { weights },
    );
    expect(floats(results.alone)[0]).toBe(3);
    expect(floats(results["experts.dropped"])[0]).toBe(6);
    expect(floats(results["experts.load"])[0]).toBeCloseTo(3, 6);
  });
});

test("every expert multiplies exactly the rows of its own tokens", async () => {
  const seen: Tensor[] = [];
  class Watched extends FeedForward {
    override forward(rows: Tensor): Tensor {
      seen.push(this.expand.forward(rows)); // what the larger product leaves: [count, dFeedForward]
      return super.forward(rows);
    }
  }
  const layer = make({ chosen: 2, experts: 5, expert: () => new Watched({ dModel, dFeedForward }), capacityFactor: 5 });
  const y = layer.forward(x, new Pass(valid));
  const { ids } = topK(softmax(layer.router.forward(x)), 2);
  const hidden = Object.fromEntries(seen.map((tensor, i) => [`hidden${i}`, tensor]));
  const lengths = [6, 3, 1];
  const program = { inputs: { x, valid }, outputs: { y, ids, ...hidden } };
  const results = await runModule(layer, program, { x: normals([3, 6, dModel], 11), valid: validRows(lengths, 6) });
  const counts = [0, 0, 0, 0, 0];
  Array.from(results.ids!.data as BigInt64Array, Number).forEach((id, i) => {
    const [row, position] = [Math.floor(i / 12), Math.floor(i / 2) % 6];
    if (position < lengths[row]!) counts[id]!++;
  });
  expect(seen.map((_, i) => results[`hidden${i}`]!.dims)).toEqual(counts.map((count) => [count, dFeedForward]));
  expect(counts.reduce((a, b) => a + b)).toBe(2 * (6 + 3 + 1));
});

test.each([
  [1, 4],
  [2, 4],
  [2, 0.8],
])(
  "the stated gradients are the slopes: %i chosen, capacity factor %d, losses included",
  async (chosen, capacityFactor) => {
    const layer = make({ chosen, capacityFactor, balance: 0.3, routerZ: 0.2 });
    const given = leaf([9, dModel]);
    const weight = input("weight", "float32", [9, dModel]);
    const counted = input("counted", "bool", [9]);
    const reports = new PassReports();
    const y = layer.forward(given.value, new Pass(counted, reports));
    const loss = [sum(mul(y, weight)), ...reports.losses].reduce((a, b) => add(a, b));
    await expectSlopes(
      layer,
      { inputs: { weight, counted }, loss },
      { weight: normals([9, dModel], 12), counted: hostTensor("bool", [9], [1, 1, 1, 0, 1, 1, 1, 1, 0]) },
      { extra: { x: { parameter: given, value: normals([9, dModel], 13) } } },
    );
  },
);

test("the router learns: its gradient is not zero through the gates alone", async () => {
  const layer = make({ chosen: 1, balance: 0, routerZ: 0 });
  const [slope] = gradients(sum(layer.forward(x)), [layer.router.weight.value]) as [Tensor];
  const results = await runModule(layer, { inputs: { x }, outputs: { slope } }, { x: normals([1, 5, dModel], 14) });
  expect(floats(results.slope).some((value) => Math.abs(value) > 1e-3)).toBe(true);
});

test("a decoding step's rows [rows, dModel] are tokens like any others", async () => {
  const layer = make({ chosen: 2 });
  const rows = input("rows", "float32", [dim("rows"), dModel]);
  const given = normals([1, 4, dModel], 15);
  const program = {
    inputs: { x, rows },
    outputs: { whole: reshape(layer.forward(x), [-1, dModel]), step: layer.forward(rows) },
  };
  const feeds = { x: given, rows: hostTensor("float32", [4, dModel], given.data) };
  const { whole, step } = await runModule(layer, program, feeds, { inference: true });
  expect(largestDifference(floats(step), floats(whole))).toBe(0);
});

test("experts may drop hidden values: their random bytes have sizes that the batch tells", async () => {
  const dropping = make({ expert: () => new FeedForward({ dModel, dFeedForward, dropout: 0.5 }) });
  const y = dropping.forward(x);
  // Room for ⌈1.25 · 8 / 3⌉ = 4 tokens of 10 hidden values an expert.
  const bytes = [0, 1, 2].map(() => hostTensor("uint8", [40], new Uint8Array(40).fill(255)));
  const program = { inputs: { x }, outputs: { y } };
  const results = await runModule(dropping, program, { x: normals([2, 4, dModel], 16) }, { bytes });
  const kept = await runModule(dropping, program, { x: normals([2, 4, dModel], 16) }, { inference: true });
  expect(largestDifference(floats(results.y), floats(kept.y))).toBeGreaterThan(0.1);
});

test.each([
  [{ experts: 0 }, "experts: a whole number of at least 1 is wanted (got 0)."],
  [{ chosen: 4 }, "chosen: a token goes through 1 to 3 of 3 experts (got 4)."],
  [
    { capacityFactor: 0 },
    "capacityFactor: a number above 0 with at most three decimals is wanted, such as 1.25 (got 0).",
  ],
  [{ capacityFactor: 1.23456 }, "such as 1.25 (got 1.23456)."],
])("%j is refused", (options, problem) => {
  expect(() => make(options)).toThrow(ConfigError);
  expect(() => make(options)).toThrow(problem);
});
