// Scalings of rotary positions against their papers' formulas in double precision.
import { describe, expect, test } from "vitest";
import { ConfigError, hostTensor } from "../../../src/base/index.ts";
import { RotaryPositions, rotaryScaling, type RotaryScalingOptions } from "../../../src/nn/index.ts";
import { input } from "../../../src/tensor/index.ts";
import { expectClose } from "../../close.ts";
import { evaluate } from "../../tensor/evaluate.ts";

const theta = 10_000;
const pairs = 32;

interface Turns {
  readonly cosine: Float32Array;
  readonly sine: Float32Array;
}

async function tablesOf(scaling: RotaryScalingOptions, at: readonly number[]): Promise<Turns> {
  const positions = new RotaryPositions({ dHead: 2 * pairs, theta, scaling: rotaryScaling(scaling) });
  const given = input("at", "int32", [at.length]);
  const tables = positions.tables(given);
  const [cosine, sine] = await evaluate([given], [hostTensor("int32", [at.length], at)], [tables.cosine, tables.sine]);
  return { cosine: cosine!.data as Float32Array, sine: sine!.data as Float32Array };
}

/** Compares with magnitude · cos and sin of place · speed(pair). */
function expectTurns(
  { cosine, sine }: Turns,
  at: readonly number[],
  speed: (pair: number) => number,
  magnitude = 1,
): void {
  const angles = at.flatMap((place) => Array.from({ length: pairs }, (_, pair) => place * speed(pair)));
  const expected = (of: (angle: number) => number): number[] => angles.map((angle) => magnitude * of(angle));
  expectClose(cosine, expected(Math.cos), { within: 2e-7, what: "cosine" });
  expectClose(sine, expected(Math.sin), { within: 2e-7, what: "sine" });
}

const plain = (pair: number): number => theta ** (-pair / 32);
const at = [0, 1, 17, 4095, 16_383];

test("linear: place n turns as n/factor did", async () => {
  const turns = await tablesOf({ kind: "linear", factor: 4 }, at);
  expectTurns(turns, at, (pair) => plain(pair) / 4);
});

test("ntk: the base is theta · factor^(d/(d−2)); the first pair keeps its speed, the last is slowed by the factor", async () => {
  const speed = (pair: number): number => (theta * 8 ** (64 / 62)) ** (-pair / 32);
  expectTurns(await tablesOf({ kind: "ntk", factor: 8 }, at), at, speed);
  expect(speed(0)).toBe(1);
  expect(plain(31) / speed(31)).toBeCloseTo(8, 12);
});

describe("dynamic-ntk", () => {
  const scaling = { kind: "dynamic-ntk", factor: 2, originalMaxPositions: 1024 } as const;

  test.each([[[0, 1, 5]], [[1023]], [[1000, 3]]])(
    "places %j of a text no longer than training turn as in training",
    async (short) => {
      expectTurns(await tablesOf(scaling, short), short, plain);
    },
  );

  test.each([[[0, 5, 1024]], [[4095, 0]], [[99_999]]])(
    "with places %j the base grows with the last: theta · (factor · L / L₀ − (factor − 1))^(d/(d−2))",
    async (long) => {
      const stretch = (2 * (Math.max(...long) + 1)) / 1024 - 1;
      expectTurns(await tablesOf(scaling, long), long, (pair) => (theta * stretch ** (64 / 62)) ** (-pair / 32));
    },
  );
});

describe("yarn", () => {
  const scaling = { kind: "yarn", factor: 16, originalMaxPositions: 4096 } as const;

  // d ln(L / 2π r) / (2 ln theta) at d 64, L 4096: pair 10.47 turns 32 times in the length of training, pair 22.51 once. So pairs
  // up to 10 keep their speed, pairs from 23 on are slowed 16 times, and the ramp between has 13 steps.
  const slowed = (pair: number): number => Math.min(Math.max((pair - 10) / 13, 0), 1);

  test("fast pairs keep their speed, slow ones are interpolated, a ramp between; all grow by 0.1 ln(factor) + 1", async () => {
    const speed = (pair: number): number => plain(pair) * (1 - slowed(pair)) + (plain(pair) / 16) * slowed(pair);
    expectTurns(await tablesOf(scaling, at), at, speed, 0.1 * Math.log(16) + 1);
  });

  test("a factor of 1 changes nothing", async () => {
    expectTurns(await tablesOf({ ...scaling, factor: 1 }, at), at, plain);
  });

  test("where the two ends meet, the ramp is a step", async () => {
    const steep = { ...scaling, fastRotations: 1.0001 / (2 * Math.PI), slowRotations: 1 / (2 * Math.PI) } as const;
    // d ln L / (2 ln theta) = 28.899: from 28 to 29.
    const speed = (pair: number): number => plain(pair) * (pair <= 28 ? 1 : 1 / 16);
    expectTurns(await tablesOf(steep, at), at, speed, 0.1 * Math.log(16) + 1);
  });
});

describe("what would squeeze or blow up places is refused", () => {
  test.each<[RotaryScalingOptions, string]>([
    [{ kind: "linear", factor: 0.5 }, "positions.scaling.factor: a number of at least 1 is wanted"],
    [{ kind: "ntk", factor: Number.NaN }, "(got NaN)"],
    [{ kind: "dynamic-ntk", factor: 2, originalMaxPositions: 0 }, "positions.scaling.originalMaxPositions: the length"],
    [{ kind: "yarn", factor: 2, originalMaxPositions: 1.5 }, "(got 1.5)"],
    [{ kind: "yarn", factor: 2, originalMaxPositions: 64, fastRotations: 1 }, "below fastRotations (got 1 and 1)"],
  ])("%o", (options, message) => {
    expect(() => rotaryScaling(options)).toThrow(ConfigError);
    expect(() => rotaryScaling(options)).toThrow(message);
  });

  test("NTK of a single pair", () => {
    const positions = new RotaryPositions({ dHead: 2, scaling: rotaryScaling({ kind: "ntk", factor: 2 }) });
    expect(() => positions.tables(input("at", "int32", [1]))).toThrow("at least 4 turned dimensions (got 2)");
  });
});
