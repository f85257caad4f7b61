// The script of a worker thread that decodes batches with one thread.
import { workerData } from "node:worker_threads";
import { serveJobs } from "../src/tasks/worker-pool.node.ts";
import type { DecodingBenchmark } from "./cases.ts";
import { decodingCase } from "./heddle.ts";

serveJobs<null, null>(async () => {
  const decoding = await decodingCase(workerData as DecodingBenchmark, 1);
  return {
    work: async () => {
      await decoding.decode();
      return null;
    },
    dispose: () => decoding.dispose(),
  };
});
