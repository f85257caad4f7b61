// Arrays that live as long as a run does (parameters, gradients, optimizer moments) in one WebAssembly memory: the runtime
// reads and writes views of it in place, and one kernel call goes over all of them.
import {
  bytesPerElement,
  ConfigError,
  elementCount,
  type HostTensor,
  type RandomKey,
  viewOver,
} from "../../base/index.ts";
import { createMemory, type RawKernels } from "./kernels.ts";

/** Arrays start at multiples of this, a cache line or 16 floats. */
const alignmentBytes = 64;
const pageBytes = 65536;
/** What 32-bit addresses reach. */
const limitBytes = 2 ** 32;

type MemoryDType = "float32" | "uint8";

export interface RegionOptions {
  dtype: MemoryDType;
  /** Elements, of which some may be padding. */
  count: number;
}

interface Region extends RegionOptions {
  readonly startByte: number;
}

/** The numbers of one Adam update; formula in kernels.wat. */
export interface AdamNumbers {
  gradientScale: number;
  l2: number;
  keep: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  stepSize: number;
}

/** The numbers of one gradient descent with momentum; formula in kernels.wat. */
export interface MomentumNumbers {
  gradientScale: number;
  l2: number;
  learningRate: number;
  momentum: number;
  take: number;
  fromGradient: number;
  fromMomentum: number;
}

/** The next multiple of 16 elements: where the next array in a float32 region may start. */
export function paddedCount(count: number): number {
  return Math.ceil(count / 16) * 16;
}

/**
 * Named regions in one WebAssembly memory, zero at first. All of it is reserved at once, because a memory that grows detaches
 * every view; the operating system hands out pages only as they are touched.
 *
 * Methods that compute take views of this memory, whole or in part, and change only what the views cover. Arrays are not copied
 * anywhere. A full memory is 4 GiB, about 268 million parameters with Adam.
 *
 * @example
 * const memory = new FlatMemory({ value: { dtype: "float32", count: 1000 }, gradient: { dtype: "float32", count: 1000 } });
 * memory.addScaled(memory.floats("value"), -0.1, memory.floats("gradient"));
 */
export class FlatMemory {
  readonly #buffer: ArrayBuffer;
  readonly #kernels: RawKernels;
  readonly #regions = new Map<string, Region>();
  /** Bytes in use, padding included. */
  readonly byteLength: number;

  constructor(regions: Readonly<Record<string, RegionOptions>>) {
    let end = 0;
    for (const [name, { dtype, count }] of Object.entries(regions)) {
      this.#regions.set(name, { dtype, count, startByte: end });
      end = Math.ceil((end + count * bytesPerElement(dtype)) / alignmentBytes) * alignmentBytes;
    }
    this.byteLength = end;
    const names = Object.keys(regions).join(", ");
    if (end > limitBytes) {
      throw new ConfigError(
        "memory",
        `${names} need ${(end / 2 ** 30).toFixed(1)} GiB together, and one WebAssembly memory holds 4 GiB. ` +
          "Make the model smaller, train fewer of its parameters, or keep fewer arrays a parameter (an optimizer with fewer moments, no running average).",
      );
    }
    const pages = Math.ceil(end / pageBytes);
    try {
      ({ buffer: this.#buffer, kernels: this.#kernels } = createMemory(pages));
    } catch (error) {
      throw new ConfigError(
        "memory",
        `no room for ${(end / 2 ** 20).toFixed(0)} MiB of ${names} (${String(error)}). Free memory, or make the model smaller.`,
      );
    }
  }

  #region(name: string, dtype: MemoryDType): Region {
    const region = this.#regions.get(name);
    if (region === undefined)
      throw new RangeError(`there is no region "${name}"; regions are ${[...this.#regions.keys()].join(", ")}`);
    if (region.dtype !== dtype) throw new RangeError(`region "${name}" holds ${region.dtype}, not ${dtype}`);
    return region;
  }

  /** `count` elements of a region from `start` on, as a tensor that lies in this memory. */
  tensor<D extends MemoryDType>(name: string, dtype: D, dims: readonly number[], start = 0): HostTensor<D> {
    const region = this.#region(name, dtype);
    const count = elementCount(dims);
    if (start + count > region.count)
      throw new RangeError(`region "${name}" ends at ${region.count}, before ${start} + ${count}`);
    return {
      dtype,
      dims,
      data: viewOver(dtype, this.#buffer, region.startByte + start * bytesPerElement(dtype), count),
    };
  }

  /** Floats of a region from `start` on; all of it if no count is given. */
  floats(name: string, start = 0, count: number = this.#region(name, "float32").count - start): Float32Array {
    return this.tensor(name, "float32", [count], start).data;
  }

  #address(view: Float32Array | Uint8Array): number {
    if (view.buffer !== this.#buffer) throw new RangeError("the array does not lie in this memory");
    return view.byteOffset;
  }

  #sameLength(first: Float32Array, ...others: readonly Float32Array[]): number {
    for (const other of others) {
      if (other.length !== first.length)
        throw new RangeError(`arrays of ${first.length} and ${other.length} values do not pair up`);
    }
    return first.length;
  }

  /** y ← value */
  fill(y: Float32Array, value: number): void {
    this.#kernels.fill(this.#address(y), y.length, value);
  }

  /** y ← a·y */
  scale(y: Float32Array, a: number): void {
    this.#kernels.scale(this.#address(y), y.length, a);
  }

  /** y ← y + a·x */
  addScaled(y: Float32Array, a: number, x: Float32Array): void {
    this.#kernels.addScaled(this.#address(y), this.#address(x), this.#sameLength(y, x), a);
  }

  /** y ← y + w·(x − y): w = 1/n for the mean of n so far, w = 1 − decay for an exponential moving average. */
  average(y: Float32Array, w: number, x: Float32Array): void {
    this.#kernels.average(this.#address(y), this.#address(x), this.#sameLength(y, x), w);
  }

  /** Σ x², summed in float64 in a fixed order. NaN or infinite where a value is. */
  sumOfSquares(x: Float32Array): number {
    return this.#kernels.sumOfSquares(this.#address(x), x.length);
  }

  /** One update of Adam or AdamW on values p with gradients g and moments m, v. */
  adam(
    p: Float32Array,
    g: Float32Array,
    m: Float32Array,
    v: Float32Array,
    { gradientScale, l2, keep, beta1, beta2, epsilon, stepSize }: AdamNumbers,
  ): void {
    const count = this.#sameLength(p, g, m, v);
    const [pAt, gAt, mAt, vAt] = [this.#address(p), this.#address(g), this.#address(m), this.#address(v)];
    this.#kernels.adam(
      pAt,
      gAt,
      mAt,
      vAt,
      count,
      gradientScale,
      l2,
      keep,
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      epsilon,
      stepSize,
    );
  }

  /** p ← p − learningRate·(gradientScale·g + l2·p) */
  sgd(
    p: Float32Array,
    g: Float32Array,
    { gradientScale, l2, learningRate }: { gradientScale: number; l2: number; learningRate: number },
  ): void {
    this.#kernels.sgd(this.#address(p), this.#address(g), this.#sameLength(p, g), gradientScale, l2, learningRate);
  }

  /** One update of gradient descent with momentum buffer m. */
  sgdMomentum(p: Float32Array, g: Float32Array, m: Float32Array, numbers: MomentumNumbers): void {
    const { gradientScale, l2, learningRate, momentum, take, fromGradient, fromMomentum } = numbers;
    const count = this.#sameLength(p, g, m);
    const [pAt, gAt, mAt] = [this.#address(p), this.#address(g), this.#address(m)];
    this.#kernels.sgdMomentum(
      pAt,
      gAt,
      mAt,
      count,
      gradientScale,
      l2,
      learningRate,
      momentum,
      take,
      fromGradient,
      fromMomentum,
    );
  }

  /** Bytes of the words firstWord, firstWord + 1, … of a random stream (`randomWord`), each word's lowest byte first. */
  fillRandomBytes(bytes: Uint8Array, { low, high }: RandomKey, firstWord = 0): void {
    this.#kernels.fillRandomBytes(this.#address(bytes), bytes.length, low, high, firstWord);
  }
}
