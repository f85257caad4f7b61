// Tiled attention against full attention: values, gradients, and what is in memory.
import { expect, test } from "vitest";
import { ConfigError, hostTensor, type HostTensor } from "../../../src/base/index.ts";
import { compile } from "../../../src/engine/index.ts";
import { FullAttention, type AttentionKernel } from "../../../src/nn/attention/kernel.ts";
import { AttentionScope } from "../../../src/nn/attention/scope.ts";
import { TiledAttention } from "../../../src/nn/attention/tiled.ts";
import { Dropout } from "../../../src/nn/dropout.ts";
import { RelativeBias } from "../../../src/nn/position/relative-bias.ts";
import {
  dim,
  gradients,
  inDoublePrecision,
  input,
  mul,
  sin,
  sizeOf,
  sum,
  topologicalOrder,
  type Shape,
  type Tensor,
} from "../../../src/tensor/index.ts";
import { expectClose } from "../../close.ts";
import { draw } from "../../tensor/evaluate.ts";
import { expectTwins } from "./masked-twin.ts";

// Around one tile of 256, and around several of 16.
const lengths = [1, 5, 255, 256, 300];
const short = [1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 64, 65, 70];

test.each([true, false])(
  "tiles of keys, with padding and a learned bias, are full attention, values and gradients (causal: %s)",
  async (isCausal) => {
    await expectTwins(new TiledAttention(), lengths, { isCausal });
    await expectTwins(new TiledAttention({ tile: 16 }), short, { isCausal });
  },
);

test.each([true, false])("tiled attention is exact in double precision (causal: %s)", async (isCausal) => {
  await expectTwins(new TiledAttention(), lengths, { isCausal, isDouble: true });
  await expectTwins(new TiledAttention({ tile: 16 }), short, { isCausal, isDouble: true, isPadded: false });
  await expectTwins(new TiledAttention({ tile: 7 }), [1, 6, 7, 8, 40], { isCausal, isDouble: true, earlier: 9 });
});

test("tiles of one key are full attention too", () =>
  expectTwins(new TiledAttention({ tile: 1 }), [1, 2, 9], { isCausal: true, isDouble: true }));

const shape = (time: number | ReturnType<typeof dim>) => [2, 2, time, 4];

/** Both kernels and the gradients of their inputs, without positions. */
function program(length: number, { isCausal = false, keys }: { isCausal?: boolean; keys?: Tensor } = {}) {
  const leaves = ["query", "key", "value"].map((name) => input(name, "float32", shape(length))) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const weight = input("weight", "float32", shape(length));
  const outputs: Record<string, Tensor> = {};
  for (const kernel of [new FullAttention(), new TiledAttention({ tile: 8 })]) {
    const { context } = kernel.attend(...leaves, new AttentionScope({ queryTime: length, isCausal, keys }));
    outputs[kernel.name] = context;
    const flowing = gradients(sum(mul(context, weight)), leaves);
    flowing.forEach((gradient, i) => (outputs[`${kernel.name} ${i}`] = gradient));
  }
  const [query, key, value] = leaves;
  return { name: "twins", inputs: { query, key, value, weight, ...(keys && { keys }) }, outputs };
}

const feeds = (length: number, dtype: "float32" | "float64"): Record<string, HostTensor> =>
  Object.fromEntries(
    ["query", "key", "value", "weight"].map((name, i) => [
      name,
      draw({ dims: shape(length) as number[], seed: i + 1, dtype }),
    ]),
  );

test.each([true, false])(
  "rows that may see nothing are finite and leave the others alone, whatever side the padding is on (causal: %s)",
  async (isCausal) => {
    const length = 20;
    const keys = input("keys", "bool", [2, length]);
    // Without causality full attention, too, gives the mean of all values; with it the tiles behind a query do not take part.
    // A number's sentence and query: [2, 2 heads, 20, 4].
    const counts = (at: number): boolean => !isCausal || (at >= 2 * 20 * 4 && Math.floor(at / 4) % 20 >= 15);
    // The first row sees no key at all; the second only its last five, so that under causality early queries see none.
    const visible = hostTensor(
      "bool",
      [2, length],
      Array.from({ length: 2 * length }, (_, i) => Number(i >= 35)),
    );
    for (const dtype of ["float32", "float64"] as const) {
      const traced = program(length, { isCausal, keys });
      await using run = await compile(dtype === "float64" ? inDoublePrecision(traced) : traced, { threads: 1 });
      const given = feeds(length, dtype);
      const weight = given.weight as HostTensor<"float64">;
      weight.data.forEach((_, at) => (weight.data[at]! *= Number(counts(at))));
      const results = await run.run({ ...given, keys: visible });
      for (const suffix of ["", " 0", " 1", " 2"]) {
        const [fast, slow] = ["tiled", "full"].map((name) => results[`${name}${suffix}`]!.data as Float64Array);
        expect(fast!.every(Number.isFinite)).toBe(true);
        // Hidden scores near −10⁹ are whole multiples of 64 in float32, and of 10⁻⁷ in float64.
        const within = dtype === "float64" ? 1e-6 : 1e-5;
        expectClose(fast!, slow!, {
          within,
          what: `${dtype}, output${suffix}`,
          where: suffix === "" ? counts : () => true,
        });
      }
    }
  },
);

test("scores of several hundred neither overflow nor vanish", async () => {
  const traced = program(40, { isCausal: true });
  await using run = await compile(traced, { threads: 1 });
  const given = feeds(40, "float32");
  const large = { ...given, query: { ...given.query!, data: (given.query!.data as Float32Array).map((x) => 400 * x) } };
  const results = await run.run(large);
  for (const suffix of ["", " 1", " 2"]) {
    const slow = results[`full${suffix}`]!.data as Float32Array;
    const largest = slow.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
    expectClose(results[`tiled${suffix}`]!.data as Float32Array, slow, { within: 1e-4 * largest });
  }
});

test("the second derivative is full attention's", async () => {
  const length = 11;
  const leaves = ["query", "key", "value"].map((name) => input(name, "float32", shape(length))) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const outputs: Record<string, Tensor> = {};
  for (const kernel of [new FullAttention(), new TiledAttention({ tile: 4 })]) {
    const { context } = kernel.attend(...leaves, new AttentionScope({ queryTime: length, isCausal: true }));
    const slopes = gradients(sum(sin(context)), leaves);
    const bent = slopes.map((slope) => sum(sin(slope))).reduce((a, b) => mul(a, b));
    gradients(bent, leaves).forEach((gradient, i) => (outputs[`${kernel.name} ${i}`] = gradient));
  }
  const [query, key, value] = leaves;
  const traced = { name: "second", inputs: { query, key, value }, outputs };
  await using run = await compile(inDoublePrecision(traced), { threads: 1 });
  const { weight: _, ...given } = feeds(length, "float64");
  const results = await run.run(given);
  for (const i of [0, 1, 2])
    expectClose(results[`tiled ${i}`]!.data as Float64Array, results[`full ${i}`]!.data as Float64Array, {
      within: 1e-9,
      what: `second derivative ${i}`,
    });
});

test("T5's learned bias gets its gradient through the tiles", async () => {
  const length = 50;
  const leaves = ["query", "key", "value"].map((name) => input(name, "float32", shape(length))) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const positions = new RelativeBias({ heads: 2, bidirectional: true, buckets: 8, maxDistance: 20 });
  const outputs: Record<string, Tensor> = {};
  for (const kernel of [new FullAttention(), new TiledAttention({ tile: 16 })]) {
    const { context } = kernel.attend(...leaves, new AttentionScope({ queryTime: length, positions }));
    outputs[kernel.name] = gradients(sum(sin(context)), [positions.table.value])[0]!;
  }
  const [query, key, value] = leaves;
  const traced = { name: "t5", inputs: { query, key, value, table: positions.table.value }, outputs };
  await using run = await compile(inDoublePrecision(traced), { threads: 1 });
  const { weight: _, ...given } = feeds(length, "float64");
  const { tiled, full } = await run.run({ ...given, table: draw({ dims: [8, 2], seed: 9 }) });
  expectClose(tiled!.data as Float64Array, full!.data as Float64Array, { within: 1e-11 });
});

/** Every tensor of a graph that anything reads, those in the bodies of its loops too. */
function everyTensor(outputs: readonly Tensor[]): Tensor[] {
  return topologicalOrder(outputs).flatMap(({ inputs, attributes }) => {
    const body = attributes.body as { nextCarry: Tensor[]; outputs: Tensor[] } | undefined;
    return [...inputs, ...(body === undefined ? [] : everyTensor([...body.nextCarry, ...body.outputs]))];
  });
}

/** Whether a size grows with a product of lengths. */
function isQuadratic(shape: Shape): boolean {
  const size = sizeOf(shape);
  if (typeof size === "number") return false;
  return [...size.terms.keys()].some(
    (monomial) => monomial.split("·").filter((name) => name.includes("time")).length > 1,
  );
}

test.each([true, false])(
  "no array of the program grows with the square of the length, forward or backward (causal: %s)",
  (isCausal) => {
    const time = dim("time");
    const leaves = ["query", "key", "value"].map((name) => input(name, "float32", shape(time))) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const positions = new RelativeBias({ heads: 2, bidirectional: true });
    const squares = (kernel: AttentionKernel): boolean[] => {
      const { context } = kernel.attend(...leaves, new AttentionScope({ queryTime: time, isCausal, positions }));
      const flowing = gradients(sum(mul(context, context)), [...leaves, positions.table.value]);
      return everyTensor([context, ...flowing]).map(({ shape: each }) => isQuadratic(each));
    };
    expect(squares(new FullAttention())).toContain(true);
    expect(squares(new TiledAttention())).not.toContain(true);
  },
);

test("standard operators are enough, and give the same numbers", async () => {
  const length = 20;
  const traced = program(length, { isCausal: true });
  await using own = await compile(traced, { threads: 1 });
  await using standard = await compile(traced, { threads: 1, contrib: false });
  const [a, b] = [await own.run(feeds(length, "float32")), await standard.run(feeds(length, "float32"))];
  for (const name of Object.keys(a))
    expectClose(b[name]!.data as Float32Array, a[name]!.data as Float32Array, { within: 1e-5, what: name });
});

test("attention dropout is refused, and the text says what to do", () => {
  const x = input("x", "float32", shape(dim("time")));
  const scope = new AttentionScope({ queryTime: dim("time") });
  expect(() => new TiledAttention().attend(x, x, x, scope, new Dropout(0.1))).toThrow(ConfigError);
  expect(() => new TiledAttention().attend(x, x, x, scope, new Dropout(0.1))).toThrow(
    "model.attentionDropout: tiled attention computes its weights twice and keeps none, so it cannot drop any (got a rate of 0.1). Set it to 0, or take full attention.",
  );
  expect(() => new TiledAttention().attend(x, x, x, scope, new Dropout(0))).not.toThrow();
  expect(() => new TiledAttention({ tile: 0 })).toThrow(ConfigError);
});
