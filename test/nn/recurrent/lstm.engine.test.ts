// LSTM layers against the same recurrence written as a loop, and their gradients against differences.
import { describe, expect, test } from "vitest";
import { ConfigError, type HostTensor } from "../../../src/base/index.ts";
import { initialize, namedParameters } from "../../../src/nn/index.ts";
import { BidirectionalLstm } from "../../../src/nn/recurrent/bidirectional-lstm.ts";
import { Lstm } from "../../../src/nn/recurrent/lstm.ts";
import { add, dim, input, mul, sin, sum, type Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../close.ts";
import { expectSlopes, leaf, noisyWeights, normals, runModule, validRows, type Weights } from "../module-program.ts";

const [from, to] = [3, 2];
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** One layer as in the text books, one number at a time; `prefix` leads to its weights. */
function byHand(
  weights: Weights,
  x: HostTensor,
  { lengths, reverse = false, prefix = "" }: { lengths: readonly number[]; reverse?: boolean; prefix?: string },
): { output: number[]; hidden: number[]; cell: number[] } {
  const [batch, time] = x.dims as [number, number, number];
  const at = (name: string) => weights.get(`${prefix}${name}`)!.data;
  const [w, u, b] = [at("input.weight"), at("recurrent.weight"), at("bias")];
  const output = new Array<number>(batch * time * to);
  const [lastHidden, lastCell]: [number[], number[]] = [[], []];
  for (let row = 0; row < batch; row++) {
    let hidden = [0, 0];
    let cell = [0, 0];
    for (let step = 0; step < time; step++) {
      const t = reverse ? time - 1 - step : step;
      if (t < lengths[row]!) {
        const gate = (index: number, unit: number): number => {
          const column = index * to + unit;
          let total = b[column]!;
          for (let i = 0; i < from; i++)
            total += (x.data[(row * time + t) * from + i] as number) * w[i * 4 * to + column]!;
          for (let i = 0; i < to; i++) total += hidden[i]! * u[i * 4 * to + column]!;
          return total;
        };
        const next = cell.map(
          (value, unit) => sigmoid(gate(1, unit)) * value + sigmoid(gate(0, unit)) * Math.tanh(gate(2, unit)),
        );
        const out = next.map((value, unit) => sigmoid(gate(3, unit)) * Math.tanh(value));
        [cell, hidden] = [next, out];
      }
      hidden.forEach((value, unit) => (output[(row * time + t) * to + unit] = value));
    }
    lastHidden.push(...hidden);
    lastCell.push(...cell);
  }
  return { output, hidden: lastHidden, cell: lastCell };
}

const [batch, time] = [dim("batch"), dim("time")];
const x = input("x", "float32", [batch, time, from]);
const valid = input("valid", "bool", [batch, time]);
const lengths = [6, 1, 3];
const feeds = { x: normals([3, 6, from], 1), valid: validRows(lengths, 6) };

describe.each([false, true])("a layer (reverse: %s)", (reverse) => {
  test("is the loop written by hand; padding leaves the state as it was", async () => {
    const lstm = new Lstm({ from, to, reverse });
    const { output, state } = lstm.forward(x, { valid });
    const results = await runModule(lstm, { inputs: { x, valid }, outputs: { output, ...state } }, feeds);
    const expected = byHand(noisyWeights(lstm, 1), feeds.x, { lengths, reverse });
    for (const name of ["output", "hidden", "cell"] as const)
      expectClose(results[name]!.data as Float32Array, expected[name], { within: 1e-6, what: name });
  });

  test("every weight, the input and the first state have the gradient that differences show", async () => {
    const lstm = new Lstm({ from, to, reverse });
    const [given, hidden, cell] = [leaf([3, 4, from]), leaf([3, to]), leaf([3, to])];
    const lengthsOf4 = input("valid", "bool", [3, 4]);
    const { output, state } = lstm.forward(given.value, {
      valid: lengthsOf4,
      state: { hidden: hidden.value, cell: cell.value },
    });
    const score = (part: Tensor, i: number): Tensor => sum(sin(mul(part, i + 1.5)));
    const loss = [output, state.hidden, state.cell].map(score).reduce((a, b) => add(a, b));
    await expectSlopes(
      lstm,
      { inputs: { valid: lengthsOf4 }, loss },
      { valid: validRows([4, 1, 3], 4) },
      {
        extra: {
          x: { parameter: given, value: normals([3, 4, from], 2) },
          hidden: { parameter: hidden, value: normals([3, to], 3) },
          cell: { parameter: cell, value: normals([3, to], 4) },
        },
      },
    );
  });
});

test("step by step a layer gives what it gives at once", async () => {
  const lstm = new Lstm({ from, to });
  const { output } = lstm.forward(x);
  const at = input("at", "float32", [3, from]);
  const state = { hidden: input("hidden", "float32", [3, to]), cell: input("cell", "float32", [3, to]) };
  const next = lstm.step(at, state);
  const all = (await runModule(lstm, { inputs: { x }, outputs: { output } }, { x: feeds.x })).output!
    .data as Float32Array;
  let now: Record<string, HostTensor> = {
    hidden: { dtype: "float32", dims: [3, to], data: new Float32Array(3 * to) },
    cell: { dtype: "float32", dims: [3, to], data: new Float32Array(3 * to) },
  };
  for (let t = 0; t < 6; t++) {
    const column = new Float32Array(3 * from).map(
      (_, i) => feeds.x.data[(Math.floor(i / from) * 6 + t) * from + (i % from)]!,
    );
    const given = { at: { dtype: "float32" as const, dims: [3, from], data: column }, ...now };
    const outputs = { nextHidden: next.hidden, nextCell: next.cell };
    const { nextHidden, nextCell } = await runModule(lstm, { inputs: { at, ...state }, outputs }, given);
    now = { hidden: nextHidden!, cell: nextCell! };
    const expected = new Float32Array(3 * to).map((_, i) => all[(Math.floor(i / to) * 6 + t) * to + (i % to)]!);
    expectClose(now.hidden!.data as Float32Array, expected, { within: 1e-6, what: `position ${t}` });
  }
});

test("both directions stand side by side, each with the state at its end", async () => {
  const lstm = new BidirectionalLstm({ from, to: 2 * to });
  const { output, state } = lstm.forward(x, { valid });
  const results = await runModule(lstm, { inputs: { x, valid }, outputs: { output, ...state } }, feeds);
  const weights = noisyWeights(lstm, 1);
  const there = byHand(weights, feeds.x, { lengths, prefix: "forwards." });
  const back = byHand(weights, feeds.x, { lengths, prefix: "backwards.", reverse: true });
  for (const name of ["output", "hidden", "cell"] as const) {
    const expected = Array.from({ length: there[name].length / to }, (_, row) => [
      ...there[name].slice(row * to, (row + 1) * to),
      ...back[name].slice(row * to, (row + 1) * to),
    ]).flat();
    expectClose(results[name]!.data as Float32Array, expected, { within: 1e-6, what: name });
  }
  expect(() => new BidirectionalLstm({ from, to: 3 })).toThrow(ConfigError);
});

test("at first the forget gate's offset is 1, the others 0, and there are 4 (from + to + 1) to numbers", () => {
  const parameters = namedParameters(new Lstm({ from: 5, to: 3 }));
  expect([...parameters.keys()]).toEqual(["input.weight", "recurrent.weight", "bias"]);
  expect([...initialize(parameters, 1).get("bias")!.data]).toEqual([0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
  const count = [...parameters.values()].reduce((total, { shape }) => total + shape.reduce((a, b) => a * b), 0);
  expect(count).toBe(4 * (5 + 3 + 1) * 3);
});
