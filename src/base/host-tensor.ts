// An array that lies in the host's memory: element type, sizes, values in row-major order.

export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int8"
  | "uint8"
  | "int32"
  | "uint32"
  | "int64"
  | "bool";

interface ArrayOf {
  float32: Float32Array;
  float64: Float64Array;
  /** Raw bits, as JavaScript has no 16-bit float array on Node 20. */
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  /** One byte an element, 0 or 1. */
  bool: Uint8Array;
}

export type HostArray = ArrayOf[DType];

export interface HostTensor<D extends DType = DType> {
  readonly dtype: D;
  readonly dims: readonly number[];
  readonly data: ArrayOf[D];
}

const constructors = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
} as const;

/** Bytes that one element takes. */
export function bytesPerElement(dtype: DType): number {
  return constructors[dtype].BYTES_PER_ELEMENT;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** An array of `count` zeros of this dtype. */
export function allocate<D extends DType>(dtype: D, count: number): ArrayOf[D] {
  return new constructors[dtype](count) as ArrayOf[D];
}

/** A view of `count` elements over existing memory, at a byte offset that suits the dtype. */
export function viewOver<D extends DType>(
  dtype: D,
  buffer: ArrayBufferLike,
  byteOffset: number,
  count: number,
): ArrayOf[D] {
  return new constructors[dtype](buffer as ArrayBuffer, byteOffset, count) as ArrayOf[D];
}

/** A host tensor from values; the element count must fit the dims. */
export function hostTensor<D extends DType>(
  dtype: D,
  dims: readonly number[],
  values: ArrayOf[D] | readonly number[],
): HostTensor<D> {
  const count = elementCount(dims);
  if (values.length !== count)
    throw new RangeError(`hostTensor: dims [${dims.join(", ")}] want ${count} values, got ${values.length}`);
  const data = allocate(dtype, count);
  if (Array.isArray(values)) {
    for (let i = 0; i < count; i++) data[i] = dtype === "int64" ? BigInt(values[i]) : values[i];
    return { dtype, dims, data };
  }
  return { dtype, dims, data: values as ArrayOf[D] };
}
