// How much of a call the runtime works, and how much is JavaScript: the runtime's own entry is wrapped, and its time summed.
import { createRequire } from "node:module";

interface Native {
  run(...values: unknown[]): unknown;
}

/** The runtime's compiled module; its sessions have one synchronous `run`, inside which nothing else happens. */
const { binding } = createRequire(import.meta.url)("onnxruntime-node/dist/binding.js") as {
  binding: { InferenceSession: new () => Native };
};

let milliseconds = 0;

class TimedSession extends binding.InferenceSession {
  override run(...values: unknown[]): unknown {
    const start = performance.now();
    try {
      return super.run(...values);
    } finally {
      milliseconds += performance.now() - start;
    }
  }
}

binding.InferenceSession = TimedSession;

/**
 * The share of `call` that passes outside of the runtime, 0 to 1: the search, what is fed and read, and the event loop between
 * steps. Only of sessions that were made after this file was loaded.
 */
export async function javascriptShare(call: () => Promise<void>): Promise<number> {
  milliseconds = 0;
  const start = performance.now();
  await call();
  return 1 - milliseconds / (performance.now() - start);
}
