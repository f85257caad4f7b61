// Norms and residual arrangements against their formulas, and what sets them apart.
import { describe, expect, test } from "vitest";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import {
  BatchNorm,
  DeepNorm,
  deepNormScale,
  Dropout,
  LayerDrop,
  LayerNorm,
  Module,
  Pass,
  PassReports,
  PostNorm,
  RmsNorm,
} from "../../src/nn/index.ts";
import { dim, gradients, input, mul, sum, tanh, withoutDropout, type Tensor } from "../../src/tensor/index.ts";
import { expectClose, largestDifference } from "../close.ts";
import { expectSlopes, leaf, noisyWeights, normals, runModule, validRows, type Weights } from "./module-program.ts";

const dModel = 6;
const x = input("x", "float32", [dim("batch"), dim("time"), dModel]);
const valid = input("valid", "bool", [dim("batch"), dim("time")]);
const floats = (tensor: HostTensor | undefined): Float32Array => tensor!.data as Float32Array;

/** Values with a mean and a spread of their own. */
const spread = (dims: readonly number[], seed: number): HostTensor<"float32"> => {
  const { data } = normals(dims, seed);
  return hostTensor(
    "float32",
    dims,
    data.map((value) => 3 * value + 1),
  );
};

test("a fresh layer norm gives every position mean 0 and variance 1 to 1e-5", async () => {
  const width = 64;
  const wide = input("x", "float32", [dim("batch"), dim("time"), width]);
  const norm = new LayerNorm({ dModel: width });
  const weights = noisyWeights(norm, 1, 0);
  const { y } = await runModule(
    norm,
    { inputs: { x: wide }, outputs: { y: norm.forward(wide) } },
    { x: spread([3, 5, width], 1) },
    { weights },
  );
  for (let row = 0; row < 15; row++) {
    const values = floats(y).subarray(row * width, (row + 1) * width);
    const mean = values.reduce((total, value) => total + value, 0) / width;
    const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / width;
    expect(Math.abs(mean)).toBeLessThan(1e-5);
    expect(Math.abs(variance - 1)).toBeLessThan(1e-5);
  }
});

test("on rows of mean 0, RMS norm is layer norm without a shift, to 1e-5", async () => {
  const [rms, layer] = [new RmsNorm({ dModel, epsilon: 1e-5 }), new LayerNorm({ dModel, epsilon: 1e-5 })];
  const given = spread([2, 4, dModel], 2);
  for (let row = 0; row < 8; row++) {
    const values = given.data.subarray(row * dModel, (row + 1) * dModel);
    const mean = values.reduce((total, value) => total + value, 0) / dModel;
    values.forEach((value, i) => (values[i] = value - mean));
  }
  const scale = noisyWeights(rms, 3);
  const run = (norm: RmsNorm | LayerNorm, weights: Weights) =>
    runModule(norm, { inputs: { x }, outputs: { y: norm.forward(x) } }, { x: given }, { weights });
  const [a, b] = [
    await run(rms, scale),
    await run(layer, new Map([...scale, ["shift", hostTensor("float32", [dModel], new Float32Array(dModel))]])),
  ];
  expectClose(floats(a.y), floats(b.y), { within: 1e-5 });
});

describe("batch norm", () => {
  const norm = new BatchNorm({ dModel, momentum: 0.25 });
  const lengths = [5, 2, 4];
  const given = spread([3, 5, dModel], 4);

  function trace(mask?: Tensor) {
    const reports = new PassReports();
    const y = norm.forward(x, new Pass(mask, reports));
    return {
      y,
      mean: reports.statistics.get(norm.runningMean)!,
      variance: reports.statistics.get(norm.runningVariance)!,
    };
  }
  const inputs = { x, valid };
  const outputs = trace(valid);
  const weights = noisyWeights(norm, 5, 0.2);

  /** Mean and mean square deviation of each column over the tokens, in double precision. */
  function moments(): { count: number; mean: number[]; variance: number[] } {
    const tokens = lengths.flatMap((length, row) =>
      Array.from({ length }, (_, i) => given.data.subarray((row * 5 + i) * dModel, (row * 5 + i + 1) * dModel)),
    );
    const of = (value: (column: number) => (token: Float32Array) => number): number[] =>
      Array.from(
        { length: dModel },
        (_, i) => tokens.reduce((total, token) => total + value(i)(token), 0) / tokens.length,
      );
    const mean = of((i) => (token) => token[i]!);
    return { count: tokens.length, mean, variance: of((i) => (token) => (token[i]! - mean[i]!) ** 2) };
  }

  test("takes mean and variance over all tokens of the batch, and reports where the running ones go", async () => {
    const { count, mean, variance } = moments();
    const results = await runModule(norm, { inputs, outputs }, { x: given, valid: validRows(lengths, 5) }, { weights });
    const [scale, shift] = [weights.get("scale")!.data, weights.get("shift")!.data];
    const expected = given.data.map((value, at) => {
      const i = at % dModel;
      return ((value - mean[i]!) / Math.sqrt(variance[i]! + 1e-5)) * scale[i]! + shift[i]!;
    });
    expectClose(floats(results.y), expected, { within: 1e-5 });
    const moved = (name: string, batch: number[]) =>
      weights.get(name)!.data.map((value, i) => 0.75 * value + 0.25 * batch[i]!);
    expectClose(floats(results.mean), moved("runningMean", mean), { within: 1e-5 });
    const unbiased = variance.map((value) => (value * count) / (count - 1));
    expectClose(floats(results.variance), moved("runningVariance", unbiased), { within: 1e-5 });
  });

  test("uses the running statistics in inference, whatever the batch", async () => {
    const program = { inputs, outputs: { y: outputs.y } };
    const { y } = await runModule(norm, program, { x: given }, { weights, inference: true });
    const of = (name: string): Float32Array => weights.get(name)!.data;
    const expected = given.data.map((value, at) => {
      const i = at % dModel;
      const deviation = Math.sqrt(of("runningVariance")[i]! + 1e-5);
      return ((value - of("runningMean")[i]!) / deviation) * of("scale")[i]! + of("shift")[i]!;
    });
    expectClose(floats(y), expected, { within: 2e-5 });
  });

  test("is not changed by more padding, whatever stands there", async () => {
    const wide = spread([4, 8, dModel], 6);
    wide.data.fill(NaN, 3 * 8 * dModel); // a row of nothing but padding
    for (const [row, length] of lengths.entries())
      wide.data.set(given.data.subarray(row * 5 * dModel, (row * 5 + length) * dModel), row * 8 * dModel);
    const narrow = await runModule(norm, { inputs, outputs }, { x: given, valid: validRows(lengths, 5) }, { weights });
    const padded = await runModule(
      norm,
      { inputs, outputs },
      { x: wide, valid: validRows([...lengths, 0], 8) },
      { weights },
    );
    for (const name of ["mean", "variance"]) expectClose(floats(padded[name]), floats(narrow[name]), { within: 1e-6 });
    for (const [row, length] of lengths.entries())
      expectClose(
        floats(padded.y).subarray(row * 8 * dModel, (row * 8 + length) * dModel),
        floats(narrow.y).subarray(row * 5 * dModel, (row * 5 + length) * dModel),
        { within: 1e-5, what: `row ${row}` },
      );
  });

  test("leaves the running statistics as they are where a batch is nothing but padding", async () => {
    const feeds = { x: given, valid: validRows([0, 0, 0], 5) };
    const { mean, variance } = await runModule(norm, { inputs, outputs }, feeds, { weights });
    expect(floats(mean)).toEqual(weights.get("runningMean")!.data);
    expect(floats(variance)).toEqual(weights.get("runningVariance")!.data);
  });

  test("applied twice in one pass it moves its statistics twice", async () => {
    const reports = new PassReports();
    const pass = new Pass(undefined, reports);
    norm.forward(x, pass);
    norm.forward(mul(x, 0), pass);
    const mean = reports.statistics.get(norm.runningMean)!;
    const once = trace();
    const feeds = { x: given };
    const results = await runModule(norm, { inputs: { x }, outputs: { mean, once: once.mean } }, feeds, { weights });
    expectClose(
      floats(results.mean),
      floats(results.once).map((value) => 0.75 * value),
      { within: 1e-6 },
    );
  });

  test("has the gradients of its formula", async () => {
    const rows = leaf([7, dModel]);
    const [weight, counted] = [input("weight", "float32", [7, dModel]), input("counted", "bool", [7])];
    // What padding positions turn into is no concern of any loss.
    const y = mul(norm.forward(rows.value, new Pass(counted)), weight);
    const kept = normals([7, dModel], 8);
    kept.data.fill(0, 5 * dModel);
    await expectSlopes(
      norm,
      { inputs: { weight, counted }, loss: sum(y) },
      { weight: kept, counted: hostTensor("bool", [7], [1, 1, 1, 1, 1, 0, 0]) },
      { extra: { x: { parameter: rows, value: spread([7, dModel], 9) } }, weights },
    );
  });

  test("without a pass it refuses, as its statistics would be lost", () => {
    expect(() => norm.forward(x)).toThrow(/hand one to forward/);
  });

  test("a mask that is not that of x is refused", () => {
    const other = input("other", "bool", [dim("batch"), 9]);
    expect(() => norm.forward(x, new Pass(other))).toThrow(/bool \[batch, time\], got \[batch, 9\]/);
  });
});

test("in training, batch mates change what batch norm makes of a sentence and leave layer norm's as it is, exactly", async () => {
  const [batch, layer] = [new BatchNorm({ dModel }), new LayerNorm({ dModel })];
  const outputs = { batch: batch.forward(x, new Pass(valid)), layer: layer.forward(x) };
  class Both extends Module {
    readonly batch = batch;
    readonly layer = layer;
  }
  const first = spread([3, 4, dModel], 10);
  const second = spread([3, 4, dModel], 11);
  second.data.set(first.data.subarray(0, 4 * dModel)); // the same sentence among others
  const both = new Both();
  const run = (given: HostTensor) =>
    runModule(both, { inputs: { x, valid }, outputs }, { x: given, valid: validRows([4, 3, 2], 4) });
  const [a, b] = [await run(first), await run(second)];
  const own = (tensor: HostTensor | undefined): Float32Array => floats(tensor).subarray(0, 4 * dModel);
  expect(largestDifference(own(a.layer), own(b.layer))).toBe(0);
  expect(largestDifference(own(a.batch), own(b.batch))).toBeGreaterThan(0.1);
});

describe("DeepNorm", () => {
  // Wang et al. 2022: the formulas of figure 2, worked out by hand.
  test.each([
    [{ encoderLayers: 12 }, { encoder: [24 ** 0.25, 96 ** -0.25], decoder: [1, 1] }],
    [{ decoderLayers: 8 }, { encoder: [1, 1], decoder: [2, 8 ** -0.5] }],
    // N = M = 16: (16⁵)^1/16 = 2^(20/16) = 2.378414, (3 · 16)^¼ = 2.632148, (12 · 16)^-¼ = 0.268642
    [
      { encoderLayers: 16, decoderLayers: 16 },
      {
        encoder: [0.81 * 2.378414230005442, 0.87 / 2.378414230005442],
        decoder: [2.6321480259049848, 0.26864248295588605],
      },
    ],
    // N = 100, M = 100: (100⁵)^1/16 = 10^(10/16) = 4.216965
    [
      { encoderLayers: 100, decoderLayers: 100 },
      { encoder: [0.81 * 4.216965034285822, 0.87 / 4.216965034285822], decoder: [300 ** 0.25, 1200 ** -0.25] },
    ],
    [{}, { encoder: [1, 1], decoder: [1, 1] }],
  ])("the scale of %j", (layers, { encoder, decoder }) => {
    const scale = deepNormScale(layers);
    expectClose([scale.encoder.alpha, scale.encoder.beta], encoder, { within: 1e-12 });
    expectClose([scale.decoder.alpha, scale.decoder.beta], decoder, { within: 1e-12 });
  });

  const sublayer = (rows: Tensor): Tensor => tanh(mul(rows, 3));
  const residual = (alpha: number) => new DeepNorm(new LayerNorm({ dModel }), new Dropout(0), alpha);

  test("with alpha 1 it is post-norm, bit for bit", async () => {
    const deep = residual(1);
    const post = new PostNorm(deep.norm, deep.dropout);
    const outputs = { deep: deep.forward(x, sublayer), post: post.forward(x, sublayer) };
    const results = await runModule(deep, { inputs: { x }, outputs }, { x: spread([2, 3, dModel], 12) });
    expect(largestDifference(floats(results.deep), floats(results.post))).toBe(0);
  });

  test("it is the norm of alpha · x + sublayer(x)", async () => {
    const deep = residual(2.5);
    const twin = deep.norm.forward(mul(x, 2.5));
    const outputs = { still: deep.forward(x, (rows) => mul(rows, 0)), twin };
    const results = await runModule(deep, { inputs: { x }, outputs }, { x: spread([2, 3, dModel], 13) });
    expectClose(floats(results.still), floats(results.twin), { within: 1e-6 });
  });
});

describe("LayerDrop", () => {
  const after = mul(x, 10);
  const kept = new LayerDrop(0.25).forward(x, after);
  const [toBefore, toAfter] = gradients(sum(kept), [x, after]) as [Tensor, Tensor];
  const given = normals([2, 2, dModel], 14);
  const run = (byte: number) =>
    runModule(
      new LayerDrop(0),
      { inputs: { x }, outputs: { kept, toBefore, toAfter } },
      { x: given },
      { bytes: [hostTensor("uint8", [1], [byte])] },
    );

  // At rate 0.25 bytes below 192 keep the layer. The slope along x goes around the layer (1) or through it (10).
  test.each([
    [0, 10],
    [191, 10],
    [192, 1],
    [255, 1],
  ])("byte %i decides for the whole batch: all of it times %i, and its gradient", async (byte, factor) => {
    const results = await run(byte);
    expectClose(
      floats(results.kept),
      given.data.map((value) => value * factor),
      { within: 1e-5 },
    );
    expect(new Set(floats(results.toBefore))).toEqual(new Set([factor]));
    expect(new Set(floats(results.toAfter))).toEqual(new Set([factor === 10 ? 1 : 0]));
  });

  test("inference takes the layer and asks for no byte; rate 0 is no operation at all", () => {
    expect(withoutDropout({ name: "all", inputs: { x }, outputs: { kept } }).outputs.kept).toBe(after);
    expect(new LayerDrop(0).forward(x, after)).toBe(after);
  });

  test("a rate of 1, which would leave nothing to train, is refused", () => {
    expect(() => new LayerDrop(1).forward(x, after)).toThrow(/below 1, got 1/);
  });
});
