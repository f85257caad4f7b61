// An ONNX model as plain objects. encodeOnnx and decodeOnnx turn them into the bytes of a .onnx file and back.
import { FormatError, type DType, type HostTensor } from "../base/index.ts";

/** A named tensor that enters or leaves a graph. */
export interface OnnxValue {
  readonly name: string;
  readonly dtype: DType;
  /** A number is a fixed size, a name a size shared by every dimension of that name, "" a size nothing is known of. */
  readonly dims: readonly (number | string)[];
}

export type OnnxAttribute =
  | { readonly int: number | bigint }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: HostTensor }
  | { readonly graph: OnnxGraph };

export interface OnnxNode {
  /** The operator, for example "MatMul". */
  readonly op: string;
  /** "" (ONNX's own operators, the default) or for example "com.microsoft". */
  readonly domain?: string;
  readonly name?: string;
  /** Names of values; "" stands for an optional input that is not given. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxInitializer {
  readonly name: string;
  readonly tensor: HostTensor;
}

export interface OnnxGraph {
  readonly name: string;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly initializers: readonly OnnxInitializer[];
  readonly nodes: readonly OnnxNode[];
}

export interface OnnxModel {
  readonly graph: OnnxGraph;
  /** Version of each operator set by domain: { "": 21, "com.microsoft": 1 }. */
  readonly opsets: Readonly<Record<string, number>>;
  /** Version of the file format; 10 is the one that came with operator set 21. */
  readonly irVersion?: number;
  readonly producer?: { readonly name: string; readonly version: string };
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Where a tensor's bytes lie outside the model file. */
export interface OnnxExternalData {
  /** Path relative to the model's folder, with forward slashes. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/**
 * Refuses a location that could lead out of the model's folder. ONNX Runtime 1.30 refuses it too; earlier ones, and other
 * readers of the file, may not.
 */
export function checkExternalData({ location, offset, length }: OnnxExternalData, place: string): void {
  const parts = location.split(/[/\\]/);
  if (parts.some((part) => part === "" || part === "." || part === "..") || /[\0:]/.test(location)) {
    throw new FormatError(
      place,
      `external data location "${location}" must be a path inside the model's folder, without ".." or a leading "/"`,
    );
  }
  for (const [what, bytes] of [
    ["offset", offset],
    ["length", length],
  ] as const) {
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw new FormatError(place, `external data ${what} must be a number of bytes, not ${bytes}`);
  }
}
