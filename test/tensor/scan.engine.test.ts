// Loops inside programs: against loops written by hand, and their gradients against central differences.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import { compile, EngineError } from "../../src/engine/index.ts";
import { decodeOnnx, encodeOnnx, type OnnxGraph } from "../../src/formats/index.ts";
import * as t from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";
import { applyTo, draw, evaluate, expectGradient, inputsFor, numbers, type Values } from "./evaluate.ts";

/** h′ = tanh(x + h U), all h′ kept: x [time, batch, n], h [batch, n], U [n, n]. */
const recurrence = (h: t.Tensor, x: t.Tensor, weight: t.Tensor, reverse = false): t.Scanned =>
  t.scan({ carry: [h], sequences: [x], reverse }, ([state], [slice]) => {
    const next = t.tanh(t.add(t.matmul(state!, weight), slice!));
    return { carry: [next], outputs: [next] };
  });

/** The same by hand. */
function byHand(h: HostTensor, x: HostTensor, weight: HostTensor, reverse = false): number[] {
  const [time, batch, n] = x.dims as [number, number, number];
  let state = numbers(h);
  const kept = new Array<number>(time * batch * n);
  for (let step = 0; step < time; step++) {
    const at = reverse ? time - 1 - step : step;
    const next = state.map((_, place) => {
      const [row, column] = [Math.floor(place / n), place % n];
      let total = x.data[at * batch * n + place] as number;
      for (let i = 0; i < n; i++) total += state[row * n + i]! * (weight.data[i * n + column] as number);
      return Math.tanh(total);
    });
    next.forEach((value, place) => (kept[at * batch * n + place] = value));
    state = next;
  }
  return [...state, ...kept];
}

const values = (time: number, batch = 2, n = 3): [HostTensor, HostTensor, HostTensor] => [
  draw({ dims: [batch, n], seed: 1 }),
  draw({ dims: [time, batch, n], seed: 2 }),
  draw({ dims: [n, n], seed: 3 }),
];

/** A scalar of everything that a loop leaves, every number with a weight of its own. */
function mixed({ carry, outputs }: t.Scanned): t.Tensor {
  const parts = [...carry, ...outputs].map((part, i) => t.sum(t.sin(t.mul(part, i + 1.5))));
  return parts.reduce((a, b) => t.add(a, b));
}

describe("a recurrence", () => {
  for (const reverse of [false, true]) {
    for (const time of [1, 2, 7]) {
      test(`over ${time} positions ${reverse ? "backwards " : ""}is the loop written by hand`, async () => {
        const given = values(time);
        const inputs = inputsFor(given) as [t.Tensor, t.Tensor, t.Tensor];
        const { carry, outputs } = recurrence(...inputs, reverse);
        const [last, all] = await evaluate(inputs, given, [carry[0]!, outputs[0]!]);
        expect(all!.dims).toEqual([time, 2, 3]);
        expectClose([...numbers(last!), ...numbers(all!)], byHand(...given, reverse), { within: 1e-14 });
      });

      test(`over ${time} positions ${reverse ? "backwards " : ""}has the gradient that differences show`, () =>
        expectGradient(
          values(time),
          (...inputs) => mixed(recurrence(...(inputs as [t.Tensor, t.Tensor, t.Tensor]), reverse)),
          {
            seed: 4,
            within: 1e-7,
          },
        ));
    }
  }

  test("is one program for every batch and every length", async () => {
    const [batch, time] = [t.dim("batch"), t.dim("time")];
    const h = t.input("h", "float64", [batch, 3]);
    const x = t.input("x", "float64", [time, batch, 3]);
    const weight = t.input("weight", "float64", [3, 3]);
    const { carry, outputs } = recurrence(h, x, weight);
    const [slope] = t.gradients(mixed({ carry, outputs }), [weight]);
    expect(outputs[0]!.shape).toEqual([time, batch, 3]);
    await using run = await compile(
      { name: "recurrence", inputs: { h, x, weight }, outputs: { last: carry[0]!, all: outputs[0]!, slope: slope! } },
      { threads: 1 },
    );
    for (const [length, rows] of [
      [5, 2],
      [1, 4],
      [9, 1],
    ] as const) {
      const given = values(length, rows);
      const { last, all } = await run.run({ h: given[0], x: given[1], weight: given[2] });
      expectClose([...numbers(last!), ...numbers(all!)], byHand(...given), { within: 1e-14 });
    }
  });

  test("in float32 gives the same numbers from standard operators alone, forward and backward", async () => {
    const given = values(6).map(({ dims }, i) => draw({ dims, seed: i + 1, dtype: "float32" }));
    const inputs = inputsFor(given) as [t.Tensor, t.Tensor, t.Tensor];
    const scanned = recurrence(...inputs);
    const outputs = [...scanned.carry, ...scanned.outputs, ...t.gradients(mixed(scanned), inputs)];
    const own = await evaluate(inputs, given, outputs);
    const standard = await evaluate(inputs, given, outputs, { contrib: false });
    own.forEach((each, i) => expectClose(numbers(standard[i]!), numbers(each), { within: 1e-6 }));
  });

  test("can be differentiated twice", () =>
    expectGradient(
      values(4),
      (...inputs) => {
        const scanned = recurrence(...(inputs as [t.Tensor, t.Tensor, t.Tensor]));
        const slopes = t.gradients(mixed(scanned), inputs);
        return slopes.map((slope) => t.sum(t.sin(slope))).reduce((a, b) => t.add(a, b));
      },
      { seed: 5, within: 1e-7 },
    ));

  test("over no positions is refused by the runtime", async () => {
    const time = t.dim("time");
    const x = t.input("x", "float32", [time, 2]);
    const { carry } = t.scan({ carry: [t.zeros({ dtype: "float32", shape: [2] })], sequences: [x] }, ([a], [b]) => ({
      carry: [t.add(a!, b!)],
      outputs: [],
    }));
    await using run = await compile({ name: "empty", inputs: { x }, outputs: { y: carry[0]! } }, { threads: 1 });
    await expect(run.run({ x: hostTensor("float32", [0, 2], []) })).rejects.toThrow(EngineError);
  });
});

const scansOf = ({ nodes }: OnnxGraph) => nodes.filter(({ op }) => op === "Scan");

describe("what is written", () => {
  test("the carries of all steps are kept for a gradient only", () => {
    const [h, x, weight] = inputsFor(values(3)) as [t.Tensor, t.Tensor, t.Tensor];
    const { carry } = recurrence(h, x, weight);
    const inputs = { x0: h, x1: x, x2: weight };
    const forward = t.lower({ name: "forward", inputs, outputs: { y: carry[0]! } });
    expect(scansOf(forward.graph).map(({ outputs }) => outputs.length)).toEqual([1]);
    const [slope] = t.gradients(t.sum(carry[0]!), [weight]);
    const both = t.lower({ name: "both", inputs, outputs: { y: carry[0]!, slope: slope! } });
    expect(scansOf(both.graph)[0]!.outputs.length).toBe(2);
  });

  test("a weight's gradient is one product over all steps, not a sum in the loop", () => {
    const [h, x, weight] = inputsFor(values(3)) as [t.Tensor, t.Tensor, t.Tensor];
    const [slope] = t.gradients(mixed(recurrence(h, x, weight)), [weight]);
    const { graph } = t.lower({ name: "slope", inputs: { x0: h, x1: x, x2: weight }, outputs: { slope: slope! } });
    const body = scansOf(graph)[1]!.attributes!.body as { graph: OnnxGraph };
    expect(body.graph.outputs.every(({ dims }) => dims.join() === "2,3")).toBe(true);
  });

  test("what does not change from step to step is computed before the loop", () => {
    const x = t.input("x", "float32", [t.dim("time"), 4]);
    const a = t.input("a", "float32", [4, 4]);
    const { carry } = t.scan({ carry: [t.zeros({ dtype: "float32", shape: [4] })], sequences: [x] }, ([c], [s]) => ({
      carry: [t.add(t.add(c!, s!), t.sum(t.exp(t.mul(a, 2)), { axes: [0] }))],
      outputs: [],
    }));
    const { graph } = t.lower({ name: "invariant", inputs: { x, a }, outputs: { y: carry[0]! } });
    const body = scansOf(graph)[0]!.attributes!.body as { graph: OnnxGraph };
    expect(body.graph.nodes.map(({ op }) => op)).toEqual(["Add", "Add"]);
  });

  test("a model with a loop reads back from its bytes as it was written", () => {
    const [h, x, weight] = inputsFor(values(3)) as [t.Tensor, t.Tensor, t.Tensor];
    const slopes = t.gradients(mixed(recurrence(h, x, weight)), [h, weight]);
    const outputs = { dh: slopes[0]!, dWeight: slopes[1]! };
    const model = t.lower({ name: "loop", inputs: { x0: h, x1: x, x2: weight }, outputs });
    const again = decodeOnnx(encodeOnnx(model));
    expect(encodeOnnx({ ...model, graph: again.graph })).toEqual(encodeOnnx(model));
  });

  test("an output of the program may be read inside of a loop", async () => {
    const given = [draw({ dims: [3], seed: 1 }), draw({ dims: [4, 3], seed: 2 })];
    const [a, x] = inputsFor(given) as [t.Tensor, t.Tensor];
    const shared = t.exp(a);
    const { outputs } = t.scan({ carry: [], sequences: [x] }, (_, [slice]) => ({
      carry: [],
      outputs: [t.mul(slice!, shared)],
    }));
    const [first, product] = await evaluate([a, x], given, [shared, outputs[0]!]);
    expectClose(
      numbers(product!),
      numbers(given[1]!).map((value, i) => value * numbers(first!)[i % 3]!),
      { within: 1e-14 },
    );
  });
});

describe("bodies of every kind", () => {
  const x43 = draw({ dims: [4, 3], seed: 1 });

  test("carries that change places, a constant, and one tensor handed on twice", async () => {
    const given: Values = [draw({ dims: [3], seed: 2 }), draw({ dims: [3], seed: 3 }), x43];
    const scanned = (a: t.Tensor, b: t.Tensor, x: t.Tensor) =>
      t.scan({ carry: [a, b, a, a], sequences: [x] }, ([first, second], [slice]) => {
        const next = t.mul(first!, slice!);
        const fixed = t.constant(hostTensor("float64", [3], [1, 2, 3]));
        return { carry: [second!, next, next, fixed], outputs: [first!, slice!, next, next] };
      });
    const inputs = inputsFor(given) as [t.Tensor, t.Tensor, t.Tensor];
    const { carry, outputs } = scanned(...inputs);
    const results = await evaluate(inputs, given, [...carry, ...outputs]);
    let [a, b] = [numbers(given[0]!), numbers(given[1]!)];
    const rows = [0, 1, 2, 3].map((row) => numbers(x43).slice(3 * row, 3 * row + 3));
    const kept: number[][] = [];
    for (const row of rows) {
      const next = a.map((value, i) => value * row[i]!);
      kept.push(next);
      [a, b] = [b, next];
    }
    const flat = kept.flat();
    expectClose(results.slice(0, 4).flatMap(numbers), [...a, ...b, ...b, 1, 2, 3], { within: 1e-14 });
    expect(numbers(results[5]!)).toEqual(numbers(x43));
    expectClose([...numbers(results[6]!), ...numbers(results[7]!)], [...flat, ...flat], { within: 1e-14 });
    await expectGradient(given, (...each) => mixed(scanned(...(each as [t.Tensor, t.Tensor, t.Tensor]))), {
      seed: 6,
      within: 1e-7,
    });
  });

  test("a whole number counts steps, and gradients flow past it", async () => {
    const count = hostTensor("int32", [], [0]);
    const build = (from: t.Tensor, x: t.Tensor) =>
      t.scan(
        { carry: [from, t.zeros({ dtype: "float64", shape: [3] })], sequences: [x] },
        ([step, total], [slice]) => ({
          carry: [t.add(step!, 1), t.add(total!, t.mul(t.exp(slice!), t.cast(step!, "float64")))],
          outputs: [step!],
        }),
      );
    const inputs = inputsFor([count, x43]) as [t.Tensor, t.Tensor];
    const { carry, outputs } = build(...inputs);
    const [steps, all] = await evaluate(inputs, [count, x43], [carry[0]!, outputs[0]!]);
    expect([numbers(steps!), numbers(all!)]).toEqual([[4], [0, 1, 2, 3]]);
    await expectGradient([count, x43], (from, x) => t.sin(build(from, x).carry[1]!), { seed: 7, within: 1e-7 });
  });

  test("what a step keeps may come from around the loop: it is there at every position, and its gradients add up", async () => {
    const w = draw({ dims: [3], seed: 14 });
    const build = (x: t.Tensor, around: t.Tensor): t.Tensor =>
      t.scan({ carry: [], sequences: [x] }, () => ({ carry: [], outputs: [around] })).outputs[0]!;
    const inputs = inputsFor([x43, w]) as [t.Tensor, t.Tensor];
    const kept = build(...inputs);
    const [values, slope] = await evaluate(inputs, [x43, w], [kept, t.gradients(t.sum(kept), [inputs[1]])[0]!]);
    expect(numbers(values!)).toEqual([1, 2, 3, 4].flatMap(() => numbers(w)));
    expect(numbers(slope!)).toEqual([4, 4, 4]);
  });

  test("a loop in a loop, with values from both around it", async () => {
    const given: Values = [x43, draw({ dims: [2, 3], seed: 4 }), draw({ dims: [3], seed: 5 })];
    // Sum over rows a of x, and over rows b of y, of tanh(a b w + total so far of the inner loop).
    const build = (x: t.Tensor, y: t.Tensor, w: t.Tensor) =>
      t.scan({ carry: [t.zeros({ dtype: "float64", shape: [3] })], sequences: [x] }, ([total], [a]) => {
        const aw = t.mul(a!, w);
        const { carry } = t.scan({ carry: [total!], sequences: [y], reverse: true }, ([inner], [b]) => ({
          carry: [t.add(inner!, t.tanh(t.add(t.mul(aw, t.mul(b!, w)), inner!)))],
          outputs: [],
        }));
        return { carry, outputs: [carry[0]!] };
      });
    const inputs = inputsFor(given) as [t.Tensor, t.Tensor, t.Tensor];
    const { carry } = build(...inputs);
    const [got] = await evaluate(inputs, given, [carry[0]!]);
    const [x, y, w] = given.map(numbers) as [number[], number[], number[]];
    const total = [0, 0, 0].map((_, i) => {
      let sum = 0;
      for (let a = 0; a < 4; a++)
        for (let b = 1; b >= 0; b--) sum += Math.tanh(x[3 * a + i]! * w[i]! * (y[3 * b + i]! * w[i]!) + sum);
      return sum;
    });
    expectClose(numbers(got!), total, { within: 1e-13 });
    await expectGradient(given, (...each) => mixed(build(...(each as [t.Tensor, t.Tensor, t.Tensor]))), {
      seed: 8,
      within: 1e-7,
    });
  });

  test("two loops one after another, the second over what the first kept", () =>
    expectGradient(
      values(5),
      (h, x, weight) => {
        const forward = recurrence(h, x, weight);
        return mixed(recurrence(forward.carry[0]!, forward.outputs[0]!, weight, true));
      },
      { seed: 9, within: 1e-7 },
    ));

  test("sizes with names can be asked for inside", async () => {
    const [batch, time] = [t.dim("batch"), t.dim("time")];
    const x = t.input("x", "float32", [time, batch]);
    const half = t.floorDivideDim(t.addDims(batch, 1), 2);
    const { carry } = t.scan(
      { carry: [t.zeros({ dtype: "float32", shape: [half] })], sequences: [x] },
      ([c], [slice]) => ({
        carry: [t.add(c!, t.mul(t.slice(slice!, { axis: 0, end: half }), t.cast(t.range(half), "float32")))],
        outputs: [],
      }),
    );
    await using run = await compile({ name: "sizes", inputs: { x }, outputs: { y: carry[0]! } }, { threads: 1 });
    const { y } = await run.run({ x: hostTensor("float32", [2, 5], [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]) });
    expect(numbers(y!)).toEqual([0, 3, 6]);
  });

  test("a running sum is cumulativeSum, with its gradient, in any shape and direction", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
        fc.boolean(),
        async (time, rest, reverse) => {
          const x = draw({ dims: [time, ...rest], seed: 10 });
          const w = draw({ dims: [time, ...rest], seed: 11 });
          const looped = (each: t.Tensor): t.Tensor =>
            t.scan({ carry: [t.zeros({ dtype: "float64", shape: rest })], sequences: [each], reverse }, ([c], [s]) => {
              const next = t.add(c!, s!);
              return { carry: [next], outputs: [next] };
            }).outputs[0]!;
          const inputs = inputsFor([x, w]) as [t.Tensor, t.Tensor];
          const both = [looped(inputs[0]), t.cumulativeSum(inputs[0], 0, { reverse })];
          const slopes = both.map((y) => t.gradients(t.sum(t.mul(t.mul(y, y), inputs[1])), [inputs[0]])[0]!);
          const [a, b, da, db] = await evaluate(inputs, [x, w], [...both, ...slopes]);
          expectClose(numbers(a!), numbers(b!), { within: 1e-13 });
          expectClose(numbers(da!), numbers(db!), { within: 1e-12 });
        },
      ),
      { numRuns: 12 },
    ));
});

describe("rewrites go through bodies", () => {
  test("phase in a body is the second value for inference, with the inputs of that one alone", async () => {
    const given = [draw({ dims: [4, 3], seed: 1 }), draw({ dims: [3], seed: 2 }), draw({ dims: [3], seed: 3 })];
    const [x, a, b] = inputsFor(given) as [t.Tensor, t.Tensor, t.Tensor];
    const { carry } = t.scan({ carry: [t.zeros({ dtype: "float64", shape: [3] })], sequences: [x] }, ([c], [s]) => ({
      carry: [t.add(t.mul(c!, t.phase(t.add(a, s!), t.add(b, s!))), s!)],
      outputs: [],
    }));
    const inputs = { x, a, b };
    const training = { name: "training", inputs, outputs: { y: carry[0]! } };
    const inference = t.withoutDropout(training);
    expect([...t.usedInputs(training).keys()]).toEqual(["x", "a"]);
    expect([...t.usedInputs(inference).keys()]).toEqual(["x", "b"]);
    const expected = (which: HostTensor): number[] =>
      [0, 1, 2].map((i) => {
        let c = 0;
        for (let row = 0; row < 4; row++) {
          const s = numbers(given[0]!)[3 * row + i]!;
          c = c * (numbers(which)[i]! + s) + s;
        }
        return c;
      });
    expectClose(numbers((await evaluate([x, a, b], given, [carry[0]!]))[0]!), expected(given[1]!), { within: 1e-14 });
    const [inferred] = await evaluate([x, a, b], given, [inference.outputs.y!]);
    expectClose(numbers(inferred!), expected(given[2]!), { within: 1e-14 });
    await expectGradient(
      given,
      (x3, a3, b3) =>
        t.scan({ carry: [t.zeros({ dtype: "float64", shape: [3] })], sequences: [x3] }, ([c], [s]) => ({
          carry: [t.add(t.mul(c!, t.phase(t.add(a3, s!), t.add(b3, s!))), s!)],
          outputs: [],
        })).carry[0]!,
      { seed: 12, within: 1e-7 },
    );
  });

  test("a loop that a rewrite leaves alone is the same node", () => {
    const [h, x, weight] = inputsFor(values(3)) as [t.Tensor, t.Tensor, t.Tensor];
    const program = { name: "same", inputs: { h, x, weight }, outputs: { y: recurrence(h, x, weight).carry[0]! } };
    expect(t.withoutDropout(program).outputs.y).toBe(program.outputs.y);
  });

  test("in double precision the body is double too, forward and backward", async () => {
    const inputs = values(5).map(({ dims }, i) => t.input(`x${i}`, "float32", dims)) as [t.Tensor, t.Tensor, t.Tensor];
    const scanned = recurrence(...inputs);
    const [slope] = t.gradients(mixed(scanned), [inputs[2]]);
    const wide = t.inDoublePrecision({
      name: "wide",
      inputs: { x0: inputs[0], x1: inputs[1], x2: inputs[2] },
      outputs: { last: scanned.carry[0]!, all: scanned.outputs[0]!, slope: slope! },
    });
    const given = values(5);
    await using run = await compile(wide, { threads: 1 });
    const { last, all, slope: got } = await run.run({ x0: given[0], x1: given[1], x2: given[2] });
    expectClose([...numbers(last!), ...numbers(all!)], byHand(...given), { within: 1e-14 });
    const doubles = inputsFor(given) as [t.Tensor, t.Tensor, t.Tensor];
    const [expected] = await evaluate(doubles, given, t.gradients(mixed(recurrence(...doubles)), [doubles[2]]));
    expectClose(numbers(got!), numbers(expected!), { within: 1e-12 });
  });

  test("a gradient of one's own inside a body flows to the values around it", async () => {
    const given = [draw({ dims: [4, 3], seed: 1 }), draw({ dims: [3], seed: 2 })];
    const build = (x: t.Tensor, w: t.Tensor): t.Tensor =>
      t.scan({ carry: [t.zeros({ dtype: "float64", shape: [3] })], sequences: [x] }, ([c], [s]) => {
        // The exact gradient of sin(s w), stated by hand through tensors of the body and around it.
        const inner = t.mul(s!, w);
        const value = t.customGradient(t.sin(inner), [s!, w], (dy) => [
          t.mul(dy, t.mul(t.cos(inner), w)),
          t.mul(dy, t.mul(t.cos(inner), s!)),
        ]);
        return { carry: [t.add(t.mul(c!, 0.5), value)], outputs: [] };
      }).carry[0]!;
    await expectGradient(given, (x, w) => build(x, w), { seed: 13, within: 1e-7 });
  });
});

test("what a loop leaves can be asked of an int64 sequence as well", async () => {
  const ids = hostTensor("int64", [3], [2, 0, 1]);
  const table = draw({ dims: [3, 2], seed: 1, dtype: "float32" });
  const got = await applyTo(
    [ids, table],
    (at, rows) =>
      t.scan({ carry: [], sequences: [at] }, (_, [id]) => ({ carry: [], outputs: [t.gather(rows, id!)] })).outputs[0]!,
  );
  const rows = numbers(table);
  expect(numbers(got)).toEqual([2, 0, 1].flatMap((row) => rows.slice(2 * row, 2 * row + 2)));
});
