// A run's folder belongs to one living process at a time.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfigError } from "../../src/base/index.ts";
import { RunLock } from "../../src/train/run-lock.node.ts";

let folder = "";
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "heddle-lock-"))));
afterEach(() => rmSync(folder, { recursive: true }));
const lock = (): string => join(folder, "lock");

test("the folder of a process that runs is refused by name, and free once it has gone", async () => {
  const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  await once(other, "spawn");
  writeFileSync(lock(), JSON.stringify({ pid: other.pid, host: hostname() }));
  expect(() => new RunLock(folder)).toThrow(ConfigError);
  expect(() => new RunLock(folder)).toThrow(`process ${other.pid} is training in this folder`);
  other.kill("SIGKILL");
  await once(other, "exit");
  using taken = new RunLock(folder);
  expect(taken).toBeDefined();
  expect(JSON.parse(readFileSync(lock(), "utf8"))).toMatchObject({ pid: process.pid });
});

test("giving it back removes the file, and a later claim of another process is left alone", () => {
  const first = new RunLock(folder);
  first[Symbol.dispose]();
  expect(existsSync(lock())).toBe(false);
  const second = new RunLock(folder);
  writeFileSync(lock(), JSON.stringify({ pid: 1, host: "elsewhere" }));
  second[Symbol.dispose]();
  expect(existsSync(lock())).toBe(true);
  expect(() => new RunLock(folder)).toThrow("process 1 on elsewhere");
});

test.runIf(process.platform === "linux")("a later process of the same number is not taken for the holder", () => {
  writeFileSync(lock(), JSON.stringify({ pid: process.ppid, host: hostname(), began: "1" }));
  using taken = new RunLock(folder);
  expect(taken).toBeDefined();
});

test("a file that was cut short holds nothing", () => {
  writeFileSync(lock(), '{"pid": 12');
  using taken = new RunLock(folder);
  expect(taken).toBeDefined();
});
