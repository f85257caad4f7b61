// Tensors as the little-endian bytes that ONNX and safetensors store, without a copy wherever alignment allows.
import { bytesPerElement, elementCount, FormatError, viewOver, type DType, type HostTensor } from "../base/index.ts";

/** Typed arrays show the machine's own byte order, which is little-endian nearly everywhere. */
const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function requireLittleEndian(place: string): void {
  if (!isLittleEndian) throw new FormatError(place, "tensors are stored little-endian, and this machine is big-endian");
}

/** The tensor's bytes: a view of its own memory. `place` names the tensor in errors. */
export function bytesOfTensor(tensor: HostTensor, place: string): Uint8Array {
  requireLittleEndian(place);
  const { dtype, dims, data } = tensor;
  if (data.length !== elementCount(dims)) {
    throw new FormatError(
      place,
      `dims [${dims.join(", ")}] want ${elementCount(dims)} elements, the data has ${data.length}`,
    );
  }
  if (data.BYTES_PER_ELEMENT !== bytesPerElement(dtype)) {
    throw new FormatError(
      place,
      `${dtype} takes ${bytesPerElement(dtype)} bytes an element, the data array has ${data.BYTES_PER_ELEMENT}`,
    );
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A tensor over these bytes: a view where they are aligned to the element size, else a copy. */
export function tensorFromBytes(dtype: DType, dims: readonly number[], bytes: Uint8Array, place: string): HostTensor {
  requireLittleEndian(place);
  const count = elementCount(dims);
  const size = bytesPerElement(dtype);
  if (!Number.isSafeInteger(count * size) || bytes.byteLength !== count * size) {
    throw new FormatError(
      place,
      `${dtype} [${dims.join(", ")}] takes ${count * size} bytes, ${bytes.byteLength} are stored`,
    );
  }
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return { dtype, dims, data: viewOver(dtype, aligned.buffer, aligned.byteOffset, count) };
}
