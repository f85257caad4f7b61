// The script of one replica's worker thread: see translation-pool.node.ts.
import { workerData } from "node:worker_threads";
import type { Translated } from "./decoding-outputs.ts";
import type { ReplicaData, ReplicaJob } from "./translation-pool.node.ts";
import { openMember } from "./translation-run.node.ts";
import { serveJobs } from "./worker-pool.node.ts";

serveJobs<ReplicaJob, Translated[][]>(async (listener) => {
  const [own, ...others] = (workerData as ReplicaData).members;
  const translation = await openMember({ ...own!, listener });
  for (const other of others) translation.ensembleWith(await openMember({ ...other, listener }));
  return {
    work: ({ lines, numbers, options }, signal) => translation.generate(lines, { ...options, signal }, { numbers }),
    dispose: () => translation.dispose(),
  };
});
