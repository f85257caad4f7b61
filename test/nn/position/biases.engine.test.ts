// ALiBi and T5's relative bias: their numbers, their gradients, and one row at a time as decoding asks for them.
import { describe, expect, test } from "vitest";
import { ConfigError, elementCount, hostTensor, ShapeError, type HostTensor } from "../../../src/base/index.ts";
import {
  alibiSlopes,
  AlibiPositions,
  distanceBuckets,
  namedParameters,
  parameterInputs,
  RelativeBias,
  type AttentionPositions,
} from "../../../src/nn/index.ts";
import { dim, gradients, input, mul, range, sum, type Tensor } from "../../../src/tensor/index.ts";
import { draw, evaluate, numbers } from "../../tensor/evaluate.ts";
import { expectSlopes } from "./slopes.ts";

const places = (...data: number[]): HostTensor => hostTensor("int32", [data.length], data);

describe("ALiBi's slopes", () => {
  test.each([1, 2, 4, 8, 16, 32, 64])("for %i heads are exactly 2^(−8i/h)", (heads) => {
    expect([...alibiSlopes(heads)]).toEqual(Array.from({ length: heads }, (_, i) => 2 ** ((-8 * (i + 1)) / heads)));
  });

  // Press et al. 2022, section 3: with 8 heads ½, ¼, … 1/256; the rule for other counts is in the authors' program.
  test.each([
    [8, [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]],
    [3, [2 ** -4, 2 ** -8, 2 ** -2]],
    [6, [2 ** -2, 2 ** -4, 2 ** -6, 2 ** -8, 2 ** -1, 2 ** -3]],
    [12, [...[1, 2, 3, 4, 5, 6, 7, 8].map((i) => 2 ** -i), ...[0.5, 1.5, 2.5, 3.5].map((i) => 2 ** -i)]],
  ])("for %i heads are as the authors' rule has it", (heads, slopes) => {
    expect([...alibiSlopes(heads)]).toEqual(slopes);
  });

  test.each([0, -1, 2.5])("for %d heads do not exist", (heads) => {
    expect(() => alibiSlopes(heads)).toThrow(ConfigError);
  });
});

test("ALiBi's bias is −slope · distance, on either side alike", async () => {
  const at = input("at", "int32", [4]);
  const [bias] = await evaluate([at], [places(0, 1, 2, 9)], [new AlibiPositions({ heads: 2 }).bias(at, at)]);
  expect(bias!.dims).toEqual([2, 4, 4]);
  const distance = [0, 1, 2, 9, 1, 0, 1, 8, 2, 1, 0, 7, 9, 8, 7, 0];
  expect(numbers(bias!).map((value) => value + 0)).toEqual(
    [1 / 16, 1 / 256].flatMap((slope) => distance.map((steps) => (steps === 0 ? 0 : -slope * steps))),
  );
});

/**
 * The rule as T5's program states it, with float32 at every step as there:
 * https://github.com/google-research/text-to-text-transfer-transformer, and every port of it.
 */
function bucketInFloat32(distance: number, buckets: number, maxDistance: number, bidirectional: boolean): number {
  const side = bidirectional ? buckets / 2 : buckets;
  const offset = bidirectional && distance > 0 ? side : 0;
  const away = bidirectional ? Math.abs(distance) : Math.max(-distance, 0);
  const single = Math.floor(side / 2);
  if (away < single) return offset + away;
  const f = Math.fround;
  const share = f(f(Math.log(f(away / single))) / f(Math.log(maxDistance / single)));
  return offset + Math.min(single + Math.trunc(f(share * (side - single))), side - 1);
}

describe("T5's buckets", () => {
  // Worked by hand. 6 a side, 3 of them single; from there on 3 + ⌊3 · ln(d/3) / ln(16/3)⌋: 4 → 0.52, 5 → 0.92, 6 → 1.24,
  // 9 → 1.97, 10 → 2.16, and never beyond 5.
  test("for 12 buckets, distances to 16, both sides", () => {
    const before = [0, 1, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5]; // distance 0, 1, … 16
    const found = [...distanceBuckets({ buckets: 12, maxDistance: 16, bidirectional: true })];
    expect(found.slice(0, 17).toReversed()).toEqual(before);
    expect(found.slice(17)).toEqual(before.slice(1).map((bucket) => bucket + 6));
  });

  test("for 12 buckets, distances to 16, the past alone: later keys are in the bucket of the own place", () => {
    // 6 single; from there on 6 + ⌊6 · ln(d/6) / ln(16/6)⌋: 7 → 0.94, 8 → 1.76, 9 → 2.48, 10 → 3.12,
    // 11 → 3.71, 12 → 4.24, 13 → 4.73, 14 → 5.18.
    const before = [0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 10, 11, 11, 11];
    const found = [...distanceBuckets({ buckets: 12, maxDistance: 16, bidirectional: false })];
    expect(found.slice(0, 17).toReversed()).toEqual(before);
    expect(found.slice(17)).toEqual(new Array(16).fill(0));
  });

  test.each([
    [32, 128, true],
    [32, 128, false],
    [12, 16, true],
    [12, 16, false],
    [64, 256, true],
    [32, 1024, false],
    [4, 3, true],
    [2, 2, false],
  ])(
    "%i up to distance %i, both sides: %s, equal the program's rule in float32",
    (buckets, maxDistance, bidirectional) => {
      const found = distanceBuckets({ buckets, maxDistance, bidirectional });
      const stated = Array.from({ length: 2 * maxDistance + 1 }, (_, i) =>
        bucketInFloat32(i - maxDistance, buckets, maxDistance, bidirectional),
      );
      expect([...found]).toEqual(stated);
    },
  );

  test.each([
    [{ buckets: 3, maxDistance: 8, bidirectional: true }, "positions.buckets: an even number of at least 4"],
    [{ buckets: 2, maxDistance: 8, bidirectional: true }, "(got 2); the paper takes 32"],
    [{ buckets: 1, maxDistance: 8, bidirectional: false }, "positions.buckets: a whole number of at least 2"],
    [{ buckets: 32, maxDistance: 8, bidirectional: true }, "positions.maxDistance: a whole number above 8"],
    [{ buckets: 32, maxDistance: 20.5, bidirectional: true }, "(got 20.5)"],
  ])("%o is refused", (options, message) => {
    expect(() => new RelativeBias({ heads: 2, ...options })).toThrow(ConfigError);
    expect(() => new RelativeBias({ heads: 2, ...options })).toThrow(message);
  });
});

test.each([true, false])(
  "the relative bias is the table's number for the head and the bucket, beyond the largest distance too; both sides: %s",
  async (bidirectional) => {
    const [heads, buckets, maxDistance] = [3, 12, 16];
    const positions = new RelativeBias({ heads, buckets, maxDistance, bidirectional });
    const table = draw({ dims: [buckets, heads], seed: 3, dtype: "float32" });
    const query = input("query", "int32", [3]);
    const key = input("key", "int32", [5]);
    const queries = [0, 20, 5000];
    const keys = [0, 3, 21, 40, 4999];
    const [bias] = await evaluate(
      [positions.table.value, query, key],
      [table, places(...queries), places(...keys)],
      [positions.bias(query, key)],
    );
    expect(bias!.dims).toEqual([heads, 3, 5]);
    const expected = [0, 1, 2].flatMap((head) =>
      queries.flatMap((n) =>
        keys.map(
          (m) => table.data[bucketInFloat32(m - n, buckets, maxDistance, bidirectional) * heads + head] as number,
        ),
      ),
    );
    expect(numbers(bias!)).toEqual(expected);
  },
);

test.each([true, false])(
  "the relative bias's gradient is the slope along the table; both sides: %s",
  async (bidirectional) => {
    const positions = new RelativeBias({ heads: 3, buckets: 8, maxDistance: 12, bidirectional });
    const at = input("at", "int32", [dim("time")]);
    const inputs = { ...parameterInputs(namedParameters(positions)), at };
    expect(Object.keys(inputs)).toEqual(["table", "at"]);
    const bias = positions.bias(at, at);
    // Squared, so that the slope is not the same everywhere.
    await expectSlopes(inputs, mul(bias, bias), {
      feeds: { table: draw({ dims: [8, 3], seed: 9, dtype: "float32" }), at: places(0, 1, 2, 5, 6, 40) },
      of: ["table"],
      seed: 9,
    });
  },
);

test("a bucket nobody uses gets no gradient, and one that a pair uses gets its own", async () => {
  const positions = new RelativeBias({ heads: 1, buckets: 4, maxDistance: 8, bidirectional: false });
  const at = input("at", "int32", [2]);
  const [slope] = gradients(sum(positions.bias(at, at)), [positions.table.value]) as [Tensor];
  const [found] = await evaluate(
    [positions.table.value, at],
    [draw({ dims: [4, 1], seed: 1, dtype: "float32" }), places(4, 5)],
    [slope],
  );
  // Distances 0, 0, the later key (bucket 0 as well), and 1.
  expect(numbers(found!)).toEqual([3, 1, 0, 0]);
});

type Biases = AttentionPositions & Required<Pick<AttentionPositions, "bias">>;
const schemes: readonly (readonly [string, Biases])[] = [
  ["alibi", new AlibiPositions({ heads: 3 })],
  ["relative, both sides", new RelativeBias({ heads: 3, buckets: 8, maxDistance: 12, bidirectional: true })],
  ["relative, the past", new RelativeBias({ heads: 3, buckets: 8, maxDistance: 12, bidirectional: false })],
];

describe.each(schemes)("%s", (_, positions) => {
  const parameters = parameterInputs(namedParameters(positions));
  const tables = Object.values(parameters).map(({ shape }) =>
    draw({ dims: shape as number[], seed: 4, dtype: "float32" }),
  );

  test("the bias of one query against the keys so far is that row of the whole", async () => {
    const time = 7;
    const every = input("every", "int32", [time]);
    const leaves = Object.values(parameters);
    const [whole] = await evaluate(
      [...leaves, every],
      [...tables, places(0, 1, 2, 3, 4, 5, 6)],
      [positions.bias(every, every)],
    );
    for (let place = 0; place < time; place++) {
      const [now, seen] = [input("now", "int32", [1]), range(place + 1)];
      const [step] = await evaluate([...leaves, now], [...tables, places(place)], [positions.bias(now, seen)]);
      expect(step!.dims).toEqual([3, 1, place + 1]);
      const rows = [0, 1, 2].flatMap((head) => {
        const start = (head * time + place) * time;
        return numbers(whole!).slice(start, start + place + 1);
      });
      expect(numbers(step!)).toEqual(rows);
    }
  });

  test("queries and keys may differ from sequence to sequence: leading axes stand behind the heads and broadcast", async () => {
    const query = input("query", "int32", [2, 1, 3]);
    const key = input("key", "int32", [4, 5]);
    const bias = positions.bias(query, key);
    expect(bias.shape).toEqual([3, 2, 4, 3, 5]);
    const [queries, keys] = [
      draw({ dims: [2, 1, 3], seed: 7, dtype: "int32", range: [0, 30] }),
      draw({ dims: [4, 5], seed: 8, dtype: "int32", range: [0, 30] }),
    ];
    const leaves = Object.values(parameters);
    const [found] = await evaluate([...leaves, query, key], [...tables, queries, keys], [bias]);
    const alone = [input("n", "int32", [3]), input("m", "int32", [5])] as const;
    for (const [i, j] of [
      [0, 0],
      [1, 2],
    ] as const) {
      const [ofPair] = await evaluate(
        [...leaves, ...alone],
        [
          ...tables,
          hostTensor("int32", [3], (queries.data as Int32Array<ArrayBuffer>).slice(3 * i, 3 * i + 3)),
          hostTensor("int32", [5], (keys.data as Int32Array<ArrayBuffer>).slice(5 * j, 5 * j + 5)),
        ],
        [positions.bias(...alone)],
      );
      for (const head of [0, 1, 2]) {
        const start = elementCount([2, 4, 3, 5]) * head + 15 * (4 * i + j);
        expect(numbers(found!).slice(start, start + 15)).toEqual(numbers(ofPair!).slice(15 * head, 15 * head + 15));
      }
    }
  });

  test("places that are no whole numbers are refused", () => {
    const at = input("at", "float32", [dim("time")]);
    expect(() => positions.bias(at, at)).toThrow(ShapeError);
    expect(() => positions.bias(at, at)).toThrow("positions: int32 [.., time] are wanted (got float32 [time])");
  });
});
