// The exports of kernels.wat by their raw form, byte addresses and counts. FlatMemory is what the rest of the code uses.
import { kernelBytes } from "./kernels-wasm.ts";

/** Formulas stand in kernels.wat. Addresses are in bytes, counts in float32 values, but for fillRandomBytes, which counts bytes. */
export interface RawKernels {
  fill(y: number, count: number, value: number): void;
  scale(y: number, count: number, a: number): void;
  addScaled(y: number, x: number, count: number, a: number): void;
  average(y: number, x: number, count: number, w: number): void;
  sumOfSquares(x: number, count: number): number;
  adam(
    p: number,
    g: number,
    m: number,
    v: number,
    count: number,
    gradientScale: number,
    l2: number,
    keep: number,
    beta1: number,
    oneMinusBeta1: number,
    beta2: number,
    oneMinusBeta2: number,
    epsilon: number,
    stepSize: number,
  ): void;
  sgd(p: number, g: number, count: number, gradientScale: number, l2: number, learningRate: number): void;
  sgdMomentum(
    p: number,
    g: number,
    m: number,
    count: number,
    gradientScale: number,
    l2: number,
    learningRate: number,
    momentum: number,
    take: number,
    fromGradient: number,
    fromMomentum: number,
  ): void;
  fillRandomBytes(y: number, count: number, low: number, high: number, firstWord: number): void;
}

// Every runtime has these; TypeScript's libraries describe them for web pages only.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Memory: new (descriptor: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  Instance: new (module: object, imports: Record<string, Record<string, unknown>>) => { readonly exports: unknown };
};

let compiled: object | undefined;

/** A memory of so many 64 KiB pages, all zero, and the kernels over it. The module is compiled once for all memories. */
export function createMemory(pages: number): { buffer: ArrayBuffer; kernels: RawKernels } {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  compiled ??= new WebAssembly.Module(kernelBytes);
  const { exports } = new WebAssembly.Instance(compiled, { heddle: { memory } });
  return { buffer: memory.buffer, kernels: exports as RawKernels };
}
