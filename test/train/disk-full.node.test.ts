import { spawnSync } from "node:child_process";
import { readdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { readCheckpoint } from "../../src/train/index.node.ts";
import { compileChild } from "./compiled-child.ts";
import { temporaryFolder } from "./temporary-folder.ts";

// The limit on the size of a file stands in for a disk that is full: the write fails half way, with EFBIG in place of ENOSPC.
it.skipIf(process.platform === "win32")(
  "a disk that takes no more is told in words; earlier checkpoints are intact, and with room again the run goes on to the same bits",
  async () => {
    const child = await compileChild(resolve("test/train/disk-full.child.ts"));
    onTestFinished(() => rm(child.folder, { recursive: true, force: true }));
    const session = (run: string, steps: number, limitKilobytes?: number) => {
      const limit = limitKilobytes === undefined ? "" : `ulimit -f ${limitKilobytes}; `;
      return spawnSync("bash", ["-c", `${limit}exec "$0" "$@"`, process.execPath, child.script, run, String(steps)], {
        encoding: "utf8",
      });
    };
    const [run, whole] = [await temporaryFolder(), await temporaryFolder()];
    const checkpoints = join(run, "checkpoints");

    expect(session(run, 4)).toMatchObject({ status: 0, stdout: "" });
    // 20,000 float32 take 80 kB.
    const failed = session(run, 8, 40);
    expect(failed.stdout).toMatch(
      /step-00000006: could not be written: the file would be larger than is allowed\. Earlier checkpoints are intact: make room and give the same command to go on\.$/,
    );
    expect(failed.status).toBe(3);
    expect(await readdir(checkpoints)).toEqual(["step-00000002", "step-00000004"]);
    for (const name of await readdir(checkpoints)) await readCheckpoint(join(checkpoints, name));

    expect(session(run, 8)).toMatchObject({ status: 0, stdout: "" });
    expect(session(whole, 8)).toMatchObject({ status: 0, stdout: "" });
    for (const file of ["model.safetensors", "optimizer.safetensors"]) {
      const path = join("checkpoints", "step-00000008", file);
      expect((await readFile(join(run, path))).equals(await readFile(join(whole, path)))).toBe(true);
    }
  },
);
