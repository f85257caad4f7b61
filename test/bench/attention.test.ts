import { expect, test } from "vitest";
import { attentionText, barsOf, growth, type AttentionPoint, type AttentionResult } from "../../bench/attention.ts";

test("growth is the exponent of a power", () => {
  const points = (exponent: number) => [512, 1024, 2048].map((length) => [length, 3 * length ** exponent] as const);
  expect(growth(points(1))).toBeCloseTo(1);
  expect(growth(points(2))).toBeCloseTo(2);
});

/** Full attention of the square's time and memory, and others of some share of it. */
function made(shares: Readonly<Record<string, number>>): AttentionResult {
  const points: AttentionPoint[] = [1024, 2048].flatMap((length) =>
    Object.entries({ full: 1, ...shares }).map(([kernel, share]) => ({
      kernel,
      length,
      milliseconds: share * length ** 2,
      mebibytes: kernel === "tiled" ? length : length ** 2,
      clean: kernel === "tiled" ? 0 : 3,
      turns: 3,
    })),
  );
  return { points, skipped: [{ kernel: "full", length: 8192, reason: "there is no room" }] };
}

test("bars say what was to be reached, what came, and whether that is enough", () => {
  const bars = barsOf(made({ "causal-blocks": 0.8, longformer: 0.5, tiled: 1 }));
  expect(bars.map(({ what, held }) => `${what}: ${held}`)).toEqual([
    "tiled: memory grows as length^: true",
    "causal-blocks: time of full at 1,024: false",
    "longformer: time of full at 2,048: true",
  ]);
});

test("the tables name what was left out and what was measured beside other work", () => {
  const text = attentionText(made({ tiled: 1 }));
  expect(text).toMatch(/^ms, forward and backward +1024 +2048 +growth$/m);
  expect(text).toContain("left out: full at 8192, there is no room");
  expect(text).toContain("2 of 4 times were taken beside foreign load alone");
});
