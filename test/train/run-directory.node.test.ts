import { readdir, readFile, writeFile, mkdir, appendFile, truncate, cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type HeddleEvent, hostTensor } from "../../src/base/index.ts";
import { openSafetensors } from "../../src/formats/index.node.ts";
import {
  checkpointSteps,
  currentEnvironment,
  latestCheckpoint,
  loadCheckpoint,
  readCheckpoint,
  RunDirectory,
  runWeights,
  train,
  warmStart,
  type RunDirectoryOptions,
  type TrainingResult,
} from "../../src/train/index.node.ts";
import { numberBatches, numberPairs, numberReader, Quadratic } from "./quadratic.ts";
import { temporaryFolder } from "./temporary-folder.ts";

interface SessionOptions extends Partial<RunDirectoryOptions> {
  steps?: number;
  stopAt?: number;
  validate?: (step: number) => number;
  events?: HeddleEvent[];
  learner?: Quadratic;
}

/** One session of a run, as one process would make it: opened, trained, closed. */
async function session(
  path: string,
  { steps = 12, stopAt, validate, events = [], learner = new Quadratic(), ...more }: SessionOptions = {},
) {
  const listener = (event: HeddleEvent): void => void events.push(event);
  using run = await RunDirectory.open({ path, memory: learner.memory, seed: 1, listener, ...more });
  const stop = { aborted: false } as { aborted: boolean } & AbortSignal;
  const result: TrainingResult = await train({
    learner,
    batches: numberBatches(),
    reader: numberReader,
    state: run.state,
    recorder: run,
    steps,
    schedule: (step) => 0.05 / Math.sqrt(step),
    accumulate: 2,
    logEvery: 3,
    saveEvery: 4,
    stop,
    listener: (event) => {
      listener(event);
      stop.aborted ||= event.type === "progress" && event.done === stopAt;
    },
    ...(validate && {
      validation: {
        validate: async () => ({ loss: validate(learner.updates.at(-1)!.step) }),
        every: 4,
        metric: "loss",
        better: "smaller" as const,
      },
    }),
  });
  const averaged = result.reason === "finished" ? await run.finish() : [];
  return { learner, result, averaged };
}

const checkpointPath = (run: string, step: number): string =>
  join(run, "checkpoints", `step-${String(step).padStart(8, "0")}`);
const bytes = (path: string): Promise<Buffer> => readFile(path);
const warnings = (events: readonly HeddleEvent[]): string[] =>
  events.flatMap((event) => (event.type === "log" && event.level === "warning" ? [event.message] : []));
const metrics = async (run: string): Promise<{ kind: string; step: number }[]> =>
  (await readFile(join(run, "metrics.jsonl"), "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { kind: string; step: number });

describe("a run's folder", () => {
  it("holds checkpoints, metrics, TensorBoard events and at the end the weights to use", async () => {
    const run = await temporaryFolder();
    const { learner, result, averaged } = await session(run);
    expect((await readdir(run)).map((name) => name.replace(/(tfevents).*/, "$1")).sort()).toEqual([
      "checkpoints",
      "events.out.tfevents",
      "metrics.jsonl",
      "model.safetensors",
    ]);
    expect(await readdir(join(run, "checkpoints"))).toEqual(["step-00000004", "step-00000008", "step-00000012"]);
    expect((await readdir(checkpointPath(run, 12))).sort()).toEqual([
      "model.safetensors",
      "optimizer.safetensors",
      "state.json",
    ]);
    expect((await metrics(run)).map(({ step }) => step)).toEqual([3, 6, 9, 12]);
    expect(averaged).toEqual([12]);
    const loaded = new Quadratic();
    const { state, environment } = await readCheckpoint(checkpointPath(run, 12));
    await loadCheckpoint(checkpointPath(run, 12), loaded.memory);
    expect(state).toEqual(result.state);
    expect(environment).toEqual(currentEnvironment());
    expect(loaded.memory).toEqual(learner.memory);
  });

  it("of a run stopped anywhere and resumed ends byte for byte as that of a run in one piece, mean included", async () => {
    const whole = await temporaryFolder();
    const options = { averageCheckpoints: 3 };
    await session(whole, options);
    for (const stopAt of [1, 4, 5, 10, 11]) {
      const run = await temporaryFolder();
      expect((await session(run, { ...options, stopAt })).result.reason).toBe("stopped");
      expect(await checkpointSteps(join(run, "checkpoints"))).toContain(stopAt);
      const { averaged } = await session(run, options);
      expect(averaged).toEqual([4, 8, 12]);
      for (const file of [
        "model.safetensors",
        "checkpoints/step-00000012/model.safetensors",
        "checkpoints/step-00000012/optimizer.safetensors",
      ]) {
        expect(
          (await bytes(join(run, file))).equals(await bytes(join(whole, file))),
          `${file}, stopped at ${stopAt}`,
        ).toBe(true);
      }
      expect((await metrics(run)).map(({ step }) => step)).toEqual([3, 6, 9, 12]);
    }
  });

  it("goes on where it stopped though the metrics and checkpoints know later steps: one story is told", async () => {
    const run = await temporaryFolder();
    await session(run);
    await rm(checkpointPath(run, 12), { recursive: true });
    await appendFile(join(run, "metrics.jsonl"), '{"kind":"training","st'); // torn by a kill
    await session(run);
    expect((await metrics(run)).map(({ step }) => step)).toEqual([3, 6, 9, 12]);
    expect((await readdir(run)).filter((name) => name.startsWith("events"))).toHaveLength(2);
  });

  it("does nothing more for a run that is finished, and goes on with it when more steps are asked for", async () => {
    const run = await temporaryFolder();
    await session(run);
    const { learner, result } = await session(run);
    expect(learner.updates).toEqual([]);
    expect(result.reason).toBe("finished");
    expect((await session(run, { steps: 13 })).learner.updates.map(({ step }) => step)).toEqual([13]);
  });

  it("keeps the newest checkpoints and the best one", async () => {
    const run = await temporaryFolder();
    const { averaged } = await session(run, { steps: 24, keepCheckpoints: 2, validate: (step) => Math.abs(step - 8) });
    expect(await checkpointSteps(join(run, "checkpoints"))).toEqual([8, 20, 24]);
    expect(averaged).toEqual([8]);
    expect(
      (await bytes(join(run, "model.safetensors"))).equals(
        await bytes(join(checkpointPath(run, 8), "model.safetensors")),
      ),
    ).toBe(true);
  });

  it("averages the last checkpoints, the best one among them or not", async () => {
    const run = await temporaryFolder();
    const { averaged } = await session(run, {
      steps: 24,
      averageCheckpoints: 3,
      keepCheckpoints: 1,
      validate: (step) => step,
    });
    expect(averaged).toEqual([16, 20, 24]);
    const values = await Promise.all(
      averaged.map(async (step) => {
        await using file = await openSafetensors(join(checkpointPath(run, step), "model.safetensors"));
        return (await file.read("weight")).data as Float32Array;
      }),
    );
    await using mean = await openSafetensors(join(run, "model.safetensors"));
    const expected = values[0]!.map((_, i) => (values[0]![i]! + values[1]![i]! + values[2]![i]!) / 3);
    expect((await mean.read("weight")).data).toEqual(expected);
  });

  it("names the weights to use: of the finish, before it the best, before that the latest", async () => {
    const run = await temporaryFolder();
    expect(await runWeights(run)).toBeUndefined();
    await session(run, { stopAt: 5 });
    expect(await runWeights(run)).toBe(join(checkpointPath(run, 5), "model.safetensors"));
    await session(run, { stopAt: 10, validate: (step) => step });
    expect(await runWeights(run)).toBe(join(checkpointPath(run, 8), "model.safetensors"));
    await session(run, { validate: (step) => step });
    expect(await runWeights(run)).toBe(join(run, "model.safetensors"));
    // Once training goes on, the weights of the last finish are no longer the run's.
    await session(run, { steps: 20, stopAt: 14, validate: (step) => step });
    expect(await runWeights(run)).toBe(join(checkpointPath(run, 8), "model.safetensors"));
  });

  it("is rid of what killed writes left, once it is opened again", async () => {
    const run = await temporaryFolder();
    await session(run, { stopAt: 5 });
    await cp(checkpointPath(run, 5), join(run, "checkpoints", ".tmp-step-00000008-x"), { recursive: true });
    await writeFile(join(run, ".tmp-model.safetensors-x"), "half");
    await session(run);
    expect(
      [...(await readdir(run)), ...(await readdir(join(run, "checkpoints")))].filter((name) => name.startsWith(".")),
    ).toEqual([]);
  });

  it("refuses another seed", async () => {
    const run = await temporaryFolder();
    await session(run, { stopAt: 5 });
    await expect(session(run, { seed: 2 })).rejects.toThrow(
      "was begun with seed 1, got 2. Put it back, or start a new run.",
    );
  });

  it("warns where what computes is no longer the same, and names it", async () => {
    const run = await temporaryFolder();
    const environment = currentEnvironment({ threads: 4 });
    await session(run, { stopAt: 5, environment });
    const events: HeddleEvent[] = [];
    await session(run, { stopAt: 6, environment, events });
    expect(warnings(events)).toEqual([]);
    await session(run, { environment: { ...environment, threads: 2, processor: "another" }, events });
    expect(warnings(events)).toEqual([
      expect.stringContaining("resumed with threads 2 (was 4), processor another (was "),
    ]);
  });
});

describe("a damaged checkpoint", () => {
  const flip = async (path: string, at: number): Promise<void> => {
    const content = await bytes(path);
    content[at < 0 ? content.length + at : at]! ^= 0x10;
    await writeFile(path, content);
  };

  it("is refused, whichever byte of its files is flipped", async () => {
    const run = await temporaryFolder();
    await session(run, { stopAt: 5 });
    const checkpoint = checkpointPath(run, 5);
    for (const file of await readdir(checkpoint)) {
      const path = join(checkpoint, file);
      const { length } = await bytes(path);
      for (let at = 0; at < length; at += 7) {
        await flip(path, at);
        const problem = await readCheckpoint(checkpoint).then(
          () => `byte ${at} of ${file} passed`,
          (error: Error) => error.message,
        );
        expect(problem).toContain(path);
        await flip(path, at);
      }
    }
    await readCheckpoint(checkpoint);
  });

  it("is refused wherever one of its files is cut short, naming the tensor that lacks bytes", async () => {
    const run = await temporaryFolder();
    await session(run, { stopAt: 5 });
    const path = join(checkpointPath(run, 5), "model.safetensors");
    const whole = await bytes(path);
    for (let length = 0; length < whole.length; length += 5) {
      await writeFile(path, whole.subarray(0, length));
      await expect(readCheckpoint(checkpointPath(run, 5))).rejects.toThrow(path);
    }
    await truncate(path, whole.length - 1);
    await expect(readCheckpoint(checkpointPath(run, 5))).rejects.toThrow(
      /model\.safetensors, tensor "bias".*cut short/,
    );
    await rm(path);
    await expect(readCheckpoint(checkpointPath(run, 5))).rejects.toThrow("is missing");
  });

  it("is passed over with a warning that names it and the one used, and kept for a look", async () => {
    const run = await temporaryFolder();
    const whole = await temporaryFolder();
    await session(whole);
    await session(run);
    await flip(join(checkpointPath(run, 12), "optimizer.safetensors"), -1);
    const events: HeddleEvent[] = [];
    expect(await latestCheckpoint(join(run, "checkpoints"))).toMatchObject({ path: checkpointPath(run, 8) });
    await session(run, { events });
    expect(warnings(events)).toEqual([
      expect.stringMatching(
        /step-00000012 is passed over and .*step-00000008 used instead: .*optimizer\.safetensors: is damaged/,
      ),
    ]);
    expect(await readdir(join(run, "checkpoints"))).toEqual([
      "step-00000004",
      "step-00000008",
      "step-00000012",
      "step-00000012.damaged",
    ]);
    expect((await bytes(join(run, "model.safetensors"))).equals(await bytes(join(whole, "model.safetensors")))).toBe(
      true,
    );
  });

  it("where all are damaged stops the run instead of beginning anew", async () => {
    const run = await temporaryFolder();
    await session(run, { stopAt: 3 });
    await flip(join(checkpointPath(run, 3), "state.json"), 20);
    await expect(session(run)).rejects.toThrow(
      /none of its 1 checkpoints can be read .*Remove the folder to begin anew/,
    );
    expect(await readdir(join(run, "checkpoints"))).toEqual(["step-00000003"]);
  });
});

describe("a checkpoint of another model", () => {
  it("is refused with the tensor's name and both shapes, and nothing of it is loaded", async () => {
    const run = await temporaryFolder();
    await session(run, { stopAt: 5 });
    const learner = new Quadratic({ width: 6 });
    await expect(session(run, { learner })).rejects.toThrow(
      'tensor "weight": is float32 [4] in the file and float32 [6] in the model. Go on with the configuration that the run began with',
    );
    expect(learner.memory).toEqual(new Quadratic({ width: 6 }).memory);
  });

  it.each([
    ["more", "is float32 [1] in the file, and the model has no such tensor"],
    ["fewer", "is float32 [2] in the model and missing from the file"],
  ])("is refused where it has %s tensors", async (which, problem) => {
    const run = await temporaryFolder();
    const { learner } = await session(run, { stopAt: 5 });
    const { weight, bias } = learner.values;
    const model = which === "more" ? { weight } : { weight, bias, extra: hostTensor("float32", [2], [0, 0]) };
    await expect(loadCheckpoint(checkpointPath(run, 5), { ...learner.memory, model })).rejects.toThrow(problem);
  });
});

describe("warmStart", () => {
  it("takes the weights and nothing else, from a checkpoint, a run or a file", async () => {
    const run = await temporaryFolder();
    const { learner } = await session(run);
    for (const path of [checkpointPath(run, 12), run, join(run, "model.safetensors")]) {
      const started = new Quadratic();
      expect(await warmStart(started.values, path)).toEqual(["weight", "bias"]);
      expect(started.values).toEqual(learner.values);
      expect(started.moments).toEqual(new Quadratic().moments);
    }
  });

  it("passes over what the caller says the file may lack or the model may leave", async () => {
    const run = await temporaryFolder();
    const { learner } = await session(run);
    const { weight } = new Quadratic().values;
    const added = { dtype: "float32", dims: [1], data: Float32Array.of(7) } as const;
    const model = { weight, added };
    await expect(warmStart(model, run, { mayLack: (name) => name === "added" })).rejects.toThrow('"bias"');
    await expect(warmStart(model, run, { mayLeave: (name) => name === "bias" })).rejects.toThrow('"added"');
    const options = { mayLack: (name: string) => name === "added", mayLeave: (name: string) => name === "bias" };
    expect(await warmStart(model, run, options)).toEqual(["weight"]);
    expect(model.weight).toEqual(learner.values.weight);
    expect(model.added.data).toEqual(Float32Array.of(7));
  });

  it("refuses what does not fit, or on demand takes the rest and says what it left", async () => {
    const run = await temporaryFolder();
    const { learner } = await session(run);
    const started = new Quadratic({ width: 6 });
    await expect(warmStart(started.values, run)).rejects.toThrow(
      'tensor "weight": is float32 [4] in the file and float32 [6] in the model.',
    );
    expect(started.values).toEqual(new Quadratic({ width: 6 }).values);
    const events: HeddleEvent[] = [];
    expect(
      await warmStart(started.values, run, {
        mismatches: "keep first values",
        listener: (event) => events.push(event),
      }),
    ).toEqual(["bias"]);
    expect(started.values.bias).toEqual(learner.values.bias);
    expect(warnings(events)).toEqual([
      expect.stringContaining("1 tensors taken, 1 left: weight is float32 [4] in the file"),
    ]);
  });
});

it("changed data are refused when a run is resumed", async () => {
  const run = await temporaryFolder();
  await session(run, { stopAt: 5 });
  const learner = new Quadratic();
  using opened = await RunDirectory.open({ path: run, memory: learner.memory, seed: 1 });
  const batches = numberBatches(numberPairs(61));
  const resumed = train({
    learner,
    batches,
    reader: numberReader,
    state: opened.state,
    steps: 12,
    schedule: () => 0.1,
  });
  await expect(resumed).rejects.toThrow(/the data or the batch settings have changed since it was saved/);
});

it("a folder where a checkpoint should go and something else lies is no checkpoint, and stays", async () => {
  const run = await temporaryFolder();
  await mkdir(join(run, "checkpoints", "notes"), { recursive: true });
  await session(run);
  expect(await readdir(join(run, "checkpoints"))).toContain("notes");
});
