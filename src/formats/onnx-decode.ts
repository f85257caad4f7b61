// The bytes of a .onnx file → plain objects. What our objects cannot say (sequences, sparse tensors, local functions …) is refused by name.
import { fromBinary } from "@bufbuild/protobuf";
import { allocate, elementCount, FormatError, type DType, type HostTensor } from "../base/index.ts";
import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  ModelProtoSchema,
  type ModelProto,
  type NodeProto,
  type StringStringEntryProto,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type TensorProto,
  type ValueInfoProto,
} from "./generated/onnx_pb.ts";
import {
  checkExternalData,
  type OnnxAttribute,
  type OnnxExternalData,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxValue,
} from "./onnx.ts";
import { onnxTypeOf } from "./onnx-encode.ts";
import { tensorFromBytes } from "./tensor-bytes.ts";

export interface DecodeOnnxOptions {
  /** What errors call the bytes: the file's name, say. */
  place?: string;
  /** Gives the bytes of a tensor that is stored outside the model. The location is checked to stay inside the model's folder. */
  external?: (where: OnnxExternalData) => Uint8Array;
}

/**
 * The model in these bytes. Raw tensor data is a view of `bytes` where it is aligned. Documentation strings, shape hints of
 * inner values and training information are left behind.
 * Throws FormatError, naming the place and the tensor, node or attribute.
 *
 * @example
 * const { graph } = decodeOnnx(bytes, { place: "model.onnx" });
 * console.log(graph.nodes.map((node) => node.op));
 */
export function decodeOnnx(bytes: Uint8Array, { place = "ONNX model", external }: DecodeOnnxOptions = {}): OnnxModel {
  const message = parse(bytes, place);
  if (message.graph === undefined || message.irVersion === 0n) {
    throw new FormatError(place, "is not an ONNX model: it has no graph or no version of the format");
  }
  if (message.functions.length > 0)
    throw new FormatError(
      place,
      `has ${message.functions.length} local functions, which are not supported. Inline them first.`,
    );
  return {
    graph: new GraphReader(place, external).graph(message.graph),
    opsets: Object.fromEntries(message.opsetImport.map((each) => [each.domain, safeInteger(each.version, place)])),
    irVersion: safeInteger(message.irVersion, place),
    producer: { name: message.producerName, version: message.producerVersion },
    metadata: entries(message.metadataProps),
  };
}

function parse(bytes: Uint8Array, place: string): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw new FormatError(
      place,
      `is not an ONNX model or is cut short (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}

function entries(properties: readonly StringStringEntryProto[]): Record<string, string> {
  return Object.fromEntries(properties.map(({ key, value }) => [key, value]));
}

function safeInteger(value: bigint, place: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new FormatError(place, `${value} is beyond the whole numbers a double holds`);
  return number;
}

const dtypeOf: ReadonlyMap<number, DType> = new Map(
  Object.entries(onnxTypeOf).map(([dtype, number]) => [number, dtype as DType]),
);

function dtype(number: number, place: string): DType {
  const known = dtypeOf.get(number);
  if (known === undefined) {
    const name = Object.entries(DataType).find(([, value]) => value === number)?.[0] ?? String(number);
    throw new FormatError(place, `element type ${name} is not supported; ${[...dtypeOf.values()].join(", ")} are`);
  }
  return known;
}

/** Walks a graph's messages, knowing the file that errors name. */
class GraphReader {
  readonly #place: string;
  readonly #external: ((where: OnnxExternalData) => Uint8Array) | undefined;

  constructor(place: string, external: ((where: OnnxExternalData) => Uint8Array) | undefined) {
    this.#place = place;
    this.#external = external;
  }

  graph(message: GraphProto): OnnxGraph {
    if (message.sparseInitializer.length > 0)
      throw new FormatError(
        `${this.#place}, graph "${message.name}"`,
        "has sparse initializers, which are not supported",
      );
    return {
      name: message.name,
      inputs: message.input.map((value) => this.#value(value)),
      outputs: message.output.map((value) => this.#value(value)),
      initializers: message.initializer.map((each) => ({
        name: each.name,
        tensor: this.#tensor(each, `${this.#place}, initializer "${each.name}"`),
      })),
      nodes: message.node.map((node) => this.#node(node)),
    };
  }

  #value({ name, type }: ValueInfoProto): OnnxValue {
    const place = `${this.#place}, value "${name}"`;
    if (type?.value.case !== "tensorType")
      throw new FormatError(place, `is of type ${type?.value.case ?? "unknown"}, only tensors are supported`);
    const { elemType, shape } = type.value.value;
    if (shape === undefined)
      throw new FormatError(place, "declares no shape. Run ONNX's shape inference over the model first.");
    return {
      name,
      dtype: dtype(elemType, place),
      dims: shape.dim.map(({ value }) => {
        if (value.case === "dimValue") return size(value.value, place);
        return value.case === "dimParam" ? value.value : "";
      }),
    };
  }

  #node(message: NodeProto): OnnxNode {
    const label = message.name === "" ? `→ ${message.output[0]}` : `"${message.name}"`;
    const attributes: [string, OnnxAttribute][] = [];
    for (const attribute of message.attribute) {
      const place = `${this.#place}, ${message.opType} ${label}, attribute "${attribute.name}"`;
      if (attributes.some(([name]) => name === attribute.name)) throw new FormatError(place, "is given twice");
      attributes.push([attribute.name, this.#attribute(attribute, place)]);
    }
    return {
      op: message.opType,
      // "ai.onnx" is the long name of the default domain.
      ...(message.domain === "" || message.domain === "ai.onnx" ? {} : { domain: message.domain }),
      ...(message.name === "" ? {} : { name: message.name }),
      inputs: message.input,
      outputs: message.output,
      ...(attributes.length === 0 ? {} : { attributes: Object.fromEntries(attributes) }),
    };
  }

  #attribute(message: AttributeProto, place: string): OnnxAttribute {
    switch (message.type) {
      case AttributeType.INT: {
        const number = Number(message.i);
        return { int: Number.isSafeInteger(number) ? number : message.i };
      }
      case AttributeType.FLOAT:
        return { float: message.f };
      case AttributeType.STRING:
        return { string: text(message.s, place) };
      case AttributeType.INTS:
        return { ints: message.ints.map((value) => safeInteger(value, place)) };
      case AttributeType.FLOATS:
        return { floats: message.floats };
      case AttributeType.STRINGS:
        return { strings: message.strings.map((value) => text(value, place)) };
      case AttributeType.TENSOR:
        if (message.t !== undefined) return { tensor: this.#tensor(message.t, place) };
        break;
      case AttributeType.GRAPH:
        if (message.g !== undefined) return { graph: this.graph(message.g) };
        break;
    }
    const kind = Object.entries(AttributeType).find(([, value]) => value === message.type)?.[0] ?? String(message.type);
    throw new FormatError(place, `an attribute of kind ${kind} is missing its value or is not supported`);
  }

  #tensor(message: TensorProto, place: string): HostTensor {
    if (message.segment !== undefined) throw new FormatError(place, "is stored in segments, which are not supported");
    const type = dtype(message.dataType, place);
    const dims = message.dims.map((dim) => size(dim, place));
    if (message.dataLocation === DataLocation.EXTERNAL)
      return tensorFromBytes(type, dims, this.#externalBytes(message, dims, type, place), place);
    const typed = [
      message.floatData,
      message.doubleData,
      message.int32Data,
      message.int64Data,
      message.uint64Data,
    ].find((values) => values.length > 0);
    return typed === undefined
      ? tensorFromBytes(type, dims, message.rawData, place)
      : typedTensor(type, dims, typed, place);
  }

  #externalBytes(message: TensorProto, dims: readonly number[], type: DType, place: string): Uint8Array {
    const { location = "", offset = "0", length } = entries(message.externalData);
    const where = {
      location,
      offset: Number(offset),
      length: length === undefined ? elementCount(dims) * allocate(type, 0).BYTES_PER_ELEMENT : Number(length),
    };
    checkExternalData(where, place);
    if (this.#external === undefined)
      throw new FormatError(
        place,
        `its data lies outside the model, in "${location}", and no way to read that was given`,
      );
    return this.#external(where);
  }
}

function size(value: bigint, place: string): number {
  if (value < 0n) throw new FormatError(place, `a dimension of ${value}`);
  return safeInteger(value, place);
}

function text(bytes: Uint8Array, place: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FormatError(place, "is not valid UTF-8");
  }
}

/** Values that a writer put into the typed fields instead of raw data: one number an element; 16-bit floats as their bits. */
function typedTensor(
  type: DType,
  dims: readonly number[],
  values: readonly (number | bigint)[],
  place: string,
): HostTensor {
  const count = elementCount(dims);
  if (values.length !== count)
    throw new FormatError(place, `${type} [${dims.join(", ")}] wants ${count} elements, ${values.length} are stored`);
  const data = allocate(type, count);
  for (let i = 0; i < count; i++) data[i] = type === "int64" ? BigInt(values[i]!) : Number(values[i]);
  return { dtype: type, dims, data };
}
