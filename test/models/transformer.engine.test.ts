// What must hold for every Transformer, whatever its weights.
import { describe, expect, test } from "vitest";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import { compile } from "../../src/engine/index.ts";
import { teacherForcing, Transformer } from "../../src/models/index.ts";
import { AttentionScope, namedParameters, notPadding } from "../../src/nn/index.ts";
import { dim, gradients, input, mul, sum, withoutDropout, type Tensor } from "../../src/tensor/index.ts";
import { trainingProgram } from "../../src/train/index.ts";
import { expectClose, largestDifference } from "../close.ts";
import {
  arrangements,
  evaluate,
  feedsOf,
  idRows,
  logitsOf,
  noisyWeights,
  randomRows,
  session,
  sourceIds,
  type Weights,
} from "./small-transformer.ts";

const sourceRows = randomRows([9, 4, 6], 13, 2);
/** START, tokens, END. */
const targetRows = randomRows([5, 8, 3], 13, 3);

async function trainingRun(model: Transformer, weights: Weights) {
  const run = await compile(
    withoutDropout(trainingProgram(namedParameters(model), teacherForcing(model, { labelSmoothing: 0.1 }))),
    session,
  );
  return {
    run: (source: HostTensor, target: HostTensor) =>
      run.run({
        ...feedsOf(weights),
        sourceIds: source,
        targetIds: target,
        tokenWeight: hostTensor("float32", [], [1 / 13]),
      }),
    [Symbol.asyncDispose]: () => run.dispose(),
  };
}

describe.each(arrangements)("a Transformer, %s", (_, options) => {
  const model = new Transformer(options);
  const weights = noisyWeights(model);
  const width = model.output.table.shape[0]!;
  const pad = model.options.pad;

  test("a later target token changes no earlier logit by a single bit", async () => {
    await using logits = await logitsOf(model, weights);
    const source = idRows(sourceRows);
    const before = await logits.run(source, idRows(targetRows));
    for (const changed of [1, 4, 7]) {
      const ids = idRows(targetRows);
      for (let row = 0; row < 3; row++) ids.data[row * 8 + changed] = 1 + ((ids.data[row * 8 + changed]! + 3) % 12);
      const after = await logits.run(source, ids);
      for (let row = 0; row < 3; row++) {
        const [from, place] = [row * 8 * width, (row * 8 + changed) * width];
        expect(after.data.subarray(from, place)).toEqual(before.data.subarray(from, place));
        // The changed token itself is seen: the test would notice a decoder that sees nothing.
        expect(
          largestDifference(after.data.subarray(place, place + width), before.data.subarray(place, place + width)),
        ).toBeGreaterThan(1e-3);
      }
    }
  });

  test("no gradient reaches a later target position: it is exactly zero", async () => {
    const time = dim("targetTime");
    const embedded = input("embedded", "float32", [dim("batch"), time, 16]);
    const probe = input("probe", "float32", [dim("batch"), time, 16]);
    const { memories, keys } = model.encode(sourceIds);
    const { output } = model.decoder.teacherForced(embedded, memories, {
      self: new AttentionScope({ queryTime: time, isCausal: true }),
      cross: new AttentionScope({ queryTime: time, keyTime: dim("sourceTime"), keys }),
    });
    const [flowing] = gradients(sum(mul(output, probe)), [embedded]) as [Tensor];
    const values = hostTensor(
      "float32",
      [3, 8, 16],
      Float32Array.from({ length: 3 * 8 * 16 }, (_, i) => Math.sin(i)),
    );
    const last = 4;
    // The loss looks at positions up to 4.
    const weight = { ...values, data: values.data.map((value, i) => (Math.floor(i / 16) % 8 <= last ? value : 0)) };
    const feeds = { ...feedsOf(weights), sourceIds: idRows(sourceRows), embedded: values, probe: weight };
    const { gradient } = await evaluate(model, { gradient: flowing }, feeds, { embedded, probe });
    const reached = Array.from({ length: 8 }, (_, position) => {
      const own = (gradient!.data as Float32Array).filter((_, i) => Math.floor(i / 16) % 8 === position);
      return Math.max(...own.map(Math.abs));
    });
    expect(reached.slice(last + 1)).toEqual([0, 0, 0]);
    expect(Math.min(...reached.slice(0, last + 1))).toBeGreaterThan(1e-6);
  });

  test("more padding changes no logit, no loss and no gradient", async () => {
    await using logits = await logitsOf(model, weights);
    const tight = await logits.run(idRows(sourceRows), idRows(targetRows));
    const wide = await logits.run(idRows(sourceRows, { time: 20 }), idRows(targetRows, { time: 12 }));
    for (const [row, { length }] of targetRows.entries()) {
      const own = (tensor: HostTensor<"float32">, time: number) =>
        tensor.data.subarray(row * time * width, (row * time + length) * width);
      expectClose(own(wide, 12), own(tight, 8), { within: 1e-6, relative: 1e-6, what: `logits of row ${row}` });
    }

    await using training = await trainingRun(model, weights);
    const [few, many] = [
      await training.run(idRows(sourceRows), idRows(targetRows)),
      await training.run(idRows(sourceRows, { time: 20 }), idRows(targetRows, { time: 12 })),
    ];
    for (const [name, { data }] of Object.entries(few)) {
      expectClose(many[name]!.data as Float32Array, data as Float32Array, { within: 1e-6, relative: 1e-5, what: name });
    }
  });

  test("what padding holds is never seen: other vectors in its place change nothing", async () => {
    const embedded = input("embedded", "float32", [dim("batch"), dim("sourceTime"), 16]);
    const scope = new AttentionScope({ queryTime: dim("sourceTime"), keys: notPadding(sourceIds, pad) });
    const { output: memory } = model.encoder.forward(embedded, scope);
    const ids = idRows(sourceRows);
    const isPadding = (i: number): boolean => ids.data[Math.floor(i / 16)] === pad;
    const run = async (offset: number): Promise<Float32Array> => {
      const data = Float32Array.from({ length: 3 * 9 * 16 }, (_, i) => Math.sin(i) + (isPadding(i) ? offset : 0));
      const feeds = { ...feedsOf(weights), sourceIds: ids, embedded: hostTensor("float32", [3, 9, 16], data) };
      const { read } = await evaluate(model, { read: memory }, feeds, { embedded });
      return (read!.data as Float32Array).filter((_, i) => !isPadding(i));
    };
    expect(await run(5)).toEqual(await run(0));
  });

  test("every source position is heard at every other: no entry of the encoder's Jacobian is zero", async () => {
    const embedded = input("embedded", "float32", [1, 5, 16]);
    const at = input("at", "float32", [1, 5, 16]);
    const scope = new AttentionScope({ queryTime: 5 });
    const [slope] = gradients(sum(mul(model.encoder.forward(embedded, scope).output, at)), [embedded]) as [Tensor];
    const values = hostTensor(
      "float32",
      [1, 5, 16],
      Float32Array.from({ length: 80 }, (_, i) => Math.sin(i)),
    );
    for (let place = 0; place < 5; place++) {
      // The slope of one output's sum, position by position.
      const probe = { ...values, data: values.data.map((value, i) => (Math.floor(i / 16) === place ? value : 0)) };
      const feeds = { ...feedsOf(weights), embedded: values, at: probe };
      const { heard } = await evaluate(model, { heard: slope }, feeds, { embedded, at });
      for (let other = 0; other < 5; other++) {
        const part = (heard!.data as Float32Array).subarray(16 * other, 16 * (other + 1));
        expect(Math.max(...part.map(Math.abs)), `output ${place}, input ${other}`).toBeGreaterThan(1e-7);
      }
    }
  });

  test("a source of padding alone gives numbers, which do not depend on how much padding there is", async () => {
    await using logits = await logitsOf(model, weights);
    const rows = [[], ...sourceRows.slice(1)];
    const short = await logits.run(idRows(rows), idRows(targetRows));
    const long = await logits.run(idRows(rows, { time: 19 }), idRows(targetRows));
    expect(short.data.every(Number.isFinite)).toBe(true);
    expectClose(long.data, short.data, { within: 1e-6, relative: 1e-6, what: "logits" });

    await using training = await trainingRun(model, weights);
    const [few, many] = [
      await training.run(idRows(rows), idRows(targetRows)),
      await training.run(idRows(rows, { time: 19 }), idRows(targetRows)),
    ];
    for (const [name, { data }] of Object.entries(few)) {
      expect((data as Float32Array).every(Number.isFinite), name).toBe(true);
      expectClose(many[name]!.data as Float32Array, data as Float32Array, { within: 1e-6, relative: 1e-5, what: name });
    }
  });

  test("the order of the rows of a batch changes nothing", async () => {
    await using logits = await logitsOf(model, weights);
    const order = [2, 0, 1];
    const before = await logits.run(idRows(sourceRows), idRows(targetRows));
    const after = await logits.run(idRows(order.map((i) => sourceRows[i]!)), idRows(order.map((i) => targetRows[i]!)));
    for (const [to, from] of order.entries()) {
      const size = 8 * width;
      expectClose(
        after.data.subarray(to * size, (to + 1) * size),
        before.data.subarray(from * size, (from + 1) * size),
        { within: 1e-6, relative: 1e-6 },
      );
    }
    await using training = await trainingRun(model, weights);
    const first = await training.run(idRows(sourceRows), idRows(targetRows));
    const second = await training.run(
      idRows(order.map((i) => sourceRows[i]!)),
      idRows(order.map((i) => targetRows[i]!)),
    );
    for (const [name, { data }] of Object.entries(first)) {
      expectClose(second[name]!.data as Float32Array, data as Float32Array, {
        within: 1e-6,
        relative: 1e-5,
        what: name,
      });
    }
  });
});
