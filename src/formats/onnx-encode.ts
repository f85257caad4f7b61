// Plain objects → the bytes of a .onnx file.
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FormatError, version, type DType, type HostTensor } from "../base/index.ts";
import {
  AttributeProto_AttributeType as AttributeType,
  type AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProtoSchema,
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
import { bytesOfTensor } from "./tensor-bytes.ts";

/** ONNX's number for each of our element types. */
export const onnxTypeOf: Readonly<Record<DType, number>> = {
  float32: DataType.FLOAT,
  float64: DataType.DOUBLE,
  float16: DataType.FLOAT16,
  bfloat16: DataType.BFLOAT16,
  int8: DataType.INT8,
  uint8: DataType.UINT8,
  int32: DataType.INT32,
  uint32: DataType.UINT32,
  int64: DataType.INT64,
  bool: DataType.BOOL,
};

/** Protobuf readers refuse a message of 2 GiB. */
const maximumModelBytes = 2 ** 31 - 1;

export interface EncodeOnnxOptions {
  /** Where the named initializer of the main graph is stored instead of in the model; undefined keeps it inside. Its bytes are the caller's to write. */
  external?: (name: string) => OnnxExternalData | undefined;
}

/**
 * The bytes of a .onnx file. Initializers of the main graph are copied exactly once, from their own memory into the result;
 * a model above 2 GiB is refused, as no Protobuf reader takes it.
 *
 * @example
 * const bytes = encodeOnnx({
 *   opsets: { "": 21 },
 *   graph: {
 *     name: "double",
 *     inputs: [{ name: "x", dtype: "float32", dims: ["batch", 2] }],
 *     outputs: [{ name: "y", dtype: "float32", dims: ["batch", 2] }],
 *     initializers: [],
 *     nodes: [{ op: "Add", inputs: ["x", "x"], outputs: ["y"] }],
 *   },
 * });
 */
export function encodeOnnx(model: OnnxModel, { external }: EncodeOnnxOptions = {}): Uint8Array<ArrayBuffer> {
  const { graph, opsets, irVersion = 10, producer = { name: "heddle", version }, metadata = {} } = model;
  const modelHead = toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: integer(irVersion, "irVersion"),
      opsetImport: Object.entries(opsets).map(([domain, number]) => ({
        domain,
        version: integer(number, `operator set "${domain}"`),
      })),
      producerName: producer.name,
      producerVersion: producer.version,
      metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    }),
  );
  const graphHead = toBinary(GraphProtoSchema, create(GraphProtoSchema, { ...graphMessage(graph), initializer: [] }));

  // Through messages alone every weight would be copied once a nesting level and once more for each time a buffer grows.
  // The fields of a Protobuf message may come in pieces and in any order, so the weights are laid between the pieces.
  const graphChunks: Uint8Array[] = [graphHead];
  for (const { name, tensor } of graph.initializers) {
    const place = `initializer "${name}"`;
    const bytes = bytesOfTensor(tensor, place);
    const where = external?.(name);
    if (where === undefined) {
      const head = toBinary(TensorProtoSchema, create(TensorProtoSchema, { name, ...tensorHead(tensor, place) }));
      graphChunks.push(
        ...lengthDelimited(GraphProtoSchema.field.initializer.number, [
          head,
          ...lengthDelimited(TensorProtoSchema.field.rawData.number, [bytes]),
        ]),
      );
    } else {
      checkExternalData(where, place);
      if (where.length !== bytes.byteLength)
        throw new FormatError(place, `external data of ${where.length} bytes for a tensor of ${bytes.byteLength}`);
      const message = create(TensorProtoSchema, {
        name,
        ...tensorHead(tensor, place),
        dataLocation: DataLocation.EXTERNAL,
        externalData: [
          { key: "location", value: where.location },
          { key: "offset", value: String(where.offset) },
          { key: "length", value: String(where.length) },
        ],
      });
      graphChunks.push(
        ...lengthDelimited(GraphProtoSchema.field.initializer.number, [toBinary(TensorProtoSchema, message)]),
      );
    }
  }

  const chunks = [modelHead, ...lengthDelimited(ModelProtoSchema.field.graph.number, graphChunks)];
  const total = byteCount(chunks);
  if (total > maximumModelBytes) {
    throw new FormatError(
      `graph "${graph.name}"`,
      `${total} bytes are more than a Protobuf file can hold (2 GiB). Feed the weights as inputs or store them as external data.`,
    );
  }
  const bytes = new Uint8Array(total);
  let position = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, position);
    position += chunk.byteLength;
  }
  return bytes;
}

function byteCount(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
}

/** A field that holds these chunks: its tag and length come first. */
function lengthDelimited(field: number, chunks: readonly Uint8Array[]): Uint8Array[] {
  const length = Math.min(byteCount(chunks), maximumModelBytes); // a longer one is refused when the whole is known
  return [new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(length).finish(), ...chunks];
}

function integer(value: number | bigint, place: string): bigint {
  if (typeof value === "number" && !Number.isSafeInteger(value))
    throw new FormatError(place, `wants a whole number, got ${value}`);
  return BigInt.asIntN(64, BigInt(value));
}

function float(value: number, place: string): number {
  if (Number.isFinite(value) && !Number.isFinite(Math.fround(value)))
    throw new FormatError(place, `${value} is out of float32's range`);
  return value;
}

function tensorHead({ dtype, dims }: HostTensor, place: string) {
  return { dims: dims.map((dim) => integer(dim, place)), dataType: onnxTypeOf[dtype] };
}

function tensorMessage(tensor: HostTensor, place: string, name = ""): TensorProto {
  return create(TensorProtoSchema, {
    ...tensorHead(tensor, place),
    ...(name === "" ? {} : { name }),
    rawData: bytesOfTensor(tensor, place),
  });
}

function graphMessage({ name, inputs, outputs, nodes }: OnnxGraph): MessageInitShape<typeof GraphProtoSchema> {
  return { name, input: inputs.map(valueMessage), output: outputs.map(valueMessage), node: nodes.map(nodeMessage) };
}

function valueMessage({ name, dtype, dims }: OnnxValue): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = dims.map((size) => {
    if (size === "") return {};
    if (typeof size === "string") return { value: { case: "dimParam", value: size } } as const;
    return { value: { case: "dimValue", value: integer(size, `value "${name}"`) } } as const;
  });
  return { name, type: { value: { case: "tensorType", value: { elemType: onnxTypeOf[dtype], shape: { dim } } } } };
}

function nodeMessage({
  op,
  domain = "",
  name = "",
  inputs,
  outputs,
  attributes = {},
}: OnnxNode): MessageInitShape<typeof NodeProtoSchema> {
  return {
    opType: op,
    // Fields left out take no bytes.
    ...(domain === "" ? {} : { domain }),
    ...(name === "" ? {} : { name }),
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([key, value]) =>
      attributeMessage(key, value, `${op} ${name === "" ? `→ ${outputs[0]}` : `"${name}"`}, attribute "${key}"`),
    ),
  };
}

const utf8 = new TextEncoder();

function attributeMessage(
  name: string,
  attribute: OnnxAttribute,
  place: string,
): MessageInitShape<typeof AttributeProtoSchema> {
  if ("int" in attribute) return { name, type: AttributeType.INT, i: integer(attribute.int, place) };
  if ("float" in attribute) return { name, type: AttributeType.FLOAT, f: float(attribute.float, place) };
  if ("string" in attribute) return { name, type: AttributeType.STRING, s: utf8.encode(attribute.string) };
  if ("ints" in attribute)
    return { name, type: AttributeType.INTS, ints: attribute.ints.map((value) => integer(value, place)) };
  if ("floats" in attribute)
    return { name, type: AttributeType.FLOATS, floats: attribute.floats.map((value) => float(value, place)) };
  if ("strings" in attribute)
    return { name, type: AttributeType.STRINGS, strings: attribute.strings.map((value) => utf8.encode(value)) };
  if ("tensor" in attribute) return { name, type: AttributeType.TENSOR, t: tensorMessage(attribute.tensor, place) };
  const { graph } = attribute;
  const initializer = graph.initializers.map((each) =>
    tensorMessage(each.tensor, `${place}, initializer "${each.name}"`, each.name),
  );
  return { name, type: AttributeType.GRAPH, g: { ...graphMessage(graph), initializer } };
}
