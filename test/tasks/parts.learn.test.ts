// Parts that a configuration names, from the file to the translation: trained, kept in a folder, opened, used.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readConfig } from "../../src/base/config-text.ts";
import { saveAdapter, loadAdapter } from "../../src/hub/index.node.ts";
import { adapterOptions, isAdapterParameter } from "../../src/nn/index.ts";
import { openTranslation, trainTranslation } from "../../src/tasks/index.node.ts";
import { translationConfig, type TranslationConfig } from "../../src/tasks/translation-config.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-parts-"));
});

afterAll(() => rm(folder, { recursive: true }));

const sizes = "dModel: 16, heads: 2, layers: 1, dFeedForward: 16, dropout: 0";

function configOf(model: string, { steps = 12 }: { steps?: number } = {}): TranslationConfig {
  return readConfig(
    translationConfig,
    `
model: { ${model} }
data: { generator: dates, trainPairs: 200, validationPairs: 20, testPairs: 20 }
tokenizer: { type: character }
training: { steps: ${steps}, batchTokens: 600, warmup: 4, learningRate: 0.01, validateEvery: ${steps}, threads: 1 }
decoding: { beams: 2, maxLength: 16 }
`,
    { place: "parts.yaml" },
  ).config;
}

const line = "3 May 2021";

describe("a configuration of parts", () => {
  const models = [
    `${sizes}, positions: rotary, keyValueHeads: 1, normKind: rms, norm: pre, feedForward: swiglu`,
    `${sizes}, positions: {kind: relative, buckets: 8}, attention: {kind: sliding-window, window: 4}, norm: deep`,
    `${sizes}, attention: {encoder: linear, decoder: mamba}, memory: mixture, embeddingDropout: 0.1, layerDrop: 0.1`,
    `${sizes}, feedForward: {kind: experts, experts: 2}, normKind: {encoder: batch, decoder: layer}, positions: none`,
    "architecture: lstm, dModel: 16, layers: 1, dropout: 0",
    "architecture: lstm-without-attention, dModel: 16, layers: 1, dropout: 0",
  ];
  test.each(models)("%s: trains in a folder, and what is opened there translates alike", async (model) => {
    const directory = await mkdtemp(join(folder, "run-"));
    const { translation, result } = await trainTranslation(configOf(model), { directory });
    expect(result.reason).toBe("finished");
    const before = await translation.generate([line, "5.1.1999"], { nbest: 2 });
    await translation.dispose();
    await using opened = await openTranslation(directory, { session: { threads: 1 } });
    expect(await opened.generate([line, "5.1.1999"], { nbest: 2 })).toEqual(before);
  });
});

test("an adapter is trained on a base, which stays as it is; saved by itself, put on, and swapped while translating", async () => {
  const [base, first, second] = [join(folder, "base"), join(folder, "first"), join(folder, "second")];
  await (await trainTranslation(configOf(sizes), { directory: base })).translation.dispose();
  const adapted = configOf(`${sizes}, adapter: {kind: lora, rank: 2, targets: [query, value]}`, { steps: 20 });
  await expect(trainTranslation(adapted, { directory: first })).rejects.toThrow(
    "model.adapter: adds to a model that is trained already, and none is given. Say which: --warm-start RUN",
  );
  const trained = async (directory: string, seed: number) => {
    const config = { ...adapted, training: { ...adapted.training, seed } };
    const { translation } = await trainTranslation(config, { directory, warmStartFrom: base });
    const { weights, model } = translation;
    await saveAdapter(join(folder, `adapter-${seed}`), { options: adapterOptions(model)!, values: weights });
    const scores = await translation.generate([line], { nbest: 2 });
    await translation.dispose();
    return { weights, scores };
  };
  const one = await trained(first, 1);
  const two = await trained(second, 2);
  expect(one.scores).not.toEqual(two.scores);

  await using translation = await openTranslation(base, {
    adapter: join(folder, "adapter-1"),
    session: { threads: 1 },
  });
  const plain = new Map([...translation.weights].filter(([name]) => !isAdapterParameter(name)));
  for (const [name, { data }] of plain) expect(one.weights.get(name)!.data).toEqual(data);
  expect(await translation.generate([line], { nbest: 2 })).toEqual(one.scores);
  translation.swapAdapter(await loadAdapter(join(folder, "adapter-2"), translation.model));
  expect(await translation.generate([line], { nbest: 2 })).toEqual(two.scores);
});

test("word vectors stand in the embeddings from the start, and frozen ones stay", async () => {
  const letters = [..."0123456789abcdefghijklmnopqrstuvwxyz"];
  const file = join(folder, "vectors.txt");
  const numbers = (i: number): string =>
    Array.from({ length: 16 }, (_, j) => Math.sin(i * 16 + j).toFixed(4)).join(" ");
  await writeFile(file, `${letters.length} 16\n${letters.map((letter, i) => `${letter} ${numbers(i)}`).join("\n")}\n`);
  const directory = join(folder, "vectors");
  const messages: string[] = [];
  const config = configOf(`${sizes}, embeddings: {source: "${file}", frozen: true}`);
  const { translation } = await trainTranslation(config, {
    directory,
    listener: (event) => void (event.type === "log" && messages.push(event.message)),
  });
  expect(messages.some((message) => /vectors\.txt: source embeddings, .*coverage/.test(message))).toBe(true);
  const id = translation.source.encode("7")[0]!;
  const table = translation.weights.get("source.embedding.table")!;
  const row = [...table.data.subarray(id * 16, (id + 1) * 16)];
  const given = numbers(7).split(" ").map(Number);
  // All vectors are scaled by one factor: the direction is the file's.
  const cosine =
    row.reduce((sum, value, i) => sum + value * given[i]!, 0) / (Math.hypot(...row) * Math.hypot(...given));
  expect(cosine).toBeGreaterThan(1 - 1e-6);
  await translation.dispose();
});
