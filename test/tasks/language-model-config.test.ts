// Configurations of tasks other than translation: which keys they hold, and what does not go together.
import { describe, expect, test } from "vitest";
import { writeConfig } from "../../src/base/config-text.ts";
import { describeConfig } from "../../src/base/config.ts";
import { mapTaskPaths, readTaskConfig, taskConfigs, type TaskConfig } from "../../src/tasks/task-config.ts";

const least = (task: string): string => `task: ${task}\ndata: { train: { files: books.txt } }\n`;

function read(text: string, set: string[] = []): TaskConfig {
  return readTaskConfig(text, { place: "books.yaml", set }).config;
}

describe.each(["language-model", "masked-language-model"] as const)("a configuration of task %s", (task) => {
  test("needs one file, and writing it out complete loses nothing", () => {
    const config = read(least(task));
    expect(read(writeConfig(taskConfigs[task], config as never))).toEqual(config);
    expect(config).toMatchObject({
      task,
      model: { dModel: 256, positions: "learned", feedForward: "gelu" },
      training: { contextTokens: 256, batchTokens: 4096 },
      data: { train: { files: "books.txt", format: "lines" } },
    });
  });

  test("has a help line for every option", () => {
    expect(describeConfig(taskConfigs[task]).filter(({ help }) => help === "")).toEqual([]);
  });
});

test("a file without a task is of translation, as before", () => {
  expect(read("data: { train: { source: a, target: b } }").task).toBe("translation");
});

test("a task that there is none of is an error that names the nearest", () => {
  expect(() => read(least("langauge-model"))).toThrow(
    'books.yaml:1:1: task must be translation or language-model or masked-language-model (got "langauge-model"). Did you mean language-model?',
  );
});

test.each([
  ["language-model", "gpt-tiny", { dModel: 128, heads: 4, layers: 4, dFeedForward: 512 }],
  ["masked-language-model", "bert-tiny", { dModel: 128, heads: 2, layers: 2, dFeedForward: 512 }],
])("a preset of %s fills in sizes: %s", (task, preset, sizes) => {
  expect(read(least(task), [`model.preset=${preset}`]).model).toMatchObject(sizes);
});

test("a norm on the embeddings is BERT's unless norms come first", () => {
  const of = (...set: string[]): unknown => read(least("masked-language-model"), set).model;
  expect(of()).toMatchObject({ norm: "post", embeddingNorm: true });
  expect(of("model.norm=pre")).toMatchObject({ embeddingNorm: false });
});

describe("is refused", () => {
  const cases: [task: string, set: string[], expected: string][] = [
    ["language-model", ["model.memory=last"], "--set model.memory=last: unknown key model.memory."],
    ["language-model", ["model.encoderLayers=2"], "unknown key model.encoderLayers."],
    ["language-model", ["model.preset=bert-tiny"], 'model.preset must be gpt-tiny or gpt-small (got "bert-tiny").'],
    ["language-model", ["training.maskRate=0.1"], "unknown key training.maskRate."],
    ["language-model", ["tokenizer.joint=false"], "unknown key tokenizer.joint."],
    [
      "language-model",
      ["model.normKind=batch"],
      "model.normKind does not go with the rest: in the decoder, the means of a batch",
    ],
    [
      "masked-language-model",
      ["model.attention=mamba"],
      "model.attention does not go with the rest: in the encoder, it only looks back",
    ],
    ["masked-language-model", ["training.labelSmoothing=0.1"], "unknown key training.labelSmoothing."],
    ["masked-language-model", ["scoring.overlapTokens=1"], "unknown key scoring."],
    ["language-model", ["model.heads=3"], "model.heads must divide dModel (got 3 and 256)"],
    [
      "language-model",
      ["training.contextTokens=2000"],
      "training.contextTokens must not exceed model.maxPositions (got 2000 and 1024)",
    ],
    [
      "language-model",
      ["scoring.contextTokens=2000"],
      "scoring.contextTokens must not exceed model.maxPositions (got 2000 and 1024)",
    ],
    [
      "language-model",
      ["training.batchTokens=100"],
      "training.batchTokens must hold a row of training.contextTokens (got 100 and 256)",
    ],
    ["language-model", ["scoring.overlapTokens=256"], "scoring.overlapTokens must be below the window's contextTokens"],
    ["language-model", ["training.patience=3"], "training.patience needs data.validation to watch"],
    ["language-model", ["decoding.beams=4"], "decoding.beams needs decoding.temperature 0: beam search does not draw"],
    [
      "language-model",
      ["decoding.temperature=0", "decoding.topK=5"],
      "decoding.topK has no effect at temperature 0. Remove it",
    ],
    ["language-model", ["decoding.search=beam", "decoding.topK=5"], "decoding.topK has no effect with search beam"],
    ["language-model", ["decoding.search=sample", "decoding.temperature=0"], "decoding.temperature must be above 0"],
    ["language-model", ["decoding.mbr=bleu"], "unknown key decoding.mbr."],
    ["language-model", ["decoding.maxLengthRatio=2"], "unknown key decoding.maxLengthRatio."],
    [
      "language-model",
      ["data.train.files=[a, b]", `data.train.checksums=["${"0".repeat(64)}"]`],
      "data.train.checksums must be one for each file (got 1 for 2)",
    ],
  ];
  test.each(cases)("%s %j", (task, set, expected) => {
    expect(() => read(least(task), set)).toThrow(expected);
  });
});

test("decoding of language models has the names of translation, and maxTokens is one more for maxLength", () => {
  const of = (...set: string[]): unknown => (read(least("language-model"), set) as { decoding: unknown }).decoding;
  expect(of()).toMatchObject({ maxLength: 200, beams: 1, temperature: 1, nbest: 1 });
  expect(of("decoding.maxTokens=7")).toMatchObject({ maxLength: 7 });
  expect(of("decoding.temperature=0", "decoding.beams=4")).toMatchObject({ beams: 4 });
  expect(of("decoding.search=beam", "decoding.beams=4", "decoding.blockNgram=3")).toMatchObject({ blockNgram: 3 });
});

test("positions without a table may be longer in scoring than in training", () => {
  const set = ["model.positions=rotary", "scoring.contextTokens=4096"];
  expect(read(least("language-model"), set)).toMatchObject({ scoring: { contextTokens: 4096 } });
});

test("file paths are mapped with the key that names them", () => {
  const config = read(
    "task: language-model\ntokenizer: { path: t.json }\ndata: { train: { files: [a, b] }, test: { files: c } }",
  );
  const mapped = mapTaskPaths(config, (path, key) => `${key.join(".")}=${path}`);
  expect(mapped).toMatchObject({
    tokenizer: { path: "tokenizer.path=t.json" },
    data: {
      train: { files: ["data.train.files.0=a", "data.train.files.1=b"] },
      test: { files: ["data.test.files.0=c"] },
    },
  });
});
