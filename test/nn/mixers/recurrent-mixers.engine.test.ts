// What every recurrent mixer promises, whichever it is.
import { describe, expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../../src/base/index.ts";
import { namedParameters } from "../../../src/nn/index.ts";
import type { AttentionScope } from "../../../src/nn/attention/scope.ts";
import type { RecurrentMixer } from "../../../src/nn/mixer.ts";
import { LinearAttention } from "../../../src/nn/mixers/linear-attention.ts";
import { Retention } from "../../../src/nn/mixers/retention.ts";
import { SelectiveStateSpace } from "../../../src/nn/mixers/selective-state-space.ts";
import { RotaryPositions } from "../../../src/nn/position/rotary.ts";
import { gradients, mul, sum, tanh, type Tensor } from "../../../src/tensor/index.ts";
import { expectClose, largestDifference } from "../../close.ts";
import { draw, keyRows, noisyFeeds, numbersOf, overSequences, stepwise, type Precision } from "./running.ts";

type Formed = RecurrentMixer & {
  parallel(x: Tensor, scope: AttentionScope): Tensor;
  chunked(x: Tensor, scope: AttentionScope): Tensor;
};

const dModel = 8;
/** The smallest difference there is: equal to the last bit. */
const exactly = Number.MIN_VALUE;

/** Chunks of 4, so that a dozen positions are three of them. */
const mixers: readonly (readonly [name: string, mixer: Formed])[] = [
  [
    "linear attention, turned",
    new LinearAttention({ dModel, heads: 2, chunk: 4, bias: false, positions: new RotaryPositions({ dHead: 4 }) }),
  ],
  ["linear attention", new LinearAttention({ dModel, heads: 2, chunk: 4 })],
  ["retention", new Retention({ dModel, heads: 2, chunk: 4 })],
  ["retention with wider values", new Retention({ dModel, heads: 2, expand: 2, bias: true, chunk: 3 })],
  ["a selective state space", new SelectiveStateSpace({ dModel, state: 3, chunk: 4 })],
  [
    "a narrow selective state space",
    new SelectiveStateSpace({ dModel, expand: 1, state: 2, convolution: 1, rank: 3, chunk: 1 }),
  ],
];

/** A number for each position, the same over the width. */
function eachPosition(values: readonly number[], dims: readonly number[]): HostTensor<"float32"> {
  const wide = values.flatMap((value) => new Array<number>(dModel).fill(value));
  return hostTensor("float32", [...dims, dModel], wide);
}

describe.each(mixers)("%s", (_, mixer) => {
  const forms = (x: Tensor, scope: AttentionScope) => ({
    output: mixer.forward(x, scope).output,
    parallel: mixer.parallel(x, scope),
    chunked: mixer.chunked(x, scope),
  });

  test.each([
    ["float32", 1e-4],
    ["float64", 1e-10],
  ] as const)("in %s parallel, chunked and stepwise form agree at every length", async (dtype, within) => {
    await using run = await overSequences(mixer, forms, { dtype, dModel });
    const feeds = noisyFeeds(mixer, dtype);
    for (const time of [1, 2, 3, 4, 5, 8, 13]) {
      const x = draw([2, time, dModel], time, dtype);
      const { output, parallel, chunked } = await run.run({ ...feeds, x });
      expectClose(numbersOf(chunked!), numbersOf(parallel!), { within, what: `chunked, length ${time}` });
      expectClose(numbersOf(output!), numbersOf(chunked!), { within: exactly, what: `forward, length ${time}` });
      if (time < 3 || time === 13) {
        const stepped = await stepwise(mixer, feeds, x, dtype);
        expectClose(stepped, numbersOf(parallel!), { within, what: `stepwise, length ${time}` });
      }
    }
  });

  test.each([
    ["right", ["######", "####..", "#....."]],
    ["left", ["######", "..####", ".....#"]],
  ])("padding on the %s changes nothing at the words", async (side, rows) => {
    await using padded = await overSequences(mixer, forms, { dModel, isPadded: true });
    await using alone = await overSequences(mixer, forms, { dModel });
    const feeds = noisyFeeds(mixer, "float32");
    const x = draw([3, 6, dModel], 5);
    const got = await padded.run({ ...feeds, x, keys: keyRows(rows) });
    for (const [row, keys] of rows.entries()) {
      const words = keys.lastIndexOf("#") - keys.indexOf("#") + 1;
      const start = (row * 6 + keys.indexOf("#")) * dModel;
      const part = (of: HostTensor) => numbersOf(of).subarray(start, start + words * dModel);
      const expected = await alone.run({ ...feeds, x: hostTensor("float32", [1, words, dModel], [...part(x)]) });
      for (const form of ["output", "parallel"] as const) {
        const what = `${form}, row ${row}, padded on the ${side}`;
        expectClose(part(got[form]!), numbersOf(expected[form]!), { within: 2e-6, what });
      }
    }
    for (const { data } of Object.values(got)) expect((data as Float32Array).every(Number.isFinite)).toBe(true);
  });

  test("what padding holds reaches no word, and no gradient reaches padding", async () => {
    const rows = ["####..", "######"];
    const slopes = (x: Tensor, scope: AttentionScope, weight: Tensor) => {
      const { output } = mixer.forward(x, scope);
      return { output, slope: gradients(sum(mul(tanh(output), weight)), [x])[0]! };
    };
    await using run = await overSequences(mixer, slopes, { dModel, isPadded: true });
    const keys = keyRows(rows);
    const feeds = {
      ...noisyFeeds(mixer, "float32"),
      keys,
      weight: eachPosition(Array.from(keys.data), [2, 6]),
    };
    const x = draw([2, 6, dModel], 5);
    const other = draw([2, 6, dModel], 6);
    const isWord = (i: number): boolean => keys.data[Math.floor(i / dModel)] === 1;
    const changed = x.data.map((value, i) => (isWord(i) ? value : other.data[i]!)) as Float32Array;
    const first = await run.run({ ...feeds, x });
    const second = await run.run({ ...feeds, x: { ...x, data: changed } });
    expectClose(numbersOf(second.output!), numbersOf(first.output!), { within: exactly, where: isWord });
    expectClose(numbersOf(first.slope!), new Float64Array(x.data.length), {
      within: exactly,
      where: (i) => !isWord(i),
    });
  });

  test("a later token changes no earlier output and no earlier output's gradient reaches it: exactly", async () => {
    const time = 11;
    const slopes = (x: Tensor, scope: AttentionScope, weight: Tensor) => {
      const { output } = mixer.forward(x, scope);
      return { output, slope: gradients(sum(mul(tanh(output), weight)), [x])[0]! };
    };
    await using run = await overSequences(mixer, slopes, { dModel });
    const feeds = noisyFeeds(mixer, "float32");
    for (const moment of [1, 4, 6, 10]) {
      const earlier = Array.from({ length: time }, (_, t) => (t < moment ? 1 : 0));
      const x = draw([1, time, dModel], 5);
      const changed = x.data.map((value, i) => (i < moment * dModel ? value : value + 3)) as Float32Array;
      const given = { ...feeds, weight: eachPosition(earlier, [1, time]) };
      const first = await run.run({ ...given, x });
      const second = await run.run({ ...given, x: { ...x, data: changed } });
      const isEarlier = (i: number): boolean => i < moment * dModel;
      expectClose(numbersOf(second.output!), numbersOf(first.output!), { within: exactly, where: isEarlier });
      expectClose(numbersOf(second.slope!), numbersOf(first.slope!), { within: exactly, where: isEarlier });
      const none = new Float64Array(x.data.length);
      expectClose(numbersOf(first.slope!), none, { within: exactly, where: (i) => !isEarlier(i) });
      expect(largestDifference(numbersOf(second.output!), numbersOf(first.output!))).toBeGreaterThan(1e-3);
    }
  });

  test("rows of a batch know nothing of each other", async () => {
    await using run = await overSequences(mixer, forms, { dModel });
    const feeds = noisyFeeds(mixer, "float32");
    const x = draw([3, 7, dModel], 5);
    const size = 7 * dModel;
    const turned = [2, 0, 1].flatMap((row) => [...x.data.subarray(row * size, (row + 1) * size)]);
    const first = numbersOf((await run.run({ ...feeds, x })).output!);
    const second = numbersOf((await run.run({ ...feeds, x: hostTensor("float32", [3, 7, dModel], turned) })).output!);
    const expected = [2, 0, 1].flatMap((row) => [...first.subarray(row * size, (row + 1) * size)]);
    expectClose(second, expected, { within: 1e-6 });
  });

  test.each(["chunked", "parallel"] as const)("gradients of the %s form are the slopes of the loss", async (form) => {
    const dtype: Precision = "float64";
    const parameters = namedParameters(mixer);
    const build = (x: Tensor, scope: AttentionScope, weight: Tensor) => {
      const loss = sum(mul(mixer[form](x, scope), weight));
      const leaves = [x, ...[...parameters.values()].map(({ value }) => value)];
      const names = ["x", ...parameters.keys()];
      return { loss, ...Object.fromEntries(gradients(loss, leaves).map((slope, i) => [`d.${names[i]}`, slope])) };
    };
    await using run = await overSequences(mixer, build, { dtype, dModel, isPadded: true });
    const feeds: Record<string, HostTensor> = {
      ...noisyFeeds(mixer, dtype),
      x: draw([2, 6, dModel], 5, dtype),
      weight: draw([2, 6, dModel], 6, dtype),
      keys: keyRows(["######", "####.."]),
    };
    const stated = await run.run(feeds);
    const random = new RandomStream(randomKey(8));
    for (const name of ["x", ...parameters.keys()]) {
      const { dims, data } = feeds[name] as HostTensor<"float64">;
      const towards = data.map(() => random.normal());
      const moved = async (by: number): Promise<number> => {
        const place = { dtype, dims, data: data.map((value, i) => value + by * towards[i]!) };
        return (await run.run({ ...feeds, [name]: place }, { outputs: ["loss"] })).loss!.data[0] as number;
      };
      const difference = async (by: number) => ((await moved(by)) - (await moved(-by))) / (2 * by);
      // Richardson's extrapolation: the error of a central difference goes with the square of the step.
      const measured = (4 * (await difference(1e-5)) - (await difference(2e-5))) / 3;
      const slope = numbersOf(stated[`d.${name}`]!).reduce((total, value, i) => total + value * towards[i]!, 0);
      expectClose([slope], [measured], { within: 1e-7, relative: 1e-7, what: `slope along ${name}` });
    }
  });
});
