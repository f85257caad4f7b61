// Each mixer against its paper's equations, written as plain loops over numbers in double precision.
import { describe, expect, test } from "vitest";
import { ConfigError, type HostTensor } from "../../../src/base/index.ts";
import { AttentionScope } from "../../../src/nn/attention/scope.ts";
import type { Mixer, RecurrentMixer } from "../../../src/nn/mixer.ts";
import { LinearAttention } from "../../../src/nn/mixers/linear-attention.ts";
import { Retention } from "../../../src/nn/mixers/retention.ts";
import { SelectiveStateSpace } from "../../../src/nn/mixers/selective-state-space.ts";
import { initialize, namedParameters } from "../../../src/nn/index.ts";
import { RotaryPositions } from "../../../src/nn/position/rotary.ts";
import { dim, input, type Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../close.ts";
import { draw, keyRows, noisyFeeds, numbersOf, overSequences } from "./running.ts";

type Rows = readonly (readonly number[])[];
type Given = Readonly<Record<string, HostTensor>>;

const [dModel, heads, time] = [8, 2, 7];
const dHead = dModel / heads;

const rowsOf = ({ dims, data }: HostTensor): number[][] => {
  const width = dims.at(-1)!;
  const values = Array.from(data as Float64Array);
  return Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
};
const affine = (rows: Rows, weight: HostTensor, bias?: HostTensor): number[][] => {
  const matrix = rowsOf(weight);
  return rows.map((row) =>
    matrix[0]!.map((_, to) =>
      row.reduce((total, value, from) => total + value * matrix[from]![to]!, Number(bias?.data[to] ?? 0)),
    ),
  );
};
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((total, value, i) => total + value * b[i]!, 0);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const silu = (x: number): number => x * sigmoid(x);
const headOf = (row: readonly number[], head: number): number[] => row.slice(head * dHead, (head + 1) * dHead);
const counted = Array.from({ length: time }, (_, t) => t);

/** Rotary in halves: the pair (i, i + dHead/2) at place t turns by t · 10000^(−2i/dHead). */
function turned(x: readonly number[], t: number): number[] {
  const half = x.length / 2;
  return x.map((value, i) => {
    const angle = t * 10_000 ** ((-2 * (i % half)) / x.length);
    return value * Math.cos(angle) + (i < half ? -x[i + half]! : x[i - half]!) * Math.sin(angle);
  });
}

async function outputOf(mixer: Mixer, feeds: Given, x: HostTensor, isCausal = true): Promise<Float64Array> {
  const build = (given: Tensor, scope: AttentionScope) => ({ output: mixer.forward(given, scope).output });
  await using run = await overSequences(mixer, build, { dtype: "float64", dModel, isCausal });
  return numbersOf((await run.run({ ...feeds, x })).output!);
}

describe("linear attention", () => {
  const feature = (x: number): number => (x > 0 ? x + 1 : Math.exp(x));

  test.each([
    ["causal", true, false],
    ["not causal", false, false],
    ["causal with rotary positions", true, true],
    ["not causal with rotary positions", false, true],
  ])("%s: Katharopoulos et al. 2020, equation 8, and Su et al. 2021, equation 19", async (_, isCausal, turns) => {
    const positions = turns ? new RotaryPositions({ dHead }) : undefined;
    const mixer = new LinearAttention({ dModel, heads, positions, chunk: 3 });
    const feeds = noisyFeeds(mixer, "float64");
    const x = draw([1, time, dModel], 4, "float64");
    const [query, key, value] = (["query", "key", "value"] as const).map((name) =>
      affine(rowsOf(x), feeds[`${name}.weight`]!, feeds[`${name}.bias`]),
    ) as [number[][], number[][], number[][]];
    const context = counted.map((t) =>
      Array.from({ length: dModel }, (_, column) => {
        const head = Math.floor(column / dHead);
        const featuresOf = (row: readonly number[]): number[] => headOf(row, head).map(feature);
        const placed = (row: readonly number[], at: number): number[] =>
          turns ? turned(featuresOf(row), at) : featuresOf(row);
        let [above, below] = [0, Math.fround(1e-6)];
        for (const s of counted.filter((s) => !isCausal || s <= t)) {
          above += dot(placed(query[t]!, t), placed(key[s]!, s)) * value[s]![column]!;
          below += dot(featuresOf(query[t]!), featuresOf(key[s]!));
        }
        return above / below;
      }),
    );
    const expected = affine(context, feeds["output.weight"]!, feeds["output.bias"]).flat();
    // Rotary tables are rounded to float32 in the program.
    expectClose(await outputOf(mixer, feeds, x, isCausal), expected, { within: turns ? 1e-6 : 1e-12 });
  });

  test("not causal, both forms agree and padding changes nothing at the words", async () => {
    const mixer = new LinearAttention({ dModel, heads });
    const build = (x: Tensor, scope: AttentionScope) => ({
      output: mixer.forward(x, scope).output,
      parallel: mixer.parallel(x, scope),
    });
    await using padded = await overSequences(mixer, build, { dModel, isCausal: false, isPadded: true });
    const feeds = noisyFeeds(mixer, "float32");
    const x = draw([2, 5, dModel], 4);
    const words = { ...x, dims: [1, 3, dModel], data: x.data.slice(0, 3 * dModel) };
    const whole = await padded.run({ ...feeds, x, keys: keyRows(["###..", "....."]) });
    const alone = await padded.run({ ...feeds, x: words, keys: keyRows(["###"]) });
    const part = numbersOf(whole.output!).subarray(0, 3 * dModel);
    expectClose(part, numbersOf(alone.output!), { within: 1e-6 });
    expectClose(numbersOf(whole.output!), numbersOf(whole.parallel!), { within: 1e-5 });
  });
});

test("retention: Sun et al. 2023, equations 6 and 8", async () => {
  const mixer = new Retention({ dModel, heads, chunk: 3 });
  const feeds = noisyFeeds(mixer, "float64");
  const x = draw([1, time, dModel], 4, "float64");
  const [query, key, value, gate] = (["query", "key", "value", "gate"] as const).map((name) =>
    affine(rowsOf(x), feeds[`${name}.weight`]!),
  ) as [number[][], number[][], number[][], number[][]];
  const gated = counted.map(() => new Array<number>(dModel).fill(0));
  for (let head = 0; head < heads; head++) {
    const gamma = 1 - 2 ** (-5 - head);
    const state = Array.from({ length: dHead }, () => new Array<number>(dHead).fill(0));
    for (const t of counted) {
      const k = turned(headOf(key[t]!, head), t).map((each) => each * Math.fround(dHead ** -0.5));
      const [q, v] = [turned(headOf(query[t]!, head), t), headOf(value[t]!, head)];
      for (const [i, row] of state.entries()) for (const j of row.keys()) row[j] = gamma * row[j]! + k[i]! * v[j]!;
      const kept = v.map((_, j) => state.reduce((total, row, i) => total + q[i]! * row[j]!, 0));
      const mean = kept.reduce((a, b) => a + b) / dHead;
      const variance = kept.reduce((total, each) => total + (each - mean) ** 2, 0) / dHead;
      for (const [j, each] of kept.entries()) {
        const column = head * dHead + j;
        const normalised = (each - mean) / Math.sqrt(variance + Math.fround(1e-5));
        const [scale, shift] = [feeds["norm.scale"]!, feeds["norm.shift"]!].map(({ data }) => Number(data[column]));
        gated[t]![column] = silu(gate[t]![column]!) * (normalised * scale! + shift!);
      }
    }
  }
  const expected = affine(gated, feeds["output.weight"]!).flat();
  expectClose(await outputOf(mixer, feeds, x), expected, { within: 1e-5 }); // rotary tables are rounded to float32
});

test("a selective state space: Gu and Dao 2023, algorithm 2", async () => {
  const [channels, states, rank, width] = [2 * dModel, 3, 2, 4];
  const mixer = new SelectiveStateSpace({ dModel, state: states, rank, convolution: width });
  const feeds = noisyFeeds(mixer, "float64");
  const x = draw([1, time, dModel], 4, "float64");
  const entered = affine(rowsOf(x), feeds["input.weight"]!);
  const weight = rowsOf(feeds["convolution.weight"]!);
  const filtered = counted.map((t) =>
    Array.from({ length: channels }, (_, channel) => {
      let total = Number(feeds["convolution.bias"]!.data[channel]);
      for (let back = 0; back < width && back <= t; back++)
        total += weight[back]![channel]! * entered[t - back]![channel]!;
      return silu(total);
    }),
  );
  const selected = affine(filtered, feeds["selection.weight"]!);
  const paces = affine(
    selected.map((row) => row.slice(0, rank)),
    feeds["timeStep.weight"]!,
    feeds.timeStepBias,
  );
  const logDecay = rowsOf(feeds.logDecay!);
  const gated = counted.map(() => new Array<number>(channels).fill(0));
  for (let channel = 0; channel < channels; channel++) {
    const state = new Array<number>(states).fill(0);
    for (const t of counted) {
      const u = filtered[t]![channel]!;
      const delta = Math.log1p(Math.exp(paces[t]![channel]!));
      let y = Number(feeds.skip!.data[channel]) * u;
      for (let n = 0; n < states; n++) {
        const [enter, read] = [selected[t]![rank + n]!, selected[t]![rank + states + n]!];
        state[n] = Math.exp(-Math.exp(logDecay[n]![channel]!) * delta) * state[n]! + delta * enter * u;
        y += read * state[n]!;
      }
      gated[t]![channel] = y * silu(entered[t]![channels + channel]!);
    }
  }
  const expected = affine(gated, feeds["output.weight"]!).flat();
  expectClose(await outputOf(mixer, feeds, x), expected, { within: 1e-12 });
});

test("a state space starts out with A = −1 … −N in every channel, and paces of 0.001 to 0.1 spread evenly in their logarithm", () => {
  const mixer = new SelectiveStateSpace({ dModel: 64, state: 4 });
  const first = initialize(namedParameters(mixer), 1);
  const decays = [...first.get("logDecay")!.data].map((value) => -Math.exp(value));
  for (let n = 0; n < 4; n++)
    for (const decay of decays.slice(128 * n, 128 * (n + 1))) expect(decay).toBeCloseTo(-1 - n, 5);
  const logs = [...first.get("timeStepBias")!.data].map((bias) => Math.log10(Math.log1p(Math.exp(bias))));
  expect(Math.min(...logs)).toBeGreaterThanOrEqual(-3.001);
  expect(Math.max(...logs)).toBeLessThanOrEqual(-0.999);
  expect(logs.reduce((a, b) => a + b) / logs.length).toBeCloseTo(-2, 0);
});

test.each<[string, RecurrentMixer, number, number]>([
  [
    "linear attention: four square matrices, and a square a head",
    new LinearAttention({ dModel: 32, heads: 4 }),
    4 * 32 ** 2,
    32 * (8 + 1),
  ],
  ["retention: a fifth for the gate", new Retention({ dModel: 32, heads: 4 }), 5 * 32 ** 2, 32 * 8],
  ["retention with values twice as wide", new Retention({ dModel: 32, heads: 4, expand: 2 }), 8 * 32 ** 2, 32 * 8 * 2],
  [
    "a state space: three matrices of 32 × 64, rank 2, 16 states, 4 positions of convolution, D",
    new SelectiveStateSpace({ dModel: 32 }),
    64 * (3 * 32 + 2 * 2 + 3 * 16 + 4 + 1),
    64 * (16 + 3),
  ],
])("weights and state are as many as the table in the docs says: %s", (_, mixer, weights, kept) => {
  const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
  const isCounted = (name: string): boolean => !/bias$|^norm\./i.test(name);
  const parameters = [...namedParameters(mixer)].filter(([name]) => isCounted(name));
  expect(parameters.reduce((total, [, { shape }]) => total + count(shape), 0)).toBe(weights);
  expect(Object.values(mixer.state).reduce((total, shape) => total + count(shape), 0)).toBe(kept);
});

describe("what does not go together is refused, with the remedy", () => {
  const queryTime = dim("time");
  const x = input("x", "float32", [dim("batch"), queryTime, dModel]);
  const turning = new RotaryPositions({ dHead });
  const biased = { bias: (queries: Tensor) => queries };
  const linear = new LinearAttention({ dModel, heads });
  const retention = new Retention({ dModel, heads });
  const stateSpace = new SelectiveStateSpace({ dModel });
  const causal = { queryTime, isCausal: true };

  test.each<[string, Mixer, ConstructorParameters<typeof AttentionScope>[0], string]>([
    ["linear attention with a bias on scores", linear, { ...causal, positions: biased }, "there are no scores"],
    [
      "linear attention with rotary that a step would not know",
      linear,
      { ...causal, positions: turning },
      "`positions`",
    ],
    [
      "retention with rotary on top of its own",
      retention,
      { ...causal, positions: turning },
      "turns queries and keys itself",
    ],
    [
      "retention with a bias on scores",
      retention,
      { ...causal, positions: biased },
      "take none, sinusoidal or learned",
    ],
    ["retention in an encoder", retention, { queryTime }, "cannot stand in an encoder"],
    ["a state space in an encoder", stateSpace, { queryTime }, "cannot stand in an encoder"],
    ["a state space with rotary", stateSpace, { ...causal, positions: turning }, "a state has no places"],
    ["fewer queries than keys", stateSpace, { ...causal, keyTime: dim("more") }, "step from the state"],
  ])("%s", (_, mixer, scope, remedy) => {
    const traced = (): unknown => mixer.forward(x, new AttentionScope(scope));
    expect(traced).toThrow(ConfigError);
    expect(traced).toThrow(remedy);
  });

  test.each<[string, () => unknown, string]>([
    ["heads", () => new LinearAttention({ dModel, heads: 3 }), "heads must divide dModel (got heads 3, dModel 8)"],
    ["an odd head", () => new Retention({ dModel: 6, heads: 2 }), "heads of an even width"],
    ["state", () => new SelectiveStateSpace({ dModel, state: 0 }), "state space.state: a whole number of at least 1"],
    ["chunk", () => new LinearAttention({ dModel, heads, chunk: 0.5 }), "linear attention.chunk: a whole number"],
  ])("the option %s", (_, made, problem) => {
    expect(made).toThrow(problem);
  });
});
