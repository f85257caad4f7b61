// What a run is computed with. Its bits are promised to be the same only where all of this is.
import { cpus } from "node:os";
import { version } from "../base/index.ts";
import { defaultThreads, runtimeVersion } from "../engine/index.ts";

export interface Environment {
  readonly heddle: string;
  /** Version of Node. */
  readonly node: string;
  /** Version of ONNX Runtime. */
  readonly runtime: string;
  readonly provider: string;
  readonly threads: number;
  readonly processor: string;
}

/**
 * This machine and these builds, with the session options that change results.
 *
 * @example
 * const environment = currentEnvironment({ threads: 2 });
 */
export function currentEnvironment({
  provider = "cpu",
  threads = defaultThreads(),
}: { provider?: string; threads?: number } = {}): Environment {
  const processor = cpus()[0]?.model ?? "unknown";
  return { heddle: version, node: process.versions.node, runtime: runtimeVersion, provider, threads, processor };
}

/** What differs, for example "threads 2 (was 4)"; empty where nothing does. */
export function environmentChanges(before: Environment, now: Environment): string[] {
  return Object.entries(now).flatMap(([name, value]) => {
    const was: unknown = before[name as keyof Environment];
    return was === value ? [] : [`${name} ${value} (was ${String(was)})`];
  });
}
