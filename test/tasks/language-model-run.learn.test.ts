// Runs on plain text in folders: begun, broken off, resumed, opened, and used from the command line.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Listener } from "../../src/base/index.ts";
import { openRun, trainRun, type OpenedRun } from "../../src/tasks/index.node.ts";
import { mapTaskPaths, readTaskConfig, type TaskConfig } from "../../src/tasks/task-config.ts";
import { call } from "../cli/tiny-run.ts";

let folder = "";
const lines = Array.from(
  { length: 60 },
  (_, i) => `line ${i}: the ${i % 3 ? "fly" : "flea"} in the ${i % 4 ? "flue" : "flaw"}`,
);
const sizes = "dModel: 16, heads: 2, layers: 1, dFeedForward: 16, maxPositions: 64";
const training =
  "steps: 14, contextTokens: 32, batchTokens: 128, warmup: 4, learningRate: 0.01, validateEvery: 4, logEvery: 2, threads: 1";
const recipes = {
  "language-model": `{ task: language-model, model: { ${sizes}, dropout: 0.1 }, tokenizer: { type: character },
    data: { train: { files: train.txt.gz }, validation: { files: held.txt }, test: { files: held.txt } },
    training: { ${training}, averageCheckpoints: 2 }, decoding: { maxTokens: 12 } }`,
  "masked-language-model": `{ task: masked-language-model, model: { ${sizes}, dropout: 0.1 }, tokenizer: { type: word },
    data: { train: { files: train.txt.gz }, validation: { files: held.txt } }, training: { ${training} } }`,
};
type Task = keyof typeof recipes;

function configOf(task: Task, set: string[] = []): TaskConfig {
  const { config } = readTaskConfig(recipes[task], { place: "recipe.yaml", set });
  return mapTaskPaths(config, (path) => join(folder, path));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-text-runs-"));
  const { gzipSync } = await import("node:zlib");
  await writeFile(join(folder, "train.txt.gz"), gzipSync(`${lines.slice(0, 50).join("\n")}\n`));
  await writeFile(join(folder, "held.txt"), `${lines.slice(50).join("\n")}\n`);
});
afterAll(() => rm(folder, { recursive: true }));

/** What a run leaves behind that time and machine have no part in. */
async function outcome(run: string): Promise<object> {
  const metrics = (await readFile(join(run, "metrics.jsonl"), "utf8"))
    .replace(/"(seconds|tokensPerSecond)":[^,}]*/g, '"$1":0')
    .trim()
    .split("\n");
  return { weights: await readFile(join(run, "model.safetensors")), metrics };
}

/** Does something when a run comes to a step. */
const at =
  (step: number, act: () => void): Listener =>
  (event) => {
    if (event.type === "progress" && event.task === "training" && event.done === step) act();
  };

describe.each(Object.keys(recipes) as Task[])("a run of task %s", (task) => {
  const whole = (): string => join(folder, `${task}-whole`);

  beforeAll(() => trainRun(configOf(task), { directory: whole() }));

  test("keeps its configuration, its vocabulary, and figures that fall", async () => {
    const { metrics } = (await outcome(whole())) as { metrics: string[] };
    const validations = metrics.map((line) => JSON.parse(line)).filter(({ kind }) => kind === "validation");
    expect(validations.map(({ step }) => step)).toEqual([4, 8, 12, 14]);
    const { loss, perplexity, bitsPerByte } = validations.at(-1);
    expect(perplexity).toBeCloseTo(Math.exp(loss), 6);
    expect(loss).toBeLessThan(validations[0].loss);
    expect(bitsPerByte === undefined).toBe(task === "masked-language-model");
    expect(await readFile(join(whole(), "config.yaml"), "utf8")).toContain(`task: ${task}`);
  });

  test("stopped and resumed, ends bit for bit as in one piece", async () => {
    const directory = join(folder, `${task}-stopped`);
    const stop = new AbortController();
    const first = await trainRun(configOf(task), { directory, stop: stop.signal, listener: at(7, () => stop.abort()) });
    expect(first).toMatchObject({ reason: "stopped", state: { step: 7 } });
    await trainRun(configOf(task), { directory });
    expect(await outcome(directory)).toEqual(await outcome(whole()));
  });

  test("broken off between checkpoints and begun again, ends bit for bit as in one piece", async () => {
    const directory = join(folder, `${task}-broken`);
    const broken = trainRun(configOf(task), {
      directory,
      listener: at(11, () => {
        throw new Error("the power is out");
      }),
    });
    await expect(broken).rejects.toThrow("the power is out");
    await trainRun(configOf(task), { directory });
    expect(await outcome(directory)).toEqual(await outcome(whole()));
  });

  test("is not gone on with as another run", async () => {
    await expect(trainRun(configOf(task, ["training.seed=2"]), { directory: whole() })).rejects.toThrow(
      "this run was begun with training.seed 1, got 2",
    );
    const other = task === "language-model" ? "masked-language-model" : "language-model";
    await expect(trainRun(configOf(other), { directory: whole() })).rejects.toThrow(
      `this run was begun with task "${task}", got "${other}"`,
    );
  });

  test("is opened by its folder alone", async () => {
    const opened: OpenedRun = await openRun(whole(), { session: { threads: 1 } });
    expect(opened.task).toBe(task);
    await opened.run.dispose();
  });

  test("is inspected: parameters by part, and what a token costs", async () => {
    const { code, out } = await call("inspect", "--model", whole(), "--json");
    expect(code).toBe(0);
    const { parameters, options, cacheBytesPerToken, task: told } = JSON.parse(out);
    expect(told).toBe(task);
    expect(options).toMatchObject({ dModel: 16, layers: 1 });
    expect(parameters).toBeGreaterThan(1000);
    // Keys and values of one layer, 16 floats each.
    expect(cacheBytesPerToken).toBe(task === "language-model" ? 2 * 16 * 4 : 0);
  });
});

test("an adapter is trained on a language model, which stays as it is, and saved by itself", async () => {
  const base = join(folder, "language-model-whole");
  const directory = join(folder, "adapted");
  const config = configOf("language-model", ["model.adapter={kind: lora, rank: 2, targets: [query, value]}"]);
  await expect(trainRun(config, { directory })).rejects.toThrow("Say which: --warm-start RUN");
  await trainRun(config, { directory, warmStartFrom: base });
  const [before, after] = await Promise.all([base, directory].map((run) => openRun(run)));
  for (const [name, { data }] of before!.run.weights) expect(after!.run.weights.get(name)!.data).toEqual(data);
  expect(after!.run.weights.size).toBeGreaterThan(before!.run.weights.size);
  const output = join(folder, "adapter");
  const { code } = await call("adapter", "save", "--model", directory, "--output", output);
  expect(code).toBe(0);
  const put = await openRun(base, { adapter: output });
  for (const [name, { data }] of after!.run.weights) expect(put.run.weights.get(name)?.data, name).toEqual(data);
  expect(put.run.weights.size).toBe(after!.run.weights.size);
});

/** Calls heddle generate with these lines on standard input. */
async function generate(input: string, ...words: string[]): Promise<{ code: number; out: string; error: string }> {
  const stdin = Readable.from([Buffer.from(input)]);
  const spy = vi.spyOn(process, "stdin", "get").mockReturnValue(stdin as typeof process.stdin);
  let out = "";
  const write = vi.spyOn(process.stdout, "write").mockImplementation(((text: string, done?: () => void) => {
    out += text;
    done?.();
    return true;
  }) as typeof process.stdout.write);
  try {
    const { run } = await import("../../src/cli/program.ts");
    let error = "";
    const code = await run(["generate", ...words], { writeError: (text) => void (error += text) });
    return { code, out, error };
  } finally {
    spy.mockRestore();
    write.mockRestore();
  }
}

describe("on the command line", () => {
  const model = (task: Task): string[] => ["--model", join(folder, `${task}-whole`)];

  test("generate prints each prompt with what follows, the same for the same seed", async () => {
    const drawn = [...model("language-model"), "--seed", "5", "--top-k", "4", "--max-length", "3", "--json"];
    const first = await generate("line 1\nline 2\n", ...drawn);
    expect(first).toMatchObject({ code: 0, error: "" });
    const completions = first.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(completions.map(({ prompt }) => prompt)).toEqual(["line 1", "line 2"]);
    expect(await generate("line 1\nline 2\n", ...drawn)).toEqual(first);
    const plain = await generate("line 1\n", ...drawn.filter((word) => word !== "--json"));
    expect(plain.out).toBe(`line 1${completions[0].continuation}\n`);
  });

  test("generate fills masks with a masked language model", async () => {
    const words = [...model("masked-language-model"), "--json", "--candidates", "2"];
    const { code, out } = await generate("the <mask> in the flue\n", ...words);
    expect(code).toBe(0);
    const { source, text, masks } = JSON.parse(out);
    expect(source).toBe("the <mask> in the flue");
    expect(text).not.toContain("<mask>");
    expect(masks[0]).toHaveLength(2);
  });

  test.each([
    [
      "language-model",
      "--rerank-model",
      "--rerank-model: has no effect on a run of task language-model. Leave it out.",
    ],
    [
      "language-model",
      "--length-candidates",
      "--length-candidates: has no effect on a run of task language-model. Leave it out.",
    ],
    [
      "masked-language-model",
      "--top-k",
      "--top-k: has no effect on a run of task masked-language-model. Leave it out.",
    ],
  ] as const)("generate refuses what has no effect on %s: %s", async (task, flag, message) => {
    expect(await generate("a\n", ...model(task), flag, "2")).toMatchObject({ code: 2, error: `heddle: ${message}\n` });
  });

  test("evaluate says how the test text is foretold: the same figures as the last validation of the same text", async () => {
    const best = join(folder, "language-model-whole", "checkpoints", "step-00000014");
    const { code, out } = await call("evaluate", ...model("language-model"), "--checkpoint", best, "--json");
    expect(code).toBe(0);
    const { loss, bitsPerByte, bytes } = JSON.parse(out);
    expect(bytes).toBe((await readFile(join(folder, "held.txt"))).length);
    const { metrics } = (await outcome(join(folder, "language-model-whole"))) as { metrics: string[] };
    const validated = JSON.parse(metrics.findLast((line) => line.includes('"validation"'))!);
    expect(loss).toBeCloseTo(validated.loss, 6);
    expect(bitsPerByte).toBeCloseTo(validated.bitsPerByte, 6);
  });

  test("evaluate wants a text where the configuration names none", async () => {
    const words = model("masked-language-model");
    const { code, error } = await call("evaluate", ...words);
    expect(code).toBe(2);
    expect(error).toContain("its configuration has no data.test. Name a text with --source.");
    const { out } = await call("evaluate", ...words, "--source", join(folder, "held.txt"));
    expect(out).toMatch(/^tokens \d+\nloss [\d.]+\nperplexity [\d.]+\n$/);
  });

  test("evaluate of a language model refuses what belongs to translations", async () => {
    const { error } = await call("evaluate", ...model("language-model"), "--reference", "a.txt");
    expect(error).toBe("heddle: --reference: has no effect on a run of task language-model. Leave it out.\n");
  });

  test("neighbours reads the one table of embeddings", async () => {
    const { code, out } = await call("neighbours", "fly", ...model("masked-language-model"), "--count", "2", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)[0].neighbours).toHaveLength(2);
  });

  test("bench, which translates, says what is wanted", async () => {
    const { code, error } = await call("bench", ...model("language-model"));
    expect(code).toBe(2);
    expect(error).toContain("is a run of task language-model, and one of task translation is wanted here.");
  });
});
