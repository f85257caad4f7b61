// The small interface behind which ONNX Runtime stands, in Node and in the browser alike.
import type { HostTensor } from "../base/index.ts";

export interface SessionOptions {
  /** Where the program runs: "cpu" in Node, "wasm" in a browser unless told otherwise. */
  provider?: "cpu" | "cuda" | "webgpu" | "wasm";
  /**
   * Threads inside one operation; the processor's cores if not said. A page has one number for all its sessions, and more than
   * one thread only where it is cross-origin isolated.
   */
  threads?: number;
  /** Plan one block of memory a run. Needs about 80 % more memory in training, at the same speed, so it is off. */
  memoryPattern?: boolean;
  /** Keep freed memory for the next run. Off: about half the memory, 1.5 to 1.7 times the time. */
  arena?: boolean;
  /** Whether idle threads spin while they wait; off is kinder to a shared machine and 7 to 20 % slower on a quiet one. Node only. */
  spinning?: boolean;
  /**
   * How far the runtime rewrites the graph. "basic" leaves out fusions; they keep factors in float32, so programs in float64
   * take it if nothing is said, and all others "all".
   */
  optimization?: "all" | "basic";
  /** Files of a profile start with this path. Node only. */
  profilePrefix?: string;
  /**
   * Address of the folder that serves the runtime's `ort-wasm-simd-threaded.*` files, ending in "/"; beside the runtime's own
   * script if not said. Bundlers move that script, so their pages say it. Browser only, and one for all sessions of a page.
   */
  wasmFolder?: string;
}

export interface Session {
  /**
   * Runs the program once. A fetch that names an array has the result written into it; the others are returned.
   * The arrays of feeds and fetches are used in place, but for feeds that threads share, which are copied.
   */
  run(
    feeds: ReadonlyMap<string, HostTensor>,
    fetches: ReadonlyMap<string, HostTensor | undefined>,
  ): Promise<Map<string, HostTensor>>;
  /** Stops the profile. */
  endProfiling(): void;
  dispose(): Promise<void>;
}
