// Rotary positions and xPos: what turning promises, against the formulas in double precision.
import { describe, expect, test } from "vitest";
import {
  ConfigError,
  hostTensor,
  randomKey,
  RandomStream,
  ShapeError,
  type HostTensor,
} from "../../../src/base/index.ts";
import { compile } from "../../../src/engine/index.ts";
import { RotaryPositions, XPositions, YarnScaling, type AttentionPositions } from "../../../src/nn/index.ts";
import { dim, input, mul, range, type Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../close.ts";
import { draw, evaluate } from "../../tensor/evaluate.ts";
import { expectSlopes } from "./slopes.ts";

const random = new RandomStream(randomKey(41));
const normals = (count: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: count }, () => random.normal());
const places = (...data: number[]): HostTensor => hostTensor("int32", [data.length], data);

type Turns = AttentionPositions & Required<Pick<AttentionPositions, "turn">>;

/** x turned at these places. */
async function turned(positions: Turns, x: HostTensor, at: HostTensor, role: "query" | "key" = "query") {
  const inputs = [input("x", "float32", x.dims), input("at", "int32", at.dims)] as const;
  const [y] = await evaluate(inputs, [x, at], [positions.turn(inputs[0], inputs[1], role)]);
  return y!.data as Float32Array;
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>, row: number, width: number): number => {
  let total = 0;
  for (let i = row * width; i < (row + 1) * width; i++) total += a[i]! * b[i]!;
  return total;
};

/** Vectors of length 1, so that a tolerance on their products means the same at every width. */
function unitRows(rows: number, width: number): HostTensor<"float32"> {
  const data = normals(rows * width);
  for (let row = 0; row < rows; row++) {
    const part = data.subarray(row * width, (row + 1) * width);
    const length = Math.sqrt(dot(part, part, 0, width));
    part.forEach((value, i) => (part[i] = value / length));
  }
  return hostTensor("float32", [rows, width], data);
}

/** The definition in double precision: pair (a, b) of x at place n becomes (a cos nθ − b sin nθ, b cos nθ + a sin nθ). */
function turnedByHand(
  x: ArrayLike<number>,
  at: readonly number[],
  { dHead, dimensions, theta, layout }: Pick<RotaryPositions, "dHead" | "dimensions" | "theta" | "layout">,
): Float64Array {
  const y = Float64Array.from(x);
  at.forEach((place, row) => {
    for (let i = 0; i < dimensions / 2; i++) {
      const angle = place * theta ** ((-2 * i) / dimensions);
      const [first, second] = layout === "halves" ? [i, i + dimensions / 2] : [2 * i, 2 * i + 1];
      const [a, b] = [x[row * dHead + first]!, x[row * dHead + second]!];
      y[row * dHead + first] = a * Math.cos(angle) - b * Math.sin(angle);
      y[row * dHead + second] = b * Math.cos(angle) + a * Math.sin(angle);
    }
  });
  return y;
}

describe.each(["halves", "interleaved"] as const)("rotary positions, %s", (layout) => {
  test.each([
    [64, 64, 10_000],
    [64, 16, 500_000],
    [10, 6, 100],
    [2, 2, 10_000],
  ])("dHead %i, dimensions %i, theta %i: each pair turns by its angle, up to place 100,000", async (...sizes) => {
    const [dHead, dimensions, theta] = sizes;
    const positions = new RotaryPositions({ dHead, dimensions, theta, layout });
    const at = [0, 1, 2, 1023, 65_537, 99_999, 100_000];
    const x = unitRows(at.length, dHead);
    expectClose(await turned(positions, x, places(...at)), turnedByHand(x.data, at, positions), { within: 2e-7 });
  });

  test("a query's product with a key depends on the distance of their places alone: 1,000 shifts", async () => {
    const dHead = 64;
    const positions = new RotaryPositions({ dHead, layout });
    const shifts = 1000;
    const uniform = (below: number): number => Math.floor(random.uniform() * below);
    const [query, key] = [unitRows(1, dHead), unitRows(1, dHead)];
    const timesShifts = ({ data }: HostTensor<"float32">) =>
      hostTensor(
        "float32",
        [shifts, dHead],
        Float32Array.from({ length: shifts * dHead }, (_, i) => data[i % dHead]!),
      );
    const [queries, keys] = [timesShifts(query), timesShifts(key)];
    const distance = Array.from({ length: shifts }, () => uniform(2048));
    const shift = Array.from({ length: shifts }, () => uniform(98_000));
    const [near, far] = [
      await turned(positions, queries, places(...distance)),
      await turned(positions, queries, places(...distance.map((n, i) => n + shift[i]!))),
    ];
    const moved = await turned(positions, keys, places(...shift));
    const scores = distance.map((_, row) => dot(far, moved, row, dHead));
    const unshifted = distance.map((_, row) => dot(near, keys.data, row, dHead));
    expectClose(scores, unshifted, { within: 1e-5 });
    expect(Math.max(...unshifted) - Math.min(...unshifted)).toBeGreaterThan(0.1); // distance does count
  });
});

test.each([
  ["rotary, halves", new RotaryPositions({ dHead: 10, dimensions: 6 })],
  ["rotary, interleaved", new RotaryPositions({ dHead: 10, dimensions: 6, layout: "interleaved" })],
  ["xpos", new XPositions({ dHead: 10 })],
] as const)("%s: the gradient is the slope, in double precision", async (_, positions) => {
  const inputs = {
    query: input("query", "float32", [2, dim("time"), 10]),
    key: input("key", "float32", [2, dim("time"), 10]),
    at: input("at", "int32", [dim("time")]),
  };
  const score = mul(positions.turn(inputs.query, inputs.at, "query"), positions.turn(inputs.key, inputs.at, "key"));
  const feeds = {
    query: draw({ dims: [2, 4, 10], seed: 5, dtype: "float32" }),
    key: draw({ dims: [2, 4, 10], seed: 6, dtype: "float32" }),
    at: places(0, 3, 8, 100),
  };
  await expectSlopes(inputs, score, { feeds, of: ["query", "key"], seed: 5 });
});

/** A step's turn must be the row that the whole sequence has: keys are turned once and kept. */
test.each([
  ["rotary", new RotaryPositions({ dHead: 8, dimensions: 4 })],
  ["xpos", new XPositions({ dHead: 8 })],
] as const)(
  "%s: a place turned by itself is that place of the whole sequence, for rows of beams and batch",
  async (_, positions) => {
    const [batch, heads, time, dHead] = [2, 3, 5, 8];
    const whole = input("whole", "float32", [dim("batch"), heads, dim("time"), dHead]);
    const step = input("step", "float32", [2, dim("batch"), heads, dHead]);
    const at = input("at", "int32", [1]);
    for (const role of ["query", "key"] as const) {
      const outputs = {
        full: positions.turn(whole, range(dim("time")), role),
        one: positions.turn(step, at, role),
      };
      await using run = await compile({ name: "step", inputs: { whole, step, at }, outputs }, { threads: 1 });
      const x = normals(batch * heads * time * dHead);
      const rowsAt = (data: ArrayLike<number>, place: number): Float32Array<ArrayBuffer> =>
        Float32Array.from({ length: batch * heads * dHead }, (_, i) => {
          const [row, d] = [Math.floor(i / dHead), i % dHead];
          return data[(row * time + place) * dHead + d]!;
        });
      for (let place = 0; place < time; place++) {
        const rows = rowsAt(x, place);
        const { full, one } = await run.run({
          whole: hostTensor("float32", [batch, heads, time, dHead], x),
          step: hostTensor("float32", [2, batch, heads, dHead], Float32Array.of(...rows, ...rows)),
          at: places(place),
        });
        const wanted = rowsAt(full!.data as Float32Array, place);
        expectClose(one!.data as Float32Array, [...wanted, ...wanted], { within: 1e-7 });
      }
    }
  },
);

test("all layers that ask at the same places share one pair of tables", () => {
  const positions = new RotaryPositions({ dHead: 8 });
  const at: Tensor = range(dim("time"));
  expect(positions.tables(at)).toBe(positions.tables(at));
  expect(positions.tables(at)).not.toBe(positions.tables(range(dim("time"))));
});

test("what is not turned keeps its size where a scaling makes the turned part larger", async () => {
  const scaling = new YarnScaling({ factor: 4, originalMaxPositions: 64 });
  const positions = new RotaryPositions({ dHead: 8, dimensions: 4, scaling });
  const y = await turned(positions, hostTensor("float32", [1, 8], [1, 0, 0, 0, 5, 6, 7, 8]), places(0));
  // 0.1 ln 4 + 1
  expectClose(y, [1.1386294, 0, 0, 0, 5, 6, 7, 8], { within: 1e-6 });
});

describe("what cannot be turned is refused", () => {
  test.each([
    [{ dHead: 8, dimensions: 3 }, "dimensions must be even and at most dHead (got dimensions 3, dHead 8). At most 8"],
    [{ dHead: 8, dimensions: 10 }, "(got dimensions 10, dHead 8). At most 8 would fit"],
    [{ dHead: 8, dimensions: 0 }, "(got dimensions 0, dHead 8)"],
    [{ dHead: 5 }, "(got dimensions 5, dHead 5). At most 4 would fit"],
    [{ dHead: 1 }, "A head of one number has no pair to turn"],
  ])("%o", (options, message) => {
    expect(() => new RotaryPositions(options)).toThrow(ShapeError);
    expect(() => new RotaryPositions(options)).toThrow(message);
  });

  test("a base that turns nothing, a decay that is none", () => {
    expect(() => new RotaryPositions({ dHead: 8, theta: 1 })).toThrow(ConfigError);
    expect(() => new XPositions({ dHead: 8, scaleBase: 0 })).toThrow("positions.scaleBase: a number above 0");
    expect(() => new XPositions({ dHead: 8, gamma: 0 })).toThrow("positions.gamma: a number above 0");
    expect(() => new XPositions({ dHead: 7 })).toThrow(ShapeError);
  });

  test("vectors of another width, and places that differ from sequence to sequence", () => {
    const positions = new RotaryPositions({ dHead: 8 });
    const x = input("x", "float32", [2, 3, dim("time"), 6]);
    expect(() => positions.turn(x, range(dim("time")))).toThrow("with dHead 8 are wanted (got [2, 3, time, 6])");
    expect(() => positions.tables(input("at", "int32", [2, dim("time")]))).toThrow("(got int32 [2, time])");
    expect(() => positions.tables(input("at", "float32", [dim("time")]))).toThrow("(got float32 [time])");
  });
});

describe.each(["halves", "interleaved"] as const)("xPos, %s", (layout) => {
  const dHead = 16;
  const [scaleBase, gamma] = [512, 0.4];
  const positions = new XPositions({ dHead, layout });
  const rotary = new RotaryPositions({ dHead, layout });

  /** Σ over pairs of ζᵢ^((n − m)/scaleBase) times the pair's share of the product of turned vectors. */
  function fadedScore(query: ArrayLike<number>, key: ArrayLike<number>, n: number, m: number): number {
    const [q, k] = [turnedByHand(query, [n], rotary), turnedByHand(key, [m], rotary)];
    let score = 0;
    for (let i = 0; i < dHead / 2; i++) {
      const zeta = (i / (dHead / 2) + gamma) / (1 + gamma);
      const [a, b] = layout === "halves" ? [i, i + dHead / 2] : [2 * i, 2 * i + 1];
      score += zeta ** ((n - m) / scaleBase) * (q[a]! * k[a]! + q[b]! * k[b]!);
    }
    return score;
  }

  test("each pair's share of a product fades with the distance as ζ^((n − m)/scaleBase)", async () => {
    const [query, key] = [unitRows(1, dHead), unitRows(1, dHead)];
    const distances = [0, 1, 7, 100, 512, 2048];
    const scores: number[] = [];
    for (const distance of distances) {
      const q = await turned(positions, query, places(3000), "query");
      const k = await turned(positions, key, places(3000 - distance), "key");
      scores.push(dot(q, k, 0, dHead));
    }
    const expected = distances.map((distance) => fadedScore(query.data, key.data, 3000, 3000 - distance));
    expectClose(scores, expected, { within: 1e-5 });
  });

  test("scores depend on the distance alone: 1,000 shifts, up to place 34,000", async () => {
    const rows = 1000;
    const [query, key] = [unitRows(rows, dHead), unitRows(rows, dHead)];
    const below = (limit: number) => Array.from({ length: rows }, () => Math.floor(random.uniform() * limit));
    const [distance, shift] = [below(2048), below(32_000)];
    const q = await turned(positions, query, places(...distance.map((n, i) => n + shift[i]!)), "query");
    const k = await turned(positions, key, places(...shift), "key");
    const still = await turned(positions, query, places(...distance), "query");
    const here = await turned(positions, key, places(...distance.map(() => 0)), "key");
    expectClose(
      distance.map((_, row) => dot(q, k, row, dHead)),
      distance.map((_, row) => dot(still, here, row, dHead)),
      { within: 1e-5 },
    );
  });
});
