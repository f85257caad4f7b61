import { describe, expect, test } from "vitest";
import { elementCount } from "../../src/base/index.ts";
import { Transformer } from "../../src/models/index.ts";
import { namedParameters } from "../../src/nn/index.ts";

const count = (model: Transformer): number =>
  [...namedParameters(model).values()].reduce((total, { shape }) => total + elementCount(shape), 0);

describe("the sizes of Vaswani et al. 2017, table 3, with its joint vocabulary of 37,000", () => {
  // By hand, d = dModel, f = dFeedForward: table 37000 d; attention 4 (d² + d); feed-forward 2 d f + f + d; a norm 2 d.
  // A layer of the encoder has one attention and two norms, of the decoder two and three.
  test.each([
    ["base, which the paper gives as 65 million", {}, 512, 2048, 65e6, 0.03],
    ["big, which the paper gives as 213 million", { dModel: 1024, heads: 16 }, 1024, 4096, 213e6, 0.01],
  ])("%s", (_, options, d, f, paper, tolerance) => {
    const attention = 4 * (d * d + d);
    const feedForward = 2 * d * f + f + d;
    const byHand = 37000 * d + 6 * (attention + feedForward + 4 * d) + 6 * (2 * attention + feedForward + 6 * d);
    const counted = count(new Transformer({ vocabularySize: 37000, ...options }));
    expect(counted).toBe(byHand);
    expect(Math.abs(counted / paper - 1)).toBeLessThan(tolerance);
  });
});

describe("tying", () => {
  const small = { vocabularySize: 11, dModel: 8, heads: 2, layers: 1 };
  test.each([
    ["three-way", 1],
    ["two-way", 2],
    ["none", 3],
  ] as const)("%s leaves %i tables", (tying, tables) => {
    const named = namedParameters(new Transformer({ ...small, tying }));
    expect([...named.keys()].filter((name) => name.endsWith("table"))).toHaveLength(tables);
  });

  test("three-way with two vocabularies is refused", () => {
    expect(() => new Transformer({ ...small, vocabularySize: { source: 11, target: 12 }, tying: "three-way" })).toThrow(
      /three-way tying needs one vocabulary/,
    );
  });
});

test("pre-norm adds a final norm to each stack and nothing else", () => {
  const options = { vocabularySize: 11, dModel: 8, heads: 2, layers: 1 } as const;
  const post = [...namedParameters(new Transformer(options)).keys()];
  const pre = [...namedParameters(new Transformer({ ...options, norm: "pre" })).keys()];
  expect(pre.filter((name) => !post.includes(name))).toEqual([
    "encoder.finalNorm.scale",
    "encoder.finalNorm.shift",
    "decoder.finalNorm.scale",
    "decoder.finalNorm.shift",
  ]);
  expect(post.filter((name) => !pre.includes(name))).toEqual([]);
});
