import { fromBinary, toBinary, create } from "@bufbuild/protobuf";
import fc from "fast-check";
import * as runtime from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { FormatError, hostTensor, version, type DType, type HostTensor } from "../../src/base/index.ts";
import { decodeOnnx, encodeOnnx, type OnnxAttribute, type OnnxGraph, type OnnxModel } from "../../src/formats/index.ts";
import { ModelProtoSchema, TensorProto_DataType } from "../../src/formats/generated/onnx_pb.ts";

const opsets = { "": 21, "com.microsoft": 1 };

/** y = x w + b, with x [batch, 2]. */
function linear(): OnnxGraph {
  return {
    name: "linear",
    inputs: [{ name: "x", dtype: "float32", dims: ["batch", 2] }],
    outputs: [{ name: "y", dtype: "float32", dims: ["batch", 3] }],
    initializers: [
      { name: "w", tensor: hostTensor("float32", [2, 3], [1, 2, 3, 4, 5, 6]) },
      { name: "b", tensor: hostTensor("float32", [3], [10, 20, 30]) },
    ],
    nodes: [
      { op: "MatMul", inputs: ["x", "w"], outputs: ["xw"] },
      { op: "Add", inputs: ["xw", "b"], outputs: ["y"] },
    ],
  };
}

function withNode(attributes: Record<string, OnnxAttribute>): OnnxModel {
  const graph = linear();
  return {
    opsets,
    graph: {
      ...graph,
      nodes: [{ op: "Some", domain: "com.microsoft", name: "one", inputs: ["x", "", "w"], outputs: ["y"], attributes }],
    },
  };
}

const written = (model: OnnxModel): OnnxModel => ({
  ...model,
  irVersion: 10,
  producer: { name: "heddle", version },
  metadata: model.metadata ?? {},
});

describe("a model comes back from its bytes as it went in", () => {
  test("graph, symbolic and unknown dimensions, operator sets, metadata", () => {
    const graph = { ...linear(), outputs: [{ name: "y", dtype: "float32", dims: ["batch", ""] }] } as const;
    const model = { opsets, graph, metadata: { purpose: "test", __proto__key: "x" } };
    expect(decodeOnnx(encodeOnnx(model))).toEqual(written(model));
  });

  const attributes: [string, OnnxAttribute][] = [
    ["int", { int: -3 }],
    ["largest int", { int: 2n ** 63n - 1n }],
    ["zero", { int: 0 }],
    ["float", { float: Math.fround(1e-12) }],
    ["minus infinity", { float: -Infinity }],
    ["string", { string: "Grüße 👋" }],
    ["ints", { ints: [0, -1, 2 ** 53 - 1] }],
    ["no ints", { ints: [] }],
    ["floats", { floats: [0.5, NaN] }],
    ["strings", { strings: ["a", ""] }],
    ["tensor", { tensor: hostTensor("int64", [2], [1, -1]) }],
    ["scalar tensor", { tensor: hostTensor("float32", [], [0.25]) }],
    ["graph", { graph: linear() }],
  ];
  test.each(attributes)("an attribute: %s", (_, attribute) => {
    expect(decodeOnnx(encodeOnnx(withNode({ one: attribute, other: { int: 1 } })))).toEqual(
      written(withNode({ one: attribute, other: { int: 1 } })),
    );
  });

  const tensors: HostTensor[] = [
    hostTensor("float32", [2], [1.5, -2]),
    hostTensor("float64", [1], [Math.PI]),
    hostTensor("float16", [2], [0x3c00, 0xc000]),
    hostTensor("bfloat16", [1], [0x3f80]),
    hostTensor("int8", [2], [-128, 127]),
    hostTensor("uint8", [2], [0, 255]),
    hostTensor("int32", [1], [-(2 ** 31)]),
    hostTensor("uint32", [1], [2 ** 32 - 1]),
    hostTensor("int64", [2], new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n])),
    hostTensor("bool", [3], [1, 0, 1]),
    hostTensor("float32", [0, 4], []),
    hostTensor("float32", [], [7]),
  ];
  test.each(tensors.map((tensor) => [tensor.dtype, tensor] as const))("a tensor of %s", (_, tensor) => {
    const graph = { ...linear(), initializers: [{ name: "t", tensor }] };
    expect(decodeOnnx(encodeOnnx({ opsets, graph })).graph.initializers).toEqual([{ name: "t", tensor }]);
  });

  test("any names, dimensions and values", () => {
    const name = fc.string({ unit: "binary", minLength: 1 }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(fc.array(fc.record({ name, values: fc.float32Array() })), name, (initializers, axis) => {
        const graph: OnnxGraph = {
          ...linear(),
          inputs: [{ name: axis, dtype: "bool", dims: [axis, 0, 2 ** 40] }],
          initializers: initializers.map((each) => ({
            name: each.name,
            tensor: { dtype: "float32", dims: [each.values.length], data: each.values },
          })),
        };
        expect(decodeOnnx(encodeOnnx({ opsets, graph })).graph).toEqual(graph);
      }),
    );
  });

  test("a tensor that views the middle of a buffer writes only its own part", () => {
    const data = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    const graph = {
      ...linear(),
      initializers: [{ name: "t", tensor: { dtype: "float32", dims: [2], data } as const }],
    };
    expect([...decodeOnnx(encodeOnnx({ opsets, graph })).graph.initializers[0]!.tensor.data]).toEqual([1, 2]);
  });
});

describe("ONNX Runtime", () => {
  test("loads and runs an encoded graph", async () => {
    const session = await runtime.InferenceSession.create(encodeOnnx({ opsets, graph: linear() }));
    const { y } = await session.run({ x: new runtime.Tensor("float32", [1, 0, 0, 1, 1, 1], [3, 2]) });
    // Rows of w, and their sum, each plus b.
    expect([...(y!.data as Float32Array)]).toEqual([11, 22, 33, 14, 25, 36, 15, 27, 39]);
    await session.release();
  });

  test("takes an optional input left out, attributes of several kinds and a subgraph", async () => {
    const then: OnnxGraph = {
      name: "then",
      inputs: [],
      outputs: [{ name: "a", dtype: "float32", dims: ["n"] }],
      initializers: [{ name: "six", tensor: hostTensor("float32", [], [6]) }],
      nodes: [{ op: "Clip", inputs: ["x", "", "six"], outputs: ["a"] }],
    };
    const otherwise: OnnxGraph = {
      ...then,
      name: "else",
      outputs: [{ name: "b", dtype: "float32", dims: ["n"] }],
      nodes: [{ op: "LeakyRelu", inputs: ["x"], outputs: ["b"], attributes: { alpha: { float: 0.5 } } }],
      initializers: [],
    };
    const graph: OnnxGraph = {
      name: "branch",
      inputs: [
        { name: "x", dtype: "float32", dims: ["n"] },
        { name: "which", dtype: "bool", dims: [] },
      ],
      outputs: [{ name: "y", dtype: "float32", dims: ["n"] }],
      initializers: [],
      nodes: [
        {
          op: "If",
          inputs: ["which"],
          outputs: ["y"],
          attributes: { then_branch: { graph: then }, else_branch: { graph: otherwise } },
        },
      ],
    };
    const session = await runtime.InferenceSession.create(encodeOnnx({ opsets, graph }));
    const x = new runtime.Tensor("float32", [-4, 8], [2]);
    const run = async (which: boolean) => [
      ...((await session.run({ x, which: new runtime.Tensor("bool", [which], []) })).y!.data as Float32Array),
    ];
    expect(await run(true)).toEqual([-4, 6]);
    expect(await run(false)).toEqual([-2, 8]);
    await session.release();
  });

  test("reads weights stored outside the model, and so does decodeOnnx", async () => {
    const graph = linear();
    const file = new Uint8Array(64);
    file.set(new Uint8Array((graph.initializers[0]!.tensor.data as Float32Array).buffer), 16);
    const bytes = encodeOnnx(
      { opsets, graph },
      { external: (name) => (name === "w" ? { location: "weights/w.bin", offset: 16, length: 24 } : undefined) },
    );
    const session = await runtime.InferenceSession.create(bytes, {
      externalData: [{ path: "weights/w.bin", data: file }],
    });
    const { y } = await session.run({ x: new runtime.Tensor("float32", [1, 1], [1, 2]) });
    expect([...(y!.data as Float32Array)]).toEqual([15, 27, 39]);
    await session.release();
    expect(
      decodeOnnx(bytes, { external: ({ offset, length }) => file.subarray(offset, offset + length) }).graph,
    ).toEqual(graph);
    expect(() => decodeOnnx(bytes, { place: "model.onnx" })).toThrow(
      'model.onnx, initializer "w": its data lies outside the model, in "weights/w.bin"',
    );
  });
});

test.each(["../w.bin", "/etc/w.bin", "a/../../w.bin", "..\\w.bin", "C:\\w.bin", "file:w.bin", "", "a//b", "./w.bin"])(
  "external data at %j is refused",
  (location) => {
    expect(() =>
      encodeOnnx({ opsets, graph: linear() }, { external: () => ({ location, offset: 0, length: 24 }) }),
    ).toThrow(/initializer "w": external data location/);
  },
);

test("external data of the wrong length is refused", () => {
  expect(() =>
    encodeOnnx({ opsets, graph: linear() }, { external: () => ({ location: "w", offset: 0, length: 23 }) }),
  ).toThrow('initializer "w": external data of 23 bytes for a tensor of 24');
});

describe("what cannot be written is refused by name", () => {
  const cases: [Record<string, OnnxAttribute>, string][] = [
    [{ axis: { int: 1.5 } }, 'Some "one", attribute "axis": wants a whole number, got 1.5'],
    [{ scale: { float: 1e39 } }, 'Some "one", attribute "scale": 1e+39 is out of float32\'s range'],
    [
      { value: { tensor: { dtype: "float32", dims: [3], data: new Float32Array(2) } } },
      'attribute "value": dims [3] want 3 elements, the data has 2',
    ],
  ];
  test.each(cases)("%j", (attributes, message) => {
    expect(() => encodeOnnx(withNode(attributes))).toThrow(message);
  });
});

test("a model of 2 GiB is refused before anything is copied, and fits once its weights lie outside", () => {
  // Never written to, so the system gives it no memory.
  const tensor: HostTensor = { dtype: "uint8", dims: [2 ** 31], data: new Uint8Array(2 ** 31) };
  const graph = { ...linear(), initializers: [{ name: "w", tensor }] };
  expect(() => encodeOnnx({ opsets, graph })).toThrow(
    /graph "linear": \d+ bytes are more than a Protobuf file can hold/,
  );
  expect(
    encodeOnnx({ opsets, graph }, { external: () => ({ location: "w.bin", offset: 0, length: 2 ** 31 }) }).length,
  ).toBeLessThan(300);
});

describe("what cannot be read is refused by name", () => {
  test("no bytes, text, a cut file", () => {
    const whole = encodeOnnx({ opsets, graph: linear() });
    for (const bytes of [
      new Uint8Array(),
      new TextEncoder().encode("<html>not here</html>"),
      whole.subarray(0, whole.length - 1),
    ]) {
      expect(() => decodeOnnx(bytes, { place: "model.onnx" })).toThrow(/^model\.onnx: is not an ONNX model/);
    }
  });

  test("bytes that were changed or cut give a model or a FormatError, never anything else", () => {
    const whole = encodeOnnx(
      withNode({
        value: { tensor: hostTensor("int64", [2], [1, 2]) },
        body: { graph: linear() },
        names: { strings: ["a"] },
      }),
    );
    const outcome = (bytes: Uint8Array): void => {
      try {
        decodeOnnx(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    };
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (position, change) => {
        const bytes = whole.slice();
        bytes[position]! ^= change;
        outcome(bytes);
        outcome(whole.slice(0, position));
      }),
      { numRuns: 2000 },
    );
  });

  /** A model whose one initializer is this Protobuf message. */
  const stored = (tensor: object): Uint8Array =>
    toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, { irVersion: 10n, graph: { name: "g", initializer: [{ name: "t", ...tensor }] } }),
    );

  test.each([
    [
      { dataType: TensorProto_DataType.FLOAT, dims: [2n], rawData: new Uint8Array(7) },
      'initializer "t": float32 [2] takes 8 bytes, 7 are stored',
    ],
    [
      { dataType: TensorProto_DataType.FLOAT, dims: [2n], floatData: [1, 2, 3] },
      'initializer "t": float32 [2] wants 2 elements, 3 are stored',
    ],
    [
      { dataType: TensorProto_DataType.STRING, dims: [1n], stringData: [new Uint8Array(1)] },
      'initializer "t": element type STRING is not supported',
    ],
    [
      { dataType: TensorProto_DataType.FLOAT, dims: [-1n], rawData: new Uint8Array(0) },
      'initializer "t": a dimension of -1',
    ],
    [
      { dataType: TensorProto_DataType.INT8, dims: [2n ** 40n, 2n ** 40n], rawData: new Uint8Array(4) },
      'initializer "t": int8',
    ],
    [
      {
        dataType: TensorProto_DataType.INT8,
        dims: [1n],
        dataLocation: 1,
        externalData: [{ key: "location", value: "../x" }],
      },
      'initializer "t": external data location "../x"',
    ],
  ])("a tensor stored as %o", (tensor, message) => {
    expect(() => decodeOnnx(stored(tensor))).toThrow(message);
  });

  const typedFields: [object, DType, number[]][] = [
    [{ dataType: TensorProto_DataType.FLOAT, floatData: [1.5, 2] }, "float32", [1.5, 2]],
    [{ dataType: TensorProto_DataType.DOUBLE, doubleData: [0.1, 2] }, "float64", [0.1, 2]],
    [{ dataType: TensorProto_DataType.INT64, int64Data: [-1n, 2n] }, "int64", [-1, 2]],
    [{ dataType: TensorProto_DataType.BOOL, int32Data: [1, 0] }, "bool", [1, 0]],
    [{ dataType: TensorProto_DataType.INT8, int32Data: [-1, 5] }, "int8", [-1, 5]],
    [{ dataType: TensorProto_DataType.FLOAT16, int32Data: [0x3c00, 1] }, "float16", [0x3c00, 1]],
    [{ dataType: TensorProto_DataType.UINT32, uint64Data: [4294967295n, 1n] }, "uint32", [4294967295, 1]],
  ];
  test.each(typedFields)("values in the typed fields are read: %o", (tensor, dtype, values) => {
    expect(decodeOnnx(stored({ dims: [2n], ...tensor })).graph.initializers[0]!.tensor).toEqual(
      hostTensor(dtype, [2], values),
    );
  });
});

test("the pieces that encodeOnnx lays end to end are one well-formed message", () => {
  const bytes = encodeOnnx({ opsets, graph: linear() });
  const message = fromBinary(ModelProtoSchema, bytes);
  expect(message.graph?.initializer.map(({ name }) => name)).toEqual(["w", "b"]);
  // Written again by the library in its own field order, it has the same length: nothing was said twice.
  expect(toBinary(ModelProtoSchema, message).length).toBe(bytes.length);
});
