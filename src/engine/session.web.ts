// ONNX Runtime in a browser: WebAssembly, or WebGPU where it is asked for.
import * as ort from "onnxruntime-web";
import { RuntimeSession } from "./runtime-session.ts";
import type { Session, SessionOptions } from "./session.ts";

export const runtimeVersion: string = ort.env.versions.web ?? "unknown";

/** WebAssembly threads need a page that is cross-origin isolated; without it the runtime silently takes one. */
export function defaultThreads(): number {
  const scope = globalThis as { crossOriginIsolated?: boolean; navigator?: { hardwareConcurrency?: number } };
  return scope.crossOriginIsolated === true ? (scope.navigator?.hardwareConcurrency ?? 1) : 1;
}

export async function createSession(model: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const { provider = "wasm", threads = defaultThreads(), memoryPattern = false, arena = true } = options;
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(model, {
    executionProviders: [provider],
    enableMemPattern: memoryPattern,
    enableCpuMemArena: arena,
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
  });
  return new RuntimeSession(session, ort.Tensor);
}
