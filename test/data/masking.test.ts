import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream } from "../../src/base/index.ts";
import { maskTokens } from "../../src/data/index.ts";
import { notAsked } from "../../src/models/index.ts";

const special = [0, 1, 2, 3, 4];
const mask = 4;
const vocabularySize = 50;
const options = { mask, vocabularySize, special };

/** Ordinary tokens between START and END, with padding behind. */
function texts(rows: number, time: number, seed: number) {
  const random = new RandomStream(randomKey(seed));
  const data = Array.from({ length: rows }, () => {
    const length = 2 + random.integer(time - 1);
    return Array.from({ length: time }, (_, i) =>
      i === 0 ? 2 : i < length - 1 ? 5 + random.integer(45) : i === length - 1 ? 3 : 0,
    );
  });
  return hostTensor("int32", [rows, time], data.flat());
}

/** How far χ² lies above its mean, in its standard deviations. */
function chiSquareExcess(counts: readonly number[], expected: number): number {
  const chiSquare = counts.reduce((total, count) => total + (count - expected) ** 2 / expected, 0);
  const freedom = counts.length - 1;
  return (chiSquare - freedom) / Math.sqrt(2 * freedom);
}

describe("over 400,000 tokens", () => {
  const ids = hostTensor(
    "int32",
    [400_000],
    Int32Array.from({ length: 400_000 }, (_, i) => 5 + (i % 45)),
  );
  const { ids: read, labels, asked } = maskTokens(ids, { ...options, random: randomKey(1, 2) });
  const places = [...labels.data.keys()].filter((place) => labels.data[place] !== notAsked);
  /** Five standard deviations of a share among n. */
  const near = (share: number, p: number, n: number): void =>
    expect(Math.abs(share - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / n));

  test("15 % are asked for, and the count says how many", () => {
    expect(asked).toBe(places.length);
    near(asked / 400_000, 0.15, 400_000);
  });

  test("of these 80 % are masked, 10 % changed and 10 % left as they are", () => {
    const masked = places.filter((place) => read.data[place] === mask).length;
    const changed = places.filter((place) => read.data[place] !== mask && read.data[place] !== ids.data[place]).length;
    near(masked / asked, 0.8, asked);
    near(changed / asked, 0.1 * (44 / 45), asked); // one stand-in of 45 is the token itself
  });

  test("every ordinary token is asked for, and stands in for another, equally often", () => {
    const askedOf = new Array<number>(45).fill(0);
    const standsIn = new Array<number>(45).fill(0);
    for (const place of places) {
      askedOf[labels.data[place]! - 5]!++;
      if (read.data[place] !== mask && read.data[place] !== ids.data[place]) standsIn[read.data[place]! - 5]!++;
    }
    expect(chiSquareExcess(askedOf, asked / 45)).toBeLessThan(5);
    expect(chiSquareExcess(standsIn, standsIn.reduce((a, b) => a + b, 0) / 45)).toBeLessThan(5);
  });

  test("neighbours are asked for independently of each other", () => {
    const both = places.filter((place) => place > 0 && labels.data[place - 1] !== notAsked).length;
    near(both / 400_000, 0.15 ** 2, 400_000);
  });
});

test("special tokens are never asked for, changed or put in; a label is the token that stood there; other places stay", () => {
  fc.assert(
    fc.property(fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (seed, rate) => {
      const before = texts(5, 12, seed);
      const { ids, labels, asked } = maskTokens(before, { ...options, rate, random: randomKey(seed) });
      expect([ids.dims, labels.dims]).toEqual([before.dims, before.dims]);
      let counted = 0;
      for (const [place, id] of before.data.entries()) {
        const [read, label] = [ids.data[place]!, labels.data[place]!];
        if (label === notAsked) expect(read).toBe(id);
        else {
          counted++;
          expect(special).not.toContain(id);
          expect(label).toBe(id);
          expect(read === mask || !special.includes(read)).toBe(true);
        }
      }
      expect(asked).toBe(counted);
    }),
  );
});

test("the same key gives the same draw and another key another; what came in stays as it was", () => {
  const before = texts(8, 20, 3);
  const copy = before.data.slice();
  const draw = (seed: number) => maskTokens(before, { ...options, random: randomKey(seed) });
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1).labels.data).not.toEqual(draw(2).labels.data);
  expect(before.data).toEqual(copy);
});

test("rate 1 asks for every ordinary token, rate 0 for none", () => {
  const before = texts(3, 9, 4);
  const ordinary = before.data.filter((id) => !special.includes(id)).length;
  expect(maskTokens(before, { ...options, rate: 1, random: randomKey(1) }).asked).toBe(ordinary);
  expect(maskTokens(before, { ...options, rate: 0, random: randomKey(1) }).asked).toBe(0);
});

test.each([
  [{ rate: 15 }, /rate: a chance between 0 and 1 is wanted \(got 15\)/],
  [{ vocabularySize: 5 }, /special: all 5 tokens are special/],
])("%j is refused", (wrong, message) => {
  expect(() => maskTokens(texts(1, 4, 1), { ...options, random: randomKey(1), ...wrong })).toThrow(message);
});
