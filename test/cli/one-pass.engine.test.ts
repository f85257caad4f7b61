// The commands on a run whose model writes all places at once.
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { writeSafetensors } from "../../src/formats/index.node.ts";
import { NonAutoregressiveTransformer } from "../../src/models/index.ts";
import { initialize, namedParameters } from "../../src/nn/index.ts";
import { openTranslation } from "../../src/tasks/index.node.ts";
import { saveTokenizer } from "../../src/text/index.node.ts";
import { call, tinyRun, tokenizer, type TinyRun } from "./tiny-run.ts";

const lines = ["red blue", "street", "", "one two one"];
let folder: string;
let model: string[];
let teacher: TinyRun;

beforeAll(async () => {
  teacher = await tinyRun();
  folder = await mkdtemp(join(tmpdir(), "heddle-run-"));
  const options = {
    dModel: 8,
    heads: 2,
    layers: 1,
    dFeedForward: 8,
    tying: "two-way",
    decoderInput: "masked",
  } as const;
  const { vocabularySize, special } = tokenizer;
  const { pad, start, end } = special;
  const config = {
    model: { architecture: "non-autoregressive", ...options },
    tokenizer: { type: "word", joint: true },
    data: { train: { source: "train.en", target: "train.de" } },
  };
  await writeFile(join(folder, "config.yaml"), JSON.stringify(config));
  await saveTokenizer(join(folder, "tokenizer.json"), tokenizer);
  const made = new NonAutoregressiveTransformer({ ...options, vocabularySize, pad, start, end });
  const checkpoint = join(folder, "model.safetensors");
  await writeSafetensors(checkpoint, initialize(namedParameters(made), 1));
  model = ["--model", folder, "--checkpoint", checkpoint];
});
afterAll(async () => {
  for (const each of [folder, teacher.folder]) await rm(each, { recursive: true });
});

async function generate(...flags: string[]): ReturnType<typeof call> {
  const stdin = vi.spyOn(process, "stdin", "get");
  stdin.mockReturnValue(Readable.from([Buffer.from(lines.map((line) => `${line}\n`).join(""))]) as never);
  try {
    return await call("generate", ...model, ...flags);
  } finally {
    stdin.mockRestore();
  }
}

interface Answer {
  readonly source: string;
  readonly translations: readonly { readonly text: string; readonly score: number }[];
}

const answersOf = (out: string): Answer[] =>
  out
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Answer);

test("generate gives every line its candidates, best first, in one pass or in several", async () => {
  for (const iterations of ["1", "3"]) {
    const { code, out } = await generate(
      "--json",
      "--length-candidates",
      "3",
      "--nbest",
      "3",
      "--iterations",
      iterations,
    );
    expect(code).toBe(0);
    const answers = answersOf(out);
    expect(answers.map(({ source }) => source)).toEqual(lines);
    for (const { source, translations } of answers) {
      expect(translations).toHaveLength(source === "" ? 1 : 3);
      const scores = translations.map(({ score }) => score);
      expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    }
  }
});

test("a teacher that writes token by token chooses among the candidates", async () => {
  const wide = ["--json", "--length-candidates", "4"];
  const all = answersOf((await generate(...wide, "--nbest", "4")).out);
  const chosen = answersOf((await generate(...wide, "--rerank-model", teacher.folder, "--rerank-weight", "1e6")).out);
  await using judge = await openTranslation(teacher.folder, { session: { threads: 1 } });
  for (const [i, { source, translations }] of all.entries()) {
    if (source === "") continue;
    const texts = translations.map(({ text }) => text);
    const opinions = await judge.score(
      texts.map(() => source),
      texts,
    );
    const best = opinions.toSorted((a, b) => b.score - a.score)[0]!;
    expect(chosen[i]!.translations.map(({ text }) => text)).toEqual([best.text]);
  }
});

test("evaluate says how many lengths the model foretells to within two tokens", async () => {
  await using translation = await openTranslation(folder, { checkpoint: model[3]!, session: { threads: 1 } });
  const asked = lines.filter((line) => line !== "");
  const predicted = (await translation.predictedLengths(asked))!;
  for (const [i, line] of asked.entries()) expect(await translation.predictedLengths([line])).toEqual([predicted[i]]);
  const [source, reference] = [join(folder, "test.en"), join(folder, "test.de")];
  await writeFile(source, lines.map((line) => `${line}\n`).join(""));
  for (const [miss, share] of [
    [-2, 1],
    [2, 1],
    [3, 0],
  ] as const) {
    const texts = lines.map((line) =>
      line === "" ? "" : Array.from({ length: Math.max(1, predicted[asked.indexOf(line)]! + miss) - 1 }, () => "red"),
    );
    await writeFile(reference, texts.map((words) => `${words === "" ? "" : words.join(" ")}\n`).join(""));
    const { out } = await call("evaluate", ...model, "--source", source, "--reference", reference, "--json");
    expect(JSON.parse(out)).toMatchObject({ lengthWithinTwo: share });
    const { out: words } = await call("evaluate", ...model, "--source", source, "--reference", reference);
    expect(words).toContain(`, lengths within two tokens = ${share * 100}.00 %`);
  }
  await using other = await openTranslation(teacher.folder, { checkpoint: teacher.checkpoint });
  expect(await other.predictedLengths(["red"])).toBeUndefined();
});

test.each([
  [["--beams", "3"], "decoding.beams: has no effect with this model, which writes all places at once. Leave it out."],
  [["--nbest", "2"], "nbest: must not exceed lengthCandidates (got 2 and 1)"],
])("%j is refused", async (flags, message) => {
  const { code, error } = await generate(...flags);
  expect([code, error]).toEqual([2, expect.stringContaining(message) as string]);
});

test("its options are refused on a run that writes token by token, before anything is written", async () => {
  const output = join(folder, "none.jsonl");
  const words = ["--model", teacher.folder, "--output", output, "--length-candidates", "2"];
  const data = join(folder, "lines.txt");
  await writeFile(data, "red\n");
  const { code, error } = await call("distill", ...words, "--data", data);
  expect([code, error]).toEqual([
    2,
    "heddle: decoding.lengthCandidates: has no effect with this model, which writes token after token. Leave it out.\n",
  ]);
  expect(existsSync(output)).toBe(false);
});

test("inspect counts no cache, as nothing is kept from token to token", async () => {
  const { code, out } = await call("inspect", ...model, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    cacheBytesPerToken: 0,
    options: { length: "predicted", decoderInput: "masked" },
  });
});
