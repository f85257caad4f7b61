// A worker that does as its job says.
import { ConfigError, DataError } from "../../src/base/index.ts";
import { serveJobs } from "../../src/tasks/worker-pool.node.ts";
import { workerData } from "node:worker_threads";

export type Job = { wait?: number; say?: string; fail?: "config" | "data" | "type"; leave?: number; crash?: true };

serveJobs<Job, string>(async (listener) => {
  if (workerData === "unopened") throw new ConfigError("weights", "are not there");
  return {
    work: async ({ wait = 0, say = "", fail, leave, crash }, signal) => {
      if (leave !== undefined) process.exit(leave);
      if (crash) {
        setTimeout(() => nothing.there, 0);
        await new Promise(() => {});
      }
      if (fail === "config") throw new ConfigError("beams", "must be more");
      if (fail === "data") throw new DataError("train.en", 7, "is no text");
      if (fail === "type") throw new TypeError("not a function");
      listener({ type: "log", level: "info", message: `working on ${say}` });
      for (let waited = 0; waited < wait; waited++) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (signal.aborted) throw new Error(`${say} was aborted`);
      }
      return say;
    },
    dispose: async () => listener({ type: "log", level: "info", message: "disposed of" }),
  };
});

declare const nothing: { there: never };
