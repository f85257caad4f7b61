// What every sparse kernel must show: that it equals the long way, all scores with those that its pattern hides masked.
import { expect } from "vitest";
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../../src/base/index.ts";
import { compile, type Executable } from "../../../src/engine/index.ts";
import { MaskedAttention, type AttentionKernel } from "../../../src/nn/attention/kernel.ts";
import { patternMap } from "../../../src/nn/attention/pattern-map.ts";
import { AttentionScope } from "../../../src/nn/attention/scope.ts";
import { Module } from "../../../src/nn/module.ts";
import type { AttentionPositions } from "../../../src/nn/position/attention-positions.ts";
import {
  add,
  dim,
  gather,
  gradients,
  inDoublePrecision,
  input,
  maximum,
  minimum,
  mul,
  reshape,
  slice,
  sub,
  sum,
  transpose,
  where,
  type Dim,
  type Tensor,
} from "../../../src/tensor/index.ts";
import { expectClose } from "../../close.ts";
import { draw } from "../../tensor/evaluate.ts";

const heads = 2;
const dHead = 4;
/** Distances that the learned bias tells apart on each side. */
const reach = 5;

/** A number a head and distance, distances beyond ±5 sharing one: learned, as in T5, and unlike for keys before and after. */
class DistanceBias extends Module implements AttentionPositions {
  readonly #table: Tensor;

  /** table [2 · 5 + 1, heads] */
  constructor(table: Tensor) {
    super();
    this.#table = table;
  }

  bias(queryPositions: Tensor, keyPositions: Tensor): Tensor {
    const keyTime = keyPositions.shape.at(-1)!;
    const distance = sub(
      reshape(keyPositions, [...keyPositions.shape.slice(0, -1), 1, keyTime]),
      reshape(queryPositions, [...queryPositions.shape, 1]),
    );
    const looked = gather(this.#table, add(maximum(minimum(distance, reach), -reach), reach)); // [.., queryTime, keyTime, heads]
    const last = looked.rank - 1;
    return transpose(looked, [last, ...looked.shape.map((_, axis) => axis).slice(0, -1)]);
  }
}

export interface TwinOptions {
  isCausal: boolean;
  /** Rows of unlike lengths; else scope.keys is absent. */
  isPadded?: boolean;
  isDouble?: boolean;
  /** Keys there are more than queries, before the first query. */
  earlier?: number;
}

const batch = dim("batch");
const time = dim("time");

/** A kernel and its masked twin in one program, with the gradients of everything that goes in. */
async function twins(
  kernel: AttentionKernel,
  { isCausal, isPadded = true, isDouble = false, earlier = 0 }: TwinOptions,
): Promise<Executable> {
  const keyTime: Dim = earlier === 0 ? time : dim("keyTime");
  const query = input("query", "float32", [batch, heads, time, dHead]);
  const key = input("key", "float32", [batch, heads, keyTime, dHead]);
  const value = input("value", "float32", [batch, heads, keyTime, dHead]);
  const table = input("table", "float32", [2 * reach + 1, heads]);
  const weight = input("weight", "float32", [batch, heads, time, dHead]);
  const keys = input("keys", "bool", [batch, keyTime]);
  const queries = input("queries", "bool", [batch, time]);
  const counts = reshape(queries, [batch, 1, time, 1]);
  const leaves = { query, key, value, table };
  const outputs: Record<string, Tensor> = {};
  for (const [name, form] of [
    ["fast", kernel],
    ["slow", new MaskedAttention(kernel)],
  ] as const) {
    const positions = new DistanceBias(table);
    const scope = new AttentionScope({
      queryTime: time,
      keyTime,
      isCausal,
      ...(isPadded && { keys }),
      positions,
    });
    const { context } = form.attend(query, key, value, scope);
    const seen = isPadded ? where(counts, context, 0) : context;
    outputs[`${name} context`] = seen;
    const flowing = gradients(sum(mul(seen, weight)), Object.values(leaves));
    Object.keys(leaves).forEach((leaf, i) => (outputs[`${name} gradient of ${leaf}`] = flowing[i]!));
  }
  const program = { name: kernel.name, inputs: { ...leaves, weight, keys, queries }, outputs };
  return compile(isDouble ? inDoublePrecision(program) : program, { threads: 1 });
}

/** Feeds for three rows of unlike lengths: all of the time, half of it, one. */
function feedsFor(
  length: number,
  { isDouble = false, earlier = 0, seed = 1 }: { isDouble?: boolean; earlier?: number; seed?: number } = {},
): Record<string, HostTensor> {
  const random = new RandomStream(randomKey(seed, length));
  const drawn = (dims: number[]): HostTensor =>
    hostTensor(
      isDouble ? "float64" : "float32",
      dims,
      Array.from({ length: dims.reduce((a, b) => a * b) }, () => random.normal()),
    );
  const lengths = [length, Math.ceil(length / 2), 1];
  const valid = (before: number): HostTensor =>
    hostTensor(
      "bool",
      [3, before + length],
      lengths.flatMap((n) => Array.from({ length: before + length }, (_, i) => Number(i < before + n))),
    );
  return {
    query: drawn([3, heads, length, dHead]),
    key: drawn([3, heads, earlier + length, dHead]),
    value: drawn([3, heads, earlier + length, dHead]),
    table: drawn([2 * reach + 1, heads]),
    weight: drawn([3, heads, length, dHead]),
    keys: valid(earlier),
    queries: valid(0),
  };
}

/** The fast form is the slow one at each of these lengths: values and the gradients of queries, keys, values and learned bias. */
export async function expectTwins(
  kernel: AttentionKernel,
  lengths: readonly number[],
  options: TwinOptions,
): Promise<void> {
  await using run = await twins(kernel, options);
  const within = options.isDouble ? 1e-10 : 1e-5;
  for (const length of lengths) {
    const results = await run.run(feedsFor(length, options));
    for (const [name, { data }] of Object.entries(results)) {
      if (!name.startsWith("fast")) continue;
      const slow = results[name.replace("fast", "slow")]!.data as Float64Array;
      const largest = slow.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
      const what = `${kernel.name}, length ${length}, ${name}`;
      expectClose(data as Float64Array, slow, { within: within * largest, what });
    }
  }
}

/**
 * A key's vectors are exchanged, one place after another: what comes out changes where the pattern keeps the pair, and is the same
 * to the last bit where it does not.
 */
export async function expectHiddenKeysDoNotMatter(
  kernel: AttentionKernel,
  { length, isCausal }: { length: number; isCausal: boolean },
): Promise<void> {
  const map = await patternMap(kernel, { length, isCausal });
  const shape = [1, heads, length, dHead];
  const [query, key, value] = ["query", "key", "value"].map((name) => input(name, "float32", shape));
  const { context } = kernel.attend(query!, key!, value!, new AttentionScope({ queryTime: length, isCausal }));
  await using run = await compile(
    { name: "hidden", inputs: { query: query!, key: key!, value: value! }, outputs: { context } },
    { threads: 1 },
  );
  const drawn = feedsFor(length, { seed: 3 });
  const firstRow = (x: HostTensor): HostTensor<"float32"> =>
    hostTensor("float32", shape, (x.data as Float32Array).slice(0, heads * length * dHead));
  const feeds = { query: firstRow(drawn.query!), key: firstRow(drawn.key!), value: firstRow(drawn.value!) };
  const usual = (await run.run(feeds)).context!.data as Float32Array;
  const changedAt = (x: HostTensor<"float32">, place: number): HostTensor => ({
    ...x,
    data: x.data.map((entry, i) => (Math.floor(i / dHead) % length === place ? 7 - entry : entry)),
  });
  for (let place = 0; place < length; place++) {
    const changed = { ...feeds, key: changedAt(feeds.key, place), value: changedAt(feeds.value, place) };
    const context = (await run.run(changed)).context!.data as Float32Array;
    const moved = map.map((_, row) =>
      Array.from({ length: dHead }, (_, i) => row * dHead + i).some((i) => context[i] !== usual[i]),
    );
    expect(moved, `queries of the first head that see key ${place}`).toEqual(map.map((row) => row[place]));
  }
}

/** How much the last place of stacked residual attention layers changes with each place of the input; first row and head. */
export async function slopesOfLast(
  kernel: AttentionKernel,
  { length, layers, isCausal }: { length: number; layers: number; isCausal: boolean },
): Promise<number[]> {
  const input0 = input("x", "float32", [1, heads, length, dHead]);
  const scope = new AttentionScope({ queryTime: length, isCausal });
  let x = input0;
  for (let layer = 0; layer < layers; layer++) x = add(x, kernel.attend(x, x, x, scope).context);
  const [slope] = gradients(sum(slice(x, { axis: 2, start: length - 1 })), [input0]);
  const program = { name: "slopes", inputs: { x: input0 }, outputs: { slope: slope! } };
  await using run = await compile(inDoublePrecision(program), { threads: 1 });
  const values = draw({ dims: [1, heads, length, dHead], seed: 8 });
  const { data } = (await run.run({ x: values })).slope!;
  return Array.from({ length }, (_, place) =>
    Array.from({ length: dHead }, (_, i) => Math.abs(Number(data[place * dHead + i]))).reduce((a, b) => a + b),
  );
}

/** Exchanging what stands in the padding changes no bit of what comes out elsewhere, nor of its gradients. */
export async function expectPaddingDoesNotMatter(kernel: AttentionKernel, isCausal: boolean): Promise<void> {
  await using run = await twins(kernel, { isCausal });
  for (const length of [75, 12, 3]) {
    const feeds = feedsFor(length);
    const valid = feeds.queries!.data;
    const isValid = (i: number): boolean => {
      const row = Math.floor(i / (heads * length * dHead));
      return valid[row * length + (Math.floor(i / dHead) % length)] === 1;
    };
    const changed = ({ dims, data }: HostTensor): HostTensor =>
      hostTensor(
        "float32",
        dims,
        (data as Float32Array).map((entry, i) => (isValid(i) ? entry : 9 - entry)),
      );
    const [usual, other] = [
      await run.run(feeds),
      await run.run({
        ...feeds,
        query: changed(feeds.query!),
        key: changed(feeds.key!),
        value: changed(feeds.value!),
      }),
    ];
    for (const name of ["context", "gradient of query", "gradient of key", "gradient of value"]) {
      const [before, after] = [usual, other].map((results) => [...(results[`fast ${name}`]!.data as Float32Array)]);
      expect(
        after!.findIndex((entry, i) => isValid(i) && entry !== before![i]),
        `first change of ${name}, length ${length}`,
      ).toBe(-1);
    }
  }
}
