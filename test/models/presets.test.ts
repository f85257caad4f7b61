// Models by name have the sizes that their papers give.
import { describe, expect, test } from "vitest";
import { elementCount } from "../../src/base/index.ts";
import {
  bertPresets,
  gptPresets,
  LanguageModel,
  MaskedLanguageModel,
  TextClassifier,
  TextEncoder,
  Transformer,
  transformerPresets,
} from "../../src/models/index.ts";
import { namedParameters, type Module } from "../../src/nn/index.ts";

const count = (model: Module): number =>
  [...namedParameters(model).values()].reduce((total, { shape }) => total + elementCount(shape), 0);

// By hand, d = dModel, f = dFeedForward.
const attention = (d: number): number => 4 * (d * d + d);
const feedForward = (d: number, f: number): number => 2 * d * f + f + d;
const norm = (d: number): number => 2 * d;

describe("encoder-decoders with a joint vocabulary of 37,000, as in Vaswani et al. 2017, section 5.1", () => {
  const byHand = ({ dModel: d, dFeedForward: f, layers }: { dModel: number; dFeedForward: number; layers: number }) =>
    37_000 * d +
    layers * (attention(d) + feedForward(d, f) + 2 * norm(d)) +
    layers * (2 * attention(d) + feedForward(d, f) + 3 * norm(d));

  test.each([
    ["transformer-tiny", 6_061_056],
    // The paper's table 3 rounds to 65 million, 3 % more, and does not say how it counts.
    ["transformer-base", 63_082_496],
    // The paper's table 3: 213 million.
    ["transformer-big", 214_245_376],
  ] as const)("%s has %i parameters", (name, expected) => {
    const sizes = transformerPresets[name];
    expect(byHand(sizes)).toBe(expected);
    expect(count(new Transformer({ vocabularySize: 37_000, ...sizes }))).toBe(expected);
  });

  test("big is within 1 % of the paper's 213 million, base within 3 % of its 65 million", () => {
    expect(Math.abs(214_245_376 / 213e6 - 1)).toBeLessThan(0.01);
    expect(Math.abs(63_082_496 / 65e6 - 1)).toBeLessThan(0.03);
  });
});

describe("encoders with BERT's vocabulary of 30,522, 512 positions and 2 segments", () => {
  const byHand = ({ dModel: d, dFeedForward: f, layers }: { dModel: number; dFeedForward: number; layers: number }) =>
    (30_522 + 512 + 2) * d + norm(d) + layers * (attention(d) + feedForward(d, f) + 2 * norm(d));

  test.each([
    ["bert-tiny", 4_369_408],
    ["bert-mini", 11_104_768],
    ["bert-base", 108_891_648],
  ] as const)("%s has %i parameters", (name, expected) => {
    const sizes = bertPresets[name];
    expect(byHand(sizes)).toBe(expected);
    expect(count(new TextEncoder({ vocabularySize: 30_522, ...sizes }))).toBe(expected);
  });

  test("bert-base with the pooler and without classes is the published bert-base-uncased, 109,482,240", () => {
    const encoder = new TextEncoder({ vocabularySize: 30_522, ...bertPresets["bert-base"] });
    const { output } = new TextClassifier({ encoder, classes: 2 });
    expect(count(new TextClassifier({ encoder, classes: 2 })) - count(output)).toBe(109_482_240);
    // The paper's section 3: 110 million.
    expect(Math.abs(109_482_240 / 110e6 - 1)).toBeLessThan(0.01);
  });

  test("the head for masked tokens adds a layer, a norm and an offset a word: 109,514,298 in all", () => {
    const encoder = new TextEncoder({ vocabularySize: 30_522, ...bertPresets["bert-base"] });
    const head = 768 * 768 + 768 + norm(768) + 30_522;
    expect(108_891_648 + head).toBe(109_514_298);
    expect(count(new MaskedLanguageModel(encoder))).toBe(109_514_298);
  });
});

describe("decoders with GPT-2's vocabulary of 50,257 and 1,024 positions", () => {
  const byHand = ({ dModel: d, dFeedForward: f, layers }: { dModel: number; dFeedForward: number; layers: number }) =>
    (50_257 + 1024) * d + layers * (attention(d) + feedForward(d, f) + 2 * norm(d)) + norm(d);

  test.each([
    ["gpt-tiny", 7_357_312],
    // The smallest published GPT-2 to the last parameter. Radford et al. 2019 say 117 million, which was corrected later.
    ["gpt-small", 124_439_808],
  ] as const)("%s has %i parameters", (name, expected) => {
    const sizes = gptPresets[name];
    expect(byHand(sizes)).toBe(expected);
    expect(count(new LanguageModel({ vocabularySize: 50_257, ...sizes }))).toBe(expected);
  });
});
