import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ConfigError, DataError, HeddleError } from "../../src/base/index.ts";
import { WorkerPool } from "../../src/tasks/worker-pool.node.ts";
import { compileChild } from "../train/compiled-child.ts";
import type { Job } from "./worker-pool.child.ts";

let compiled: { folder: string; script: string };
beforeAll(async () => {
  compiled = await compileChild(resolve("test/tasks/worker-pool.child.ts"));
});
afterAll(() => rm(compiled.folder, { recursive: true }));

const pools: WorkerPool<Job, string>[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.dispose();
});
const heard: string[] = [];
function poolOf(workers: number, data?: unknown): WorkerPool<Job, string> {
  heard.length = 0;
  const pool = new WorkerPool<Job, string>({
    script: pathToFileURL(compiled.script),
    name: "replica",
    workers,
    data,
    listener: (event) => void (event.type === "log" && heard.push(event.message)),
  });
  pools.push(pool);
  return pool;
}

describe("a pool of workers", () => {
  test("gives each job's result to who asked for it, and tells what the workers' listeners heard", async () => {
    const pool = poolOf(2);
    const said = Array.from({ length: 9 }, (_, i) => `${i}`);
    expect(await Promise.all(said.map((say, i) => pool.run({ say, wait: 9 - i })))).toEqual(said);
    expect(heard.sort()).toEqual(said.map((say) => `working on ${say}`));
  });

  test.each([
    ["config", ConfigError, "beams: must be more", { place: "beams", problem: "must be more" }],
    ["data", DataError, "train.en, line 7: is no text", { file: "train.en", line: 7 }],
    ["type", Error, "not a function", { name: "TypeError", stack: expect.stringContaining("worker-pool.child") }],
  ] as const)(
    "an error of kind %s comes with its class, text and facts, and the worker goes on",
    async (fail, kind, text, facts) => {
      const pool = poolOf(1);
      const error = await pool.run({ fail }).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(kind);
      expect(error).toMatchObject({ message: text, ...facts });
      expect(await pool.run({ say: "on" })).toBe("on");
    },
  );

  test("what fails while a worker opens fails every job with that error", async () => {
    const pool = poolOf(2, "unopened");
    for (let i = 0; i < 3; i++) await expect(pool.run({})).rejects.toThrow("weights: are not there");
  });

  test("a raised signal reaches the job under way, and takes a waiting one out of the queue", async () => {
    const pool = poolOf(1);
    const [first, second] = [new AbortController(), new AbortController()];
    const running = pool.run({ say: "running", wait: 100_000 }, first);
    const waiting = pool.run({ say: "waiting" }, second);
    second.abort();
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
    first.abort();
    await expect(running).rejects.toThrow("running was aborted");
    await expect(pool.run({}, first)).rejects.toMatchObject({ name: "AbortError" });
    expect(await pool.run({ say: "on" })).toBe("on");
  });

  test.each([
    [{ leave: 3 }, /^replica 1 ended unasked: it left with code 3$/],
    [{ crash: true }, /^replica 1 ended unasked: nothing is not defined$/],
  ] as const)("a worker that is lost (%j) fails its job, those that wait and those to come", async (job, text) => {
    const pool = poolOf(1);
    const [lost, waiting] = [pool.run(job), pool.run({ say: "waiting" })];
    await expect(lost).rejects.toThrow(text);
    await expect(lost).rejects.toBeInstanceOf(HeddleError);
    await expect(waiting).rejects.toThrow(text);
    await expect(pool.run({})).rejects.toThrow(text);
  });

  test("a script that cannot be loaded is an error, not a wait", async () => {
    const pool = new WorkerPool<Job, string>({
      script: new URL("nowhere.js", pathToFileURL(compiled.script)),
      name: "replica",
      workers: 2,
      data: undefined,
      listener: () => {},
    });
    pools.push(pool);
    await expect(pool.run({})).rejects.toThrow(/Cannot find module/);
  });

  test("disposing waits for the job under way, refuses those that wait, and ends the workers", async () => {
    const pool = poolOf(1);
    const [running, waiting] = [pool.run({ say: "done", wait: 20 }), pool.run({}).catch(String)];
    await pool.dispose();
    expect(await waiting).toMatch(/disposed of/);
    expect(await running).toBe("done");
    expect(heard).toEqual(["working on done", "disposed of"]);
  });

  test("idle workers do not keep the process alive", async () => {
    const script = join(compiled.folder, "idle.mjs");
    const pool = join(compiled.folder, "src/tasks/worker-pool.node.js");
    await writeFile(
      script,
      `import { WorkerPool } from ${JSON.stringify(pathToFileURL(pool).href)};
       const script = new URL(${JSON.stringify(pathToFileURL(compiled.script).href)});
       const pool = new WorkerPool({ script, name: "replica", workers: 2, listener() {} });
       console.log(await pool.run({ say: "never disposed of" }));`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 30_000 });
    expect(stdout).toBe("never disposed of\n");
  });
});
