import { describe, expect, test } from "vitest";
import { ConfigError } from "../../src/base/index.ts";
import {
  constant,
  cosine,
  inverseSquareRoot,
  linear,
  noam,
  schedules,
  type Schedule,
} from "../../src/train/schedules.ts";

// Expected rates are worked by hand from the formula in each schedule's comment.
const tables: [name: string, Schedule, rates: [step: number, rate: number][]][] = [
  [
    "inverse-square-root",
    inverseSquareRoot({ learningRate: 0.8, warmup: 4 }),
    [
      [1, 0.2],
      [2, 0.4],
      [3, 0.6],
      [4, 0.8],
      [9, 0.8 * (2 / 3)],
      [16, 0.4],
      [64, 0.2],
      [400, 0.08],
    ],
  ],
  // 64^−0.5 = 1/8, 4^−1.5 = 1/8: steps 1 and 4 are 2·(1/8)·(1/8) and 2·(1/8)·(1/2).
  [
    "noam",
    noam({ dModel: 64, warmup: 4, factor: 2 }),
    [
      [1, 1 / 32],
      [2, 1 / 16],
      [4, 1 / 8],
      [16, 1 / 16],
      [100, 1 / 40],
    ],
  ],
  [
    "cosine",
    cosine({ learningRate: 1, warmup: 2, steps: 8, minimum: 0.2 }),
    [
      [1, 0.5],
      [2, 1],
      [4, 0.2 + 0.8 * 0.75],
      [5, 0.6],
      [6, 0.2 + 0.8 * 0.25],
      [8, 0.2],
      [9, 0.2],
      [1000, 0.2],
    ],
  ],
  [
    "linear",
    linear({ learningRate: 1, warmup: 2, steps: 10, minimum: 0.2 }),
    [
      [1, 0.5],
      [2, 1],
      [3, 0.9],
      [6, 0.6],
      [9, 0.3],
      [10, 0.2],
      [50, 0.2],
    ],
  ],
  [
    "linear without warm-up",
    linear({ learningRate: 1, steps: 10 }),
    [
      [1, 0.9],
      [5, 0.5],
      [10, 0],
    ],
  ],
  [
    "constant",
    constant({ learningRate: 0.1 }),
    [
      [1, 0.1],
      [1e6, 0.1],
    ],
  ],
  [
    "constant with warm-up",
    constant({ learningRate: 0.1, warmup: 4 }),
    [
      [1, 0.025],
      [3, 0.075],
      [4, 0.1],
      [5, 0.1],
    ],
  ],
];

describe("rates by hand", () => {
  for (const [name, rate, rates] of tables) {
    test.each(rates)(`${name} at update %d is %d`, (step, expected) => {
      expect(rate(step)).toBeCloseTo(expected, 14);
    });
  }
});

test("noam is the inverse square root that peaks at factor · (dModel · warmup)^−0.5", () => {
  const paper = noam({ dModel: 512, warmup: 4000 });
  const named = inverseSquareRoot({ learningRate: (512 * 4000) ** -0.5, warmup: 4000 });
  for (const step of [1, 7, 3999, 4000, 4001, 100_000]) expect(paper(step)).toBeCloseTo(named(step), 15);
  // Vaswani et al. with their base model: about 7e-4 at the peak.
  expect(paper(4000)).toBeCloseTo(6.987712429686843e-4, 15);
});

test("configurations find every schedule by its name", () => {
  expect(Object.keys(schedules)).toEqual(["inverse-square-root", "noam", "cosine", "linear", "constant"]);
  expect(schedules["inverse-square-root"]).toBe(inverseSquareRoot);
});

test.each<[string, () => Schedule]>([
  [
    "inverse-square-root.warmup: must be a whole number of at least 1 (got 0)",
    () => inverseSquareRoot({ learningRate: 1, warmup: 0 }),
  ],
  ["inverse-square-root.learningRate: must be above 0 (got 0)", () => inverseSquareRoot({ learningRate: 0 })],
  ["noam.dModel: must be a whole number of at least 1 (got 1.5)", () => noam({ dModel: 1.5 })],
  ["cosine.warmup: must be below steps", () => cosine({ learningRate: 1, warmup: 10, steps: 10 })],
  ["cosine.steps: must be a whole number of at least 1 (got NaN)", () => cosine({ learningRate: 1, steps: NaN })],
  [
    "linear.minimum: must be within 0 and learningRate 1 (got 2)",
    () => linear({ learningRate: 1, steps: 10, minimum: 2 }),
  ],
  ["constant.learningRate: must be above 0 (got -1)", () => constant({ learningRate: -1 })],
])("%s", (message, make) => {
  expect(make).toThrow(ConfigError);
  expect(make).toThrow(message);
});
