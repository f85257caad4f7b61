// ONNX Runtime in Node.
import { availableParallelism } from "node:os";
import * as ort from "onnxruntime-node";
import { ConfigError } from "../base/index.ts";
import { providerError } from "./errors.ts";
import { RuntimeSession, sharedOptions } from "./runtime-session.ts";
import type { Session, SessionOptions } from "./session.ts";

export const runtimeVersion: string = ort.env.versions.node ?? "unknown";

/** Threads a session takes when it is not told: the cores this process may use, not the cores of the host. */
export function defaultThreads(): number {
  return availableParallelism();
}

const remedies: Readonly<Record<string, string>> = {
  cuda: "It needs an NVIDIA driver, and CUDA's libraries in the folder of onnxruntime-node, which its install script fetches when it may run.",
  webgpu: "It needs a graphics processor with a Vulkan, Metal or Direct3D 12 driver.",
  wasm: 'It is the browser\'s; Node has "cpu", which is faster.',
};

export async function createSession(model: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const { provider = "cpu", threads = defaultThreads(), spinning = true, profilePrefix, wasmFolder } = options;
  if (wasmFolder !== undefined)
    throw new ConfigError("wasmFolder", "is for pages in a browser; Node's runtime is not WebAssembly. Leave it out.");
  try {
    const session = await ort.InferenceSession.create(model, {
      executionProviders: [provider],
      // Said always: with it unset the runtime pins threads to the host's cores, which fails inside CPU sets.
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      ...sharedOptions(options),
      // Idle threads stop turning when a run ends: those of one session would keep a core from the next.
      extra: { session: { intra_op: { allow_spinning: spinning ? "1" : "0" }, force_spinning_stop: "1" } },
      ...(profilePrefix !== undefined && { enableProfiling: true, profileFilePrefix: profilePrefix }),
    });
    return new RuntimeSession(session, ort.Tensor, { fillsFetches: true });
  } catch (error) {
    // The provider is looked for before the model is read, and what is said when it is missing names it.
    const missing = /AppendExecutionProvider|no available backend|adapter/.test(String(error));
    throw provider !== "cpu" && missing ? providerError(provider, remedies[provider] ?? "", error) : error;
  }
}
