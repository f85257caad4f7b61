// CTC against the sum over every path there is, and its gradient against differences.
import { describe, expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../../src/base/index.ts";
import { compile } from "../../../src/engine/index.ts";
import { ctc, linearCtc } from "../../../src/nn/index.ts";
import { affine, dim, gradients, inDoublePrecision, input, sum, type Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../close.ts";

const symbols = 4;

/** −ln Σ p(π) over all symbolsᵗⁱᵐᵉ paths that collapse to the label; 0 where there is none. */
function bruteForce(logits: readonly (readonly number[])[], label: readonly number[], blank: number): number {
  const logProbabilities = logits.map((row) => {
    const total = Math.log(row.reduce((all, x) => all + Math.exp(x), 0));
    return row.map((x) => x - total);
  });
  let probability = 0;
  for (let path = 0; path < symbols ** logits.length; path++) {
    const symbolAt = (t: number): number => Math.floor(path / symbols ** t) % symbols;
    const read = logits.flatMap((_, t) =>
      symbolAt(t) === blank || (t > 0 && symbolAt(t) === symbolAt(t - 1)) ? [] : [symbolAt(t)],
    );
    if (read.join() === label.join())
      probability += Math.exp(logProbabilities.reduce((all, row, t) => all + row[symbolAt(t)]!, 0));
  }
  return probability === 0 ? 0 : -Math.log(probability);
}

const batch = dim("batch");
const labels = input("labels", "int32", [batch, dim("labelTime")]);
const counts = input("counts", "bool", labels.shape);
const frames = input("frames", "bool", [batch, dim("time")]);
const logits = input("logits", "float32", [batch, dim("time"), symbols]);
const given = { labels, counts, frames };

interface Row {
  readonly label: readonly number[];
  readonly frames: number;
}

const rows: readonly Row[] = [
  { label: [1, 2], frames: 6 },
  { label: [1, 1], frames: 5 }, // a repeat needs a blank between
  { label: [3, 3, 3], frames: 5 }, // exactly one path
  { label: [3, 3, 3], frames: 4 }, // none
  { label: [2], frames: 1 },
  { label: [1, 2, 3, 1], frames: 4 },
  { label: [], frames: 3 },
  { label: [2, 1, 2], frames: 2 }, // none
];

function feedsOf(): Record<string, HostTensor> {
  const [time, labelTime] = [6, 4];
  const random = new RandomStream(randomKey(3));
  const flat = (value: (row: Row, i: number) => number, width: number): number[] =>
    rows.flatMap((row) => Array.from({ length: width }, (_, i) => value(row, i)));
  return {
    labels: hostTensor(
      "int32",
      [rows.length, labelTime],
      flat(({ label }, i) => label[i] ?? blank, labelTime),
    ),
    counts: hostTensor(
      "bool",
      [rows.length, labelTime],
      flat(({ label }, i) => Number(i < label.length), labelTime),
    ),
    frames: hostTensor(
      "bool",
      [rows.length, time],
      flat((row, t) => Number(t < row.frames), time),
    ),
    logits: hostTensor(
      "float64",
      [rows.length, time, symbols],
      Float64Array.from({ length: rows.length * time * symbols }, () => 2 * random.normal()),
    ),
  };
}

function logitsOf(feeds: Record<string, HostTensor>, row: number): number[][] {
  const data = feeds.logits!.data as Float64Array;
  return Array.from({ length: rows[row]!.frames }, (_, t) =>
    Array.from({ length: symbols }, (_, i) => data[(row * 6 + t) * symbols + i]!),
  );
}

async function run(
  outputs: Readonly<Record<string, Tensor>>,
  inputs: Readonly<Record<string, Tensor>>,
  feeds: Record<string, HostTensor>,
): Promise<Record<string, HostTensor>> {
  await using executable = await compile(inDoublePrecision({ name: "ctc", inputs, outputs }), { threads: 1 });
  return await executable.run(feeds);
}

const blank = 0;

describe("over all paths", () => {
  const { loss, reachable } = ctc(logits, { ...given, blank });

  test("the loss is the sum over all paths, row by row, whatever the padding", async () => {
    const feeds = feedsOf();
    const result = await run({ loss, reachable }, { ...given, logits }, feeds);
    const expected = rows.map(({ label }, row) => bruteForce(logitsOf(feeds, row), label, blank));
    expect(Array.from(result.reachable!.data, Boolean)).toEqual(expected.map((value) => value !== 0));
    expectClose(result.loss!.data as Float64Array, expected, { within: 1e-9 });
  });

  test("the gradient is the slope of that sum, and nothing flows to padding or from a label out of reach", async () => {
    const feeds = feedsOf();
    const [slope] = gradients(sum(loss), [logits]);
    const { gradient } = await run({ gradient: slope! }, { ...given, logits }, feeds);
    const step = 1e-5;
    const expected = (gradient!.data as Float64Array).map((_, at) => {
      const [row, t, i] = [Math.floor(at / (6 * symbols)), Math.floor(at / symbols) % 6, at % symbols];
      if (t >= rows[row]!.frames) return 0;
      const moved = (by: number): number => {
        const changed = logitsOf(feeds, row);
        changed[t]![i]! += by;
        return bruteForce(changed, rows[row]!.label, blank);
      };
      return (moved(step) - moved(-step)) / (2 * step);
    });
    expectClose(gradient!.data as Float64Array, expected, { within: 1e-8 });
  });
});

test("from hidden values and an output table it is the same loss with the same gradients", async () => {
  const width = 3;
  const hidden = input("hidden", "float32", [batch, dim("time"), width]);
  const table = input("table", "float32", [symbols, width]);
  const bias = input("bias", "float32", [symbols]);
  const random = new RandomStream(randomKey(4));
  const drawn = (dims: number[]): HostTensor =>
    hostTensor(
      "float64",
      dims,
      Float64Array.from({ length: dims.reduce((a, b) => a * b) }, () => random.normal()),
    );
  const { logits: _, ...rest } = feedsOf();
  const feeds = {
    ...rest,
    hidden: drawn([rows.length, 6, width]),
    table: drawn([symbols, width]),
    bias: drawn([symbols]),
  };
  const long = ctc(affine(hidden, table, bias, { transposeB: true }), { ...given, blank: 0 }).loss;
  const short = linearCtc(hidden, { table, bias, ...given, blank: 0 }).loss;
  const outputs: Record<string, Tensor> = { long, short };
  for (const [name, value] of Object.entries({ long, short }))
    gradients(sum(value), [hidden, table, bias]).forEach((slope, i) => (outputs[`${name}.${i}`] = slope));
  const results = await run(outputs, { ...given, hidden, table, bias }, feeds);
  for (const end of ["", ".0", ".1", ".2"])
    expectClose(results[`short${end}`]!.data as Float64Array, results[`long${end}`]!.data as Float64Array, {
      within: 1e-9,
      what: `loss${end}`,
    });
});

test("in float32 a hundred frames of a large vocabulary stay within a thousandth of float64", async () => {
  const [time, vocabulary, labelTime] = [100, 50, 30];
  const long = input("long", "float32", [batch, time, vocabulary]);
  const random = new RandomStream(randomKey(5));
  const values = Float64Array.from({ length: time * vocabulary }, () => 4 * random.normal());
  const feeds = {
    labels: hostTensor(
      "int32",
      [1, labelTime],
      Array.from({ length: labelTime }, () => 1 + random.integer(49)),
    ),
    counts: hostTensor("bool", [1, labelTime], new Uint8Array(labelTime).fill(1)),
  };
  const { loss } = ctc(long, { labels, counts, blank: 0 });
  const inputs = { labels, counts, long };
  const exact = await run({ loss }, inputs, { ...feeds, long: hostTensor("float64", [1, time, vocabulary], values) });
  await using single = await compile({ name: "ctc", inputs, outputs: { loss } }, { threads: 1 });
  const rounded = await single.run({
    ...feeds,
    long: hostTensor("float32", [1, time, vocabulary], Float32Array.from(values)),
  });
  expect(Number(exact.loss!.data[0])).toBeGreaterThan(100);
  expectClose([Number(rounded.loss!.data[0])], [Number(exact.loss!.data[0])], { within: 1e-3 });
});
