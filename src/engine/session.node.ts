// ONNX Runtime in Node.
import { availableParallelism } from "node:os";
import * as ort from "onnxruntime-node";
import { RuntimeSession } from "./runtime-session.ts";
import type { Session, SessionOptions } from "./session.ts";

export const runtimeVersion: string = ort.env.versions.node ?? "unknown";

/** Threads a session takes when it is not told: the cores this process may use, not the cores of the host. */
export function defaultThreads(): number {
  return availableParallelism();
}

export async function createSession(model: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const { provider = "cpu", threads = defaultThreads(), memoryPattern = false, arena = true, spinning = true, profilePrefix } = options;
  const session = await ort.InferenceSession.create(model, {
    executionProviders: [provider],
    // Said always: with it unset the runtime pins threads to the host's cores, which fails inside CPU sets.
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    enableMemPattern: memoryPattern,
    enableCpuMemArena: arena,
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: spinning ? "1" : "0" } } },
    ...(profilePrefix !== undefined && { enableProfiling: true, profileFilePrefix: profilePrefix }),
  });
  return new RuntimeSession(session, ort.Tensor);
}
