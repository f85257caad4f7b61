// Decoding by several copies of one thread each, in worker threads: every call is a batch for each of them.
import { WorkerPool } from "../src/tasks/worker-pool.node.ts";
import type { DecodingBenchmark } from "./cases.ts";

export interface Replicas {
  /** Each copy decodes a batch of its own; over when all are done. */
  decode(): Promise<void>;
  dispose(): Promise<void>;
}

export function replicasOf(benchmark: DecodingBenchmark, count: number): Replicas {
  const pool = new WorkerPool<null, null>({
    script: new URL("./replica.js", import.meta.url),
    name: "replica",
    workers: count,
    data: benchmark,
    listener: () => {},
  });
  return {
    decode: async () => {
      await Promise.all(Array.from({ length: count }, () => pool.run(null)));
    },
    dispose: () => pool.dispose(),
  };
}
