// A run killed with SIGKILL at random moments, while it learns and while it saves, must lose nothing but time.
import { spawn } from "node:child_process";
import { readdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { randomKey, RandomStream } from "../../src/base/index.ts";
import { readCheckpoint } from "../../src/train/index.node.ts";
import { compileChild } from "./compiled-child.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const kills = 20;
const steps = 60;

interface Session {
  script: string;
  run: string;
  /** Kill it this long after it has told that it is at this step; no kill where this is left out. */
  killAt?: { what: "step" | "save"; step: number; delayMs: number };
}

/** Runs a session to its end or its kill. */
async function session({ script, run, killAt }: Session): Promise<{ wasKilled: boolean; error: string }> {
  const child = spawn(process.execPath, [script, run, String(steps)], { stdio: ["ignore", "pipe", "pipe"] });
  let error = "";
  let told = "";
  let isDue = false;
  child.stderr.on("data", (text) => (error += String(text)));
  child.stdout.on("data", (text) => {
    told += String(text);
    const lines = told.split("\n");
    told = lines.pop()!;
    const isThere = lines.some((line) => {
      const [what, step] = line.split(" ");
      return what === killAt?.what && Number(step) >= killAt!.step;
    });
    if (!isThere || isDue) return;
    isDue = true;
    setTimeout(() => child.kill("SIGKILL"), killAt!.delayMs);
  });
  const signal = await new Promise<NodeJS.Signals | null>((resolve) =>
    child.on("close", (_code, signal) => resolve(signal)),
  );
  return { wasKilled: signal === "SIGKILL", error };
}

/** Everything a run ends with, but for the times that it took. */
async function outcome(run: string): Promise<Record<string, string>> {
  const checkpoints = await readdir(join(run, "checkpoints"));
  const files = [
    "model.safetensors",
    ...checkpoints.flatMap((name) => ["model", "optimizer"].map((file) => `checkpoints/${name}/${file}.safetensors`)),
  ];
  const contents = await Promise.all(
    files.map(async (file) => [file, (await readFile(join(run, file))).toString("base64")] as const),
  );
  const metrics = (await readFile(join(run, "metrics.jsonl"), "utf8")).replace(
    /"(seconds|tokensPerSecond)":[^,}]*/g,
    '"$1":0',
  );
  return { ...Object.fromEntries(contents), metrics };
}

it(`killed ${kills} times, a run ends bit for bit as one in one piece, and no checkpoint is ever unreadable`, async () => {
  const { folder, script } = await compileChild(resolve("test/train/kill.child.ts"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [whole, killed] = [await temporaryFolder(), await temporaryFolder()];
  expect(await session({ script, run: whole })).toEqual({ wasKilled: false, error: "" });

  const seed = Date.now() % 1e6;
  const random = new RandomStream(randomKey(seed));
  let readable = 0;
  let duringSaves = 0;
  for (let kill = 0; kill < kills; kill++) {
    const killAt = {
      what: random.uniform() < 0.5 ? ("save" as const) : ("step" as const),
      step: 1 + Math.floor(((kill + random.uniform()) * (steps - 8)) / kills),
      delayMs: random.integer(12),
    };
    expect(
      await session({ script, run: killed, killAt }),
      `seed ${seed}, kill ${kill}: ${JSON.stringify(killAt)}`,
    ).toEqual({ wasKilled: true, error: "" });
    const names = await readdir(join(killed, "checkpoints"));
    for (const name of names.filter((name) => name.startsWith("step-"))) {
      await readCheckpoint(join(killed, "checkpoints", name));
      readable++;
    }
    if (names.some((name) => name.startsWith(".tmp-"))) duringSaves++;
  }
  expect(readable).toBeGreaterThan(kills);
  // Of the kills, a good part fell into the writing or the deleting of a checkpoint.
  expect(duringSaves).toBeGreaterThan(0);

  expect(await session({ script, run: killed })).toEqual({ wasKilled: false, error: "" });
  expect(await outcome(killed)).toEqual(await outcome(whole));
  expect((await readdir(join(killed, "checkpoints"))).filter((name) => name.startsWith("."))).toEqual([]);
}, 900_000);
