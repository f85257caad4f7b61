// What a configuration of a model that writes all places at once may say, and what is refused.
import { describe, expect, test } from "vitest";
import { readConfig, writeConfig } from "../../src/base/config-text.ts";
import { translationConfig, type TranslationConfig } from "../../src/tasks/translation-config.ts";

const data = "data: { train: { source: train.en, target: train.de } }\n";

function read(model: string, ...set: string[]): TranslationConfig {
  const text = `${data}model: { architecture: non-autoregressive${model === "" ? "" : `, ${model}`} }\n`;
  return readConfig(translationConfig, text, { place: "nat.yaml", set }).config;
}

test.each([
  ["", { length: "predicted", decoderInput: "start", lengthReach: 50 }],
  ["decoderInput: masked, lengthReach: 9", { length: "predicted", decoderInput: "masked", lengthReach: 9 }],
  ["length: cut-at-end", { length: "cut-at-end", decoderInput: "start", upsampling: 2 }],
  ["length: ctc, upsampling: 3, decoderInput: source", { length: "ctc", decoderInput: "source", upsampling: 3 }],
])("{%s} is completed, and written out it reads the same", (model, expected) => {
  const config = read(model);
  const { length, decoderInput, upsampling, lengthReach } = config.model;
  expect({ length, decoderInput, ...(upsampling && { upsampling }), ...(lengthReach && { lengthReach }) }).toEqual(
    expected,
  );
  const again = readConfig(translationConfig, writeConfig(translationConfig, config), { place: "again.yaml" });
  expect(again.config).toEqual(config);
});

test("other architectures keep their configuration as it was", () => {
  const { config } = readConfig(translationConfig, data, { place: "plain.yaml" });
  for (const key of ["length", "decoderInput", "upsampling", "lengthReach"])
    expect(config.model).not.toHaveProperty(key);
});

describe("what has no effect, or cannot be had, is refused", () => {
  const cases: [model: string, set: string[], expected: string][] = [
    [
      "length: ctc, decoderInput: masked",
      [],
      "model.decoderInput masked needs places that keep their meaning between passes",
    ],
    ["upsampling: 3", [], "model.upsampling has no effect with length predicted. Remove it"],
    ["length: ctc, lengthReach: 3", [], "model.lengthReach has no effect with length ctc. Remove it"],
    ["attention: {encoder: full, decoder: mamba}", [], "it only looks back, and this stack reads in both directions"],
    [
      "",
      ["model.architecture=transformer", "model.length=ctc"],
      "model.length has no effect with architecture transformer",
    ],
    ["", ["model.architecture=lstm", "model.length=ctc"], "model.length has no effect with architecture lstm"],
    ["", ["decoding.beams=2"], "decoding.beams has no effect with model.architecture non-autoregressive. Remove it"],
    [
      "",
      ["decoding.lengthPenalty=2"],
      "decoding.lengthPenalty has no effect with model.architecture non-autoregressive",
    ],
    ["", ["decoding.iterations=2"], "decoding.iterations has no effect with model.decoderInput start"],
    ["length: ctc", ["decoding.lengthCandidates=2"], "decoding.lengthCandidates has no effect with model.length ctc"],
    [
      "length: cut-at-end",
      ["decoding.lengthFactor=2"],
      "decoding.lengthFactor has no effect with model.length cut-at-end",
    ],
    ["", ["decoding.nbest=2"], "decoding.nbest must not exceed lengthCandidates (got 2 and 1)"],
    [
      "length: ctc",
      ["training.labelSmoothing=0.1"],
      "training.labelSmoothing has no effect with model.length ctc. Set it to 0",
    ],
    [
      "length: ctc",
      ["decoding.mergeRepeats=true"],
      "decoding.mergeRepeats has no effect with model.length ctc, which makes runs one as it is read",
    ],
    [
      "length: ctc",
      ["training.glancing=0.5"],
      "training.glancing has no effect with model.length ctc, whose places stand for no token beforehand. Set it to 0",
    ],
    [
      "decoderInput: masked",
      ["training.glancing=0.5"],
      "training.glancing has no effect with model.decoderInput masked, which is shown tokens already. Set it to 0",
    ],
    [
      "length: ctc, maxPositions: 256",
      [],
      "training.maxSourceTokens needs blocks of 520 places, and model.maxPositions is 256. Lower it to 124",
    ],
  ];
  test.each(cases)("{%s} %j", (model, set, expected) => {
    expect(() => read(model, ...set)).toThrow(expected);
  });

  test("and so are its keys where tokens are written one after the other", () => {
    expect(() =>
      readConfig(translationConfig, data, { place: "plain.yaml", set: ["decoding.lengthCandidates=3"] }),
    ).toThrow("decoding.lengthCandidates has no effect with model.architecture transformer. Remove it");
  });
});
