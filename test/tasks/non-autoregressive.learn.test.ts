// Runs whose models write all places at once: trained in a folder on a cipher, opened there, and right nearly always.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConfig } from "../../src/base/config-text.ts";
import { randomKey, RandomStream } from "../../src/base/index.ts";
import { openTranslation, trainTranslation } from "../../src/tasks/index.node.ts";
import { translationConfig } from "../../src/tasks/translation-config.ts";

let folder: string;
let held: [source: string, target: string][];

/** Each letter becomes the next one, and an "a" two: the length has to be learnt, and every place depends on those before. */
function cipher(source: string): string {
  return [...source].map((letter) => (letter === "a" ? "zy" : String.fromCharCode(letter.charCodeAt(0) + 8))).join("");
}

function pairs(count: number, seed: number): [string, string][] {
  const random = new RandomStream(randomKey(seed));
  return Array.from({ length: count }, () => {
    const source = Array.from({ length: 3 + random.integer(4) }, () => "abcdef"[random.integer(6)]!).join("");
    return [source, cipher(source)];
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-one-pass-"));
  held = pairs(100, 2);
  const lines = (made: readonly (readonly string[])[]): string => made.map((pair) => `${pair.join("\t")}\n`).join("");
  await writeFile(join(folder, "train.tsv"), lines(pairs(4000, 1)));
  await writeFile(join(folder, "held.tsv"), lines(held.slice(0, 20)));
});

afterAll(() => rm(folder, { recursive: true }));

const cases: readonly (readonly [model: string, decoding: string])[] = [
  ["length: predicted", "lengthCandidates: 1"],
  ["length: predicted, decoderInput: source", "lengthCandidates: 3"],
  ["length: predicted, decoderInput: masked", "iterations: 3, lengthCandidates: 2"],
  ["length: cut-at-end", "nbest: 1"],
  ["length: ctc, decoderInput: source", "nbest: 1"],
];

test.each(cases)("%s: learns a cipher, and what is opened translates as what was trained", async (model, decoding) => {
  const { config } = readConfig(
    translationConfig,
    `
model: { architecture: non-autoregressive, ${model}, dModel: 48, heads: 4, layers: 2, dFeedForward: 96, dropout: 0 }
data:
  train: { format: tsv, file: "${folder}/train.tsv", source: 0, target: 1 }
  validation: { format: tsv, file: "${folder}/held.tsv", source: 0, target: 1 }
tokenizer: { type: character }
training: { steps: 700, batchTokens: 500, warmup: 100, learningRate: 0.004, schedule: linear, validateEvery: 350, threads: 1, clip: 1 }
decoding: { maxLength: 32, ${decoding} }
`,
    { place: "cipher.yaml" },
  );
  const directory = await mkdtemp(join(folder, "run-"));
  const { translation, result } = await trainTranslation(config, { directory });
  expect(result.reason).toBe("finished");
  const sources = held.map(([source]) => source);
  const before = await translation.translate(sources);
  await translation.dispose();
  await using opened = await openTranslation(directory, { session: { threads: 1 } });
  const after = await opened.translate(sources);
  expect(after).toEqual(before);
  const right = after.filter((text, i) => text === held[i]![1]).length;
  expect(right).toBeGreaterThanOrEqual(90);
  if (config.model.length !== "ctc" && config.model.decoderInput !== "masked") {
    const merged = await opened.translate(sources, { mergeRepeats: true });
    expect(merged).toEqual(after.map((text) => text.replace(/(.)\1+/g, "$1")));
  }
  if (config.model.length !== "predicted") return;
  const metrics = (await readFile(join(directory, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
  const validation = JSON.parse(metrics.findLast((line) => line.includes('"validation"'))!) as {
    lengthWithinTwo: number;
  };
  expect(validation.lengthWithinTwo).toBeGreaterThan(0.99);
  // Asked for a fifth more, END counted, that is what comes.
  const longer = await opened.translate(sources, { lengthFactor: 1.2, lengthCandidates: 1 });
  const plain = await opened.translate(sources, { lengthCandidates: 1 });
  const asked = plain.map((text) => Math.round(1.2 * (text.length + 1)) - 1);
  expect(longer.filter((text, i) => text.length === asked[i]).length).toBeGreaterThanOrEqual(80);
});
