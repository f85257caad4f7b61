import { describe, expect, test } from "vitest";
import { readConfig, writeConfig } from "../../src/base/config-text.ts";
import { describeConfig } from "../../src/base/config.ts";
import {
  mapPaths,
  translationConfig,
  translationJsonSchema,
  type TranslationConfig,
} from "../../src/tasks/translation-config.ts";

const least = "data: { train: { source: train.en, target: train.de } }\n";

function read(text: string, set: string[] = []): TranslationConfig {
  return readConfig(translationConfig, text, { place: "en-de.yaml", set }).config;
}

test("two file names are a whole configuration, and writing it out loses nothing", () => {
  const config = read(least);
  expect(read(writeConfig(translationConfig, config))).toEqual(config);
  expect(config.model.dModel).toBe(256);
});

test.each([
  [
    "bpe",
    [],
    {
      vocabularySize: 8000,
      byteFallback: true,
      characterCoverage: 0.9999,
      splitPunctuation: true,
      minimumFrequency: 2,
      dropout: 0,
    },
  ],
  [
    "bpe",
    ["tokenizer.merges=10"],
    {
      merges: 10,
      byteFallback: true,
      characterCoverage: 0.9999,
      splitPunctuation: true,
      minimumFrequency: 2,
      dropout: 0,
    },
  ],
  ["character", [], { byteFallback: false }],
  ["word", [], { splitPunctuation: true, minimumFrequency: 1 }],
] as const)("a tokenizer of type %s %j is completed with what that type knows", (type, set, expected) => {
  expect(read(least, [`tokenizer.type=${type}`, ...set]).tokenizer).toEqual({
    type,
    joint: true,
    specialTokens: [],
    ...expected,
  });
});

test("every option has a help line", () => {
  expect(describeConfig(translationConfig).filter(({ help }) => help === "")).toEqual([]);
});

test("the JSON Schema asks for data alone", () => {
  expect(translationJsonSchema()).toMatchObject({ required: ["data"], additionalProperties: false });
});

test("data is pairs in files or pairs from a generator, and never nothing", () => {
  expect(read("data: { generator: dates, trainPairs: 50 }").data).toEqual({
    generator: "dates",
    seed: 1,
    trainPairs: 50,
    validationPairs: 1000,
    testPairs: 2000,
  });
  expect(() => read("data: {}")).toThrow(
    "en-de.yaml:1:1: data.train is missing: the source and the target of the pairs to learn from",
  );
});

describe("options that do not go together are refused", () => {
  const cases: [set: string[], expected: string][] = [
    [["model.heads=7", "model.dModel=512"], "--set model.heads=7: model.heads must divide dModel (got 7 and 512)"],
    [
      ["model.dModel=5", "model.heads=1"],
      "--set model.dModel=5: model.dModel must be even for sinusoidal positions (got 5)",
    ],
    [["data.seed=3"], "--set data.seed=3: data.seed has no effect without data.generator. Remove one of them"],
    [["data.generator=dates"], "en-de.yaml:1:9: data.train has no effect with data.generator. Remove one of them"],
    [
      ["tokenizer.joint=false"],
      "en-de.yaml: model.tying three-way needs tokenizer.joint true. Use two-way, or one vocabulary",
    ],
    [
      ["tokenizer.type=word", "tokenizer.dropout=0.1"],
      "--set tokenizer.dropout=0.1: tokenizer.dropout has no effect with type word. Remove it",
    ],
    [
      ["tokenizer.type=character", "tokenizer.merges=5"],
      "--set tokenizer.merges=5: tokenizer.merges has no effect with type character. Remove it",
    ],
    [
      ["tokenizer.vocabularySize=99", "tokenizer.merges=5"],
      "--set tokenizer.merges=5: tokenizer.merges and tokenizer.vocabularySize both say when to stop. Give one of them",
    ],
    [["data.train.source=3"], "--set data.train.source=3: data.train.source must be text with format parallel (got 3)"],
    [
      ["data.train.source=[a]"],
      '--set data.train.source=[a]: data.train.source must be text or whole number ≥ 0 (got ["a"]).',
    ],
    [
      ["training.weightDecay=0.1"],
      "--set training.weightDecay=0.1: training.weightDecay has no effect with optimizer adam. Use adamw",
    ],
    [
      ["training.averageCheckpoints=9"],
      "--set training.averageCheckpoints=9: training.keepCheckpoints must not be below averageCheckpoints (got 3 and 9)",
    ],
    [["training.patience=9"], "--set training.patience=9: training.patience needs data.validation to watch"],
    [["decoding.nbest=9"], "--set decoding.nbest=9: decoding.nbest must not exceed beams (got 9 and 5)"],
    [
      ["decoding.minLength=300"],
      "--set decoding.minLength=300: decoding.minLength must not exceed maxLength (got 300 and 256)",
    ],
    [["data.train.format=tsv"], "en-de.yaml:1:9: data.train.file is missing: format tsv reads one file"],
    [
      ["data.train.file=x"],
      "--set data.train.file=x: data.train.file has no effect with format parallel. Set format to tsv or jsonl",
    ],
    [
      ["data.train.checksums.source=ab"],
      '--set data.train.checksums.source=ab: data.train.checksums.source must be 64 hexadecimal digits (got "ab").',
    ],
  ];
  test.each(cases)("%j", (set, expected) => {
    expect(() => read(least, set)).toThrow(expected);
  });
});

test("file paths are mapped with the key that names them; columns and fields are left alone", () => {
  const config = read(
    "tokenizer: { path: t.json }\n" +
      "data:\n  train: { source: a, target: b }\n  validation: { format: tsv, file: c.tsv, source: en, target: de }\n",
  );
  const mapped = mapPaths(config, (path, key) => `${key.join(".")}=${path}`);
  expect(mapped.tokenizer.path).toBe("tokenizer.path=t.json");
  expect(mapped.data).toEqual({
    train: { format: "parallel", source: "data.train.source=a", target: "data.train.target=b" },
    validation: { format: "tsv", file: "data.validation.file=c.tsv", source: "en", target: "de" },
  });
});
