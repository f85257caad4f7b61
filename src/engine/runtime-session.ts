// What the Node and web builds of ONNX Runtime share: wrapping arrays, running, copying nothing that need not be copied.
import type { InferenceSession, Tensor as RuntimeTensor, TensorConstructor } from "onnxruntime-common";
import type { HostTensor } from "../base/index.ts";
import type { Session, SessionOptions } from "./session.ts";

/** What both builds are told alike. */
export function sharedOptions({
  memoryPattern = false,
  arena = true,
  optimization = "all",
}: SessionOptions): InferenceSession.SessionOptions {
  return {
    enableMemPattern: memoryPattern,
    enableCpuMemArena: arena,
    graphOptimizationLevel: optimization,
    logSeverityLevel: 3,
  };
}

export class RuntimeSession implements Session {
  readonly #session: InferenceSession;
  readonly #Tensor: TensorConstructor;
  // Parameters are fed at every step under the same host tensor; wrapping them once saves a microsecond or two each.
  readonly #wrapped = new WeakMap<HostTensor, RuntimeTensor>();

  readonly #fillsFetches: boolean;

  /**
   * `fillsFetches` says whether this build of the runtime writes into arrays that it is given for outputs. The web build takes
   * them and leaves them as they were, without a word, so there results are copied.
   */
  constructor(session: InferenceSession, Tensor: TensorConstructor, { fillsFetches }: { fillsFetches: boolean }) {
    this.#session = session;
    this.#Tensor = Tensor;
    this.#fillsFetches = fillsFetches;
  }

  #wrap(host: HostTensor): RuntimeTensor {
    const known = this.#wrapped.get(host);
    if (known !== undefined) return known;
    // The runtime refuses memory that threads share, so what lies in it is copied, anew for every run as others may write there.
    if (isShared(host.data.buffer))
      return new this.#Tensor(host.dtype as "float32", (host.data as Float32Array).slice(), host.dims);
    const wrapped = new this.#Tensor(host.dtype as "float32", host.data as Float32Array, host.dims);
    this.#wrapped.set(host, wrapped);
    return wrapped;
  }

  async run(
    feeds: ReadonlyMap<string, HostTensor>,
    fetches: ReadonlyMap<string, HostTensor | undefined>,
  ): Promise<Map<string, HostTensor>> {
    const given: Record<string, RuntimeTensor> = {};
    for (const [name, host] of feeds) given[name] = this.#wrap(host);
    const wanted: Record<string, RuntimeTensor | null> = {};
    for (const [name, host] of fetches)
      wanted[name] = host !== undefined && this.#fills(host) ? this.#wrap(host) : null;
    const results = await this.#session.run(given, wanted);
    const outputs = new Map<string, HostTensor>();
    for (const [name, host] of fetches) {
      const result = results[name]!;
      if (host !== undefined && !this.#fills(host)) fill(name, host, result);
      // Where an array was given the runtime has filled it; its result is a copy.
      outputs.set(
        name,
        host ?? {
          dtype: result.type as HostTensor["dtype"],
          dims: result.dims,
          data: result.data as HostTensor["data"],
        },
      );
    }
    return outputs;
  }

  /** Whether the runtime itself writes into an array that it is given. */
  #fills({ data }: HostTensor): boolean {
    return this.#fillsFetches && !isShared(data.buffer);
  }

  endProfiling(): void {
    this.#session.endProfiling();
  }

  async dispose(): Promise<void> {
    await this.#session.release();
  }
}

function isShared(buffer: ArrayBufferLike): boolean {
  return typeof SharedArrayBuffer !== "undefined" && buffer instanceof SharedArrayBuffer;
}

function fill(name: string, host: HostTensor, { data, dims }: RuntimeTensor): void {
  if (host.data.length !== data.length) {
    throw new RangeError(
      `output "${name}" is [${dims.join(", ")}], and the array given for it holds ${host.data.length} values`,
    );
  }
  (host.data as Float32Array).set(data as Float32Array);
}
