// safetensors, the format of weights that holds nothing but names, shapes and numbers. Portable half: whole files in memory.
import { bytesPerElement, FormatError, type HostTensor } from "../base/index.ts";
import { lengthBytes, maximumHeaderBytes, readSafetensorsHeader, safetensorsTypeOf } from "./safetensors-header.ts";
import { bytesOfTensor, tensorFromBytes } from "./tensor-bytes.ts";

export interface Safetensors {
  readonly tensors: Map<string, HostTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The tensors of a file, as views of its bytes where those are aligned, else as copies.
 * Throws FormatError naming the file and the tensor.
 *
 * @example
 * const { tensors } = decodeSafetensors(bytes, { place: "model.safetensors" });
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  { place = "safetensors file" }: { place?: string } = {},
): Safetensors {
  const header = readSafetensorsHeader(bytes, { place });
  const tensors = new Map<string, HostTensor>();
  for (const [name, { dtype, dims, begin, end }] of header.tensors) {
    tensors.set(name, tensorFromBytes(dtype, dims, bytes.subarray(begin, end), `${place}, tensor "${name}"`));
  }
  return { tensors, metadata: header.metadata };
}

/**
 * The pieces of a file, to be written one after the other: the header, then a view of each tensor's own memory.
 * Wider element types come first, and the header is padded to 8 bytes, so that a reader finds every tensor aligned.
 *
 * @example
 * const file = new Blob(encodeSafetensors([["weight", hostTensor("float32", [2], [1, 2])]]));
 */
export function encodeSafetensors(
  tensors: Iterable<readonly [name: string, tensor: HostTensor]>,
  { metadata = {} }: { metadata?: Readonly<Record<string, string>> } = {},
): Uint8Array[] {
  const sorted = [...tensors].sort(([, a], [, b]) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype));
  const header: [string, unknown][] = Object.keys(metadata).length === 0 ? [] : [["__metadata__", metadata]];
  const names = new Set(["__metadata__"]);
  const pieces: Uint8Array[] = [];
  let position = 0;
  for (const [name, tensor] of sorted) {
    const place = `tensor "${name}"`;
    if (names.has(name))
      throw new FormatError(place, name === "__metadata__" ? "this name is the format's own" : "is given twice");
    names.add(name);
    const bytes = bytesOfTensor(tensor, place);
    header.push([
      name,
      {
        dtype: safetensorsTypeOf[tensor.dtype],
        shape: tensor.dims,
        data_offsets: [position, (position += bytes.byteLength)],
      },
    ]);
    pieces.push(bytes);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.byteLength / 8) * 8;
  if (padded > maximumHeaderBytes)
    throw new FormatError(
      "safetensors header",
      `${padded} bytes of names and metadata, ${maximumHeaderBytes} are the most`,
    );
  const head = new Uint8Array(lengthBytes + padded).fill(0x20); // spaces
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(json, lengthBytes);
  return [head, ...pieces];
}
