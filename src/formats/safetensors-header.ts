// The head of a safetensors file: 8 bytes of length, then JSON that says where each tensor lies. Most of it is distrust.
// Format: https://huggingface.co/docs/safetensors, section "Format".
import { bytesPerElement, elementCount, FormatError, type DType } from "../base/index.ts";
import { duplicateKey } from "./duplicate-keys.ts";

/** safetensors' name for each of our element types. */
export const safetensorsTypeOf: Readonly<Record<DType, string>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  int64: "I64",
  int32: "I32",
  int8: "I8",
  uint32: "U32",
  uint8: "U8",
  bool: "BOOL",
};
const dtypeOf: ReadonlyMap<unknown, DType> = new Map(
  Object.entries(safetensorsTypeOf).map(([dtype, name]) => [name, dtype as DType]),
);

/** Bytes of the length field that opens the file. */
export const lengthBytes = 8;
/** The reference implementation's cap, so that what we write it reads. */
export const maximumHeaderBytes = 100_000_000;

export interface SafetensorsEntry {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** First byte of the tensor, counted from the start of the file. */
  readonly begin: number;
  /** One past its last byte. */
  readonly end: number;
}

export interface SafetensorsHeader {
  /** By name, in the order in which they lie in the file. */
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** How many bytes length field and header take together, from the first 8 bytes of a file of `fileBytes`. */
export function safetensorsHeaderBytes(start: Uint8Array, fileBytes: number, place: string): number {
  if (start.byteLength < lengthBytes || fileBytes < lengthBytes) {
    throw new FormatError(
      place,
      `is not a safetensors file: it has ${fileBytes} bytes, and 8 give the header's length alone`,
    );
  }
  const length = new DataView(start.buffer, start.byteOffset, lengthBytes).getBigUint64(0, true);
  if (length > BigInt(maximumHeaderBytes)) {
    throw new FormatError(
      place,
      `is not a safetensors file: it claims a header of ${length} bytes, ${maximumHeaderBytes} are the most`,
    );
  }
  const bytes = lengthBytes + Number(length);
  if (bytes > fileBytes)
    throw new FormatError(
      place,
      `claims a header of ${length} bytes and has ${fileBytes - lengthBytes} after the length. Was it cut short?`,
    );
  return bytes;
}

/**
 * Reads and checks the header: every tensor is of a known type, as long as its shape says, and together they fill the file
 * without gap, overlap or rest. `bytes` is the whole file or at least its head (see safetensorsHeaderBytes).
 *
 * @example
 * const { tensors } = readSafetensorsHeader(bytes, { place: "model.safetensors" });
 * console.log(tensors.get("encoder.weight")?.dims);
 */
export function readSafetensorsHeader(
  bytes: Uint8Array,
  { place = "safetensors file", fileBytes = bytes.byteLength }: { place?: string; fileBytes?: number } = {},
): SafetensorsHeader {
  const dataStart = safetensorsHeaderBytes(bytes, fileBytes, place);
  if (bytes.byteLength < dataStart)
    throw new FormatError(place, `header of ${dataStart} bytes, of which ${bytes.byteLength} were given`);
  const { __metadata__: metadata = {}, ...described } = parseObject(bytes.subarray(lengthBytes, dataStart), place);
  const entries = Object.entries(described).map(
    ([name, description]) => [name, readEntry(description, dataStart, `${place}, tensor "${name}"`)] as const,
  );
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  checkLayout(entries, dataStart, fileBytes, place);
  return { tensors: new Map(entries), metadata: readMetadata(metadata, place) };
}

function parseObject(bytes: Uint8Array, place: string): Record<string, unknown> {
  let json: string;
  let parsed: unknown;
  try {
    json = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    parsed = JSON.parse(json);
  } catch (error) {
    throw new FormatError(place, `the header is not JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  if (!isObject(parsed)) throw new FormatError(place, "the header is not a JSON object");
  const twice = duplicateKey(json);
  if (twice !== undefined) throw new FormatError(`${place}, tensor "${twice}"`, "the header gives this key twice");
  return parsed;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function readMetadata(metadata: unknown, place: string): Record<string, string> {
  if (!isObject(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw new FormatError(place, "__metadata__ must map names to strings");
  }
  return metadata as Record<string, string>;
}

function readEntry(description: unknown, dataStart: number, place: string): SafetensorsEntry {
  if (!isObject(description)) throw new FormatError(place, "must be described by dtype, shape and data_offsets");
  const { dtype: type, shape: dims, data_offsets: offsets, ...rest } = description;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) throw new FormatError(place, `has an unknown key "${unknown}"`);
  const dtype = dtypeOf.get(type);
  if (dtype === undefined)
    throw new FormatError(
      place,
      `dtype ${JSON.stringify(type)} is not supported; ${[...dtypeOf.keys()].join(", ")} are`,
    );
  if (!isSizes(dims)) throw new FormatError(place, `shape must be a list of sizes, got ${JSON.stringify(dims)}`);
  if (!isSizes(offsets) || offsets.length !== 2)
    throw new FormatError(place, `data_offsets must be two positions, got ${JSON.stringify(offsets)}`);
  const [begin, end] = offsets as [number, number];
  const wanted = elementCount(dims) * bytesPerElement(dtype);
  if (!Number.isSafeInteger(wanted) || end - begin !== wanted) {
    throw new FormatError(
      place,
      `${dtype} [${dims.join(", ")}] takes ${wanted} bytes, data_offsets [${begin}, ${end}] hold ${end - begin}`,
    );
  }
  return { dtype, dims, begin: dataStart + begin, end: dataStart + end };
}

function checkLayout(
  entries: readonly (readonly [string, SafetensorsEntry])[],
  dataStart: number,
  fileBytes: number,
  place: string,
): void {
  let position = dataStart;
  for (const [name, { begin, end }] of entries) {
    if (begin < position)
      throw new FormatError(`${place}, tensor "${name}"`, `overlaps the tensor before it by ${position - begin} bytes`);
    if (begin > position)
      throw new FormatError(`${place}, tensor "${name}"`, `${begin - position} bytes before it belong to no tensor`);
    if (end > fileBytes)
      throw new FormatError(
        `${place}, tensor "${name}"`,
        `reaches to byte ${end}, the file ends at ${fileBytes}. Was it cut short?`,
      );
    position = end;
  }
  if (position !== fileBytes)
    throw new FormatError(place, `${fileBytes - position} bytes after the last tensor belong to none`);
}
