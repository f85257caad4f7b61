// ONNX Runtime in a browser: WebAssembly, or WebGPU where it is asked for.
import * as ort from "onnxruntime-web";
import { ConfigError } from "../base/index.ts";
import { providerError } from "./errors.ts";
import { Queue, queued } from "./queued-session.ts";
import { RuntimeSession, sharedOptions } from "./runtime-session.ts";
import type { Session, SessionOptions } from "./session.ts";

export const runtimeVersion: string = ort.env.versions.web ?? "unknown";

interface Scope {
  readonly crossOriginIsolated?: boolean;
  readonly navigator?: { readonly hardwareConcurrency?: number; readonly gpu?: unknown };
}
const scope = globalThis as Scope;

/** WebAssembly threads need a page that is cross-origin isolated; without it the runtime silently takes one. */
export function defaultThreads(): number {
  return scope.crossOriginIsolated === true ? (scope.navigator?.hardwareConcurrency ?? 1) : 1;
}

/** What the page's one runtime was started with: it reads both once, at the first session, and ignores later changes. */
let started: { readonly threads: number; readonly wasmFolder: string | undefined } | undefined;

function start(threads: number | undefined, wasmFolder: string | undefined): void {
  if (started === undefined) {
    if (threads !== undefined && threads > 1 && scope.crossOriginIsolated !== true) {
      throw new ConfigError(
        "threads",
        `${threads} threads need a cross-origin isolated page. Serve it with the headers "Cross-Origin-Opener-Policy: same-origin" and ` +
          `"Cross-Origin-Embedder-Policy: require-corp", or ask for 1.`,
      );
    }
    started = { threads: threads ?? defaultThreads(), wasmFolder };
    ort.env.wasm.numThreads = started.threads;
    if (wasmFolder !== undefined) ort.env.wasm.wasmPaths = wasmFolder;
    return;
  }
  if (threads !== undefined && threads !== started.threads) {
    throw new ConfigError(
      "threads",
      `the page's runtime was started with ${started.threads} and cannot change (got ${threads}). Ask for the same in every session.`,
    );
  }
  if (wasmFolder !== undefined && wasmFolder !== started.wasmFolder) {
    throw new ConfigError(
      "wasmFolder",
      `the page's runtime was started from ${started.wasmFolder ?? "its default place"} (got ${wasmFolder}). Say the same in every session.`,
    );
  }
}

/** The page's graphics processor. */
const device = new Queue();

export async function createSession(model: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const { provider = "wasm", threads, spinning = true, profilePrefix, wasmFolder } = options;
  if (profilePrefix !== undefined)
    throw new ConfigError("profilePrefix", "profiles are files, which a page cannot write. Profile in Node.");
  if (!spinning) throw new ConfigError("spinning", "a page's runtime cannot turn it off. Leave it out.");
  if (provider === "cuda") throw new ConfigError("provider", '"cuda" is for Node; a page has "wasm" and "webgpu".');
  if (provider === "webgpu" && scope.navigator?.gpu === undefined) {
    throw new ConfigError(
      "provider",
      '"webgpu" cannot be used here: the browser offers no WebGPU to this page. It needs a secure origin; "wasm" runs everywhere.',
    );
  }
  start(threads, wasmFolder);
  try {
    const session = await ort.InferenceSession.create(model, {
      executionProviders: [provider],
      ...sharedOptions(options),
    });
    const running = new RuntimeSession(session, ort.Tensor, { fillsFetches: false });
    return provider === "webgpu" ? queued(running, device) : running;
  } catch (error) {
    if (/no available backend|adapter/i.test(String(error))) {
      throw providerError(
        provider,
        "Check that the runtime's .wasm files are served, and say where with wasmFolder.",
        error,
      );
    }
    throw error;
  }
}
