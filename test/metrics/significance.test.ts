import { describe, expect, it } from "vitest";
import { ConfigError, randomKey, RandomStream } from "../../src/base/index.ts";
import {
  Bleu,
  bootstrapCorpus,
  Chrf,
  confidenceOf,
  pairedBootstrap,
  pairedRandomization,
  resampledScores,
  Ter,
  type Metric,
} from "../../src/metrics/index.ts";

// 60 lines of 12 words. `worsen` replaces each word with the given chance; `shift` gives each line another line's damage,
// so that two such systems have the same number of wrong words and differ by where they are.
const stream = new RandomStream(randomKey(1));
const references = Array.from({ length: 60 }, () => Array.from({ length: 12 }, () => `w${stream.integer(50)}`));
const worsen = (chance: number, shift: number) => {
  const own = new RandomStream(randomKey(2));
  const damage = references.map((line) => line.map(() => own.uniform() < chance));
  return references.map((line, i) => line.map((word, k) => (damage[(i + shift) % 60]![k] ? "x" : word)).join(" "));
};
const [good, alike, bad] = [worsen(0.1, 0), worsen(0.1, 1), worsen(0.25, 2)];
const text = references.map((line) => line.join(" "));

const metrics: [string, Metric][] = [
  ["BLEU", new Bleu()],
  ["chrF++", new Chrf({ wordOrder: 2 })],
  ["TER", new Ter()],
];

describe.each(metrics)("with %s", (_, metric) => {
  it.each([
    ["paired bootstrap", pairedBootstrap],
    ["approximate randomization", pairedRandomization],
  ])("%s tells a worse system from a baseline, and no equal one", (_name, test) => {
    const [baseline, equal, worse, itself] = test(metric, [good, alike, bad, good], [text], { trials: 200 });
    expect(baseline!.pValue).toBeUndefined();
    expect(equal!.pValue).toBeGreaterThan(0.05);
    expect(worse!.pValue).toBeLessThan(0.02);
    expect(worse!.score.score).toBe(metric.corpus(bad, [text]).score);
    expect(itself!.pValue).toBe(1 / 201); // a difference of 0 is no chance event: none of the trials goes beyond it
  });

  it("the bootstrap mean is near the score, and the interval holds it", () => {
    const { score, confidence } = bootstrapCorpus(metric, bad, [text], { trials: 500 });
    expect(Math.abs(confidence!.mean - score)).toBeLessThan(confidence!.halfWidth / 3);
    expect(confidence!.halfWidth).toBeGreaterThan(0);
  });
});

it("the same seed draws the same resamples, another seed others", () => {
  const statistics = new Bleu().statistics(bad, [text]);
  const draw = (seed: number) => [...resampledScores(new Bleu(), statistics, { trials: 20, seed })];
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
});

it("a 95 % interval leaves out a fortieth at each end", () => {
  // 0 … 79: two values fall away at each end, and half of 77 − 2 is 37.5.
  expect(confidenceOf(Float64Array.from({ length: 80 }, (_, i) => 79 - i))).toEqual({ mean: 39.5, halfWidth: 37.5 });
});

it("a paired test wants two systems", () => {
  expect(() => pairedBootstrap(new Bleu(), [good], [text])).toThrow(ConfigError);
});
