// The script of one replica's worker thread: see translation-pool.node.ts.
import { workerData } from "node:worker_threads";
import type { Translated } from "./decoding-outputs.ts";
import type { ReplicaData, ReplicaJob } from "./translation-pool.node.ts";
import { openMembers } from "./translation-run.node.ts";
import { serveJobs } from "./worker-pool.node.ts";

serveJobs<ReplicaJob, Translated[][]>(async (listener) => {
  const [own, ...others] = (workerData as ReplicaData).members;
  const translation = await openMembers([{ ...own!, listener }, ...others.map((other) => ({ ...other, listener }))]);
  return {
    work: ({ lines, numbers, options }, signal) => translation.generate(lines, { ...options, signal }, { numbers }),
    dispose: () => translation.dispose(),
  };
});
