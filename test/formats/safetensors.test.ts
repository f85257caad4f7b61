import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  allocate,
  bytesPerElement,
  elementCount,
  FormatError,
  hostTensor,
  type DType,
  type HostTensor,
} from "../../src/base/index.ts";
import { decodeSafetensors, encodeSafetensors } from "../../src/formats/index.ts";
import { joined, utf8 } from "./bytes.ts";

/** A file with this header text and so many zero bytes of data. */
function file(header: string, dataBytes = 0): Uint8Array {
  const json = utf8(header);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  return joined([length, json, new Uint8Array(dataBytes)]);
}

const dtypes: DType[] = [
  "float32",
  "float64",
  "float16",
  "bfloat16",
  "int8",
  "uint8",
  "int32",
  "uint32",
  "int64",
  "bool",
];

const anyTensor = fc
  .record({
    dtype: fc.constantFrom(...dtypes),
    dims: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    seed: fc.nat(),
  })
  .map(({ dtype, dims, seed }): HostTensor => {
    const data = allocate(dtype, elementCount(dims));
    new Uint8Array(data.buffer).forEach(
      (_, i, bytes) => (bytes[i] = dtype === "bool" ? (seed + i) % 2 : Math.imul(seed + i, 2654435761) >>> 24),
    );
    return { dtype, dims, data };
  });
const anyName = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("__proto__", "constructor", "0", "", 'a"b\\c', "toString"),
);
const wellFormed = anyName.filter((name) => name.isWellFormed() && name !== "__metadata__");
const anyFile = fc.record({
  tensors: fc.uniqueArray(fc.tuple(wellFormed, anyTensor), { selector: ([name]) => name, maxLength: 6 }),
  metadata: fc.dictionary(
    wellFormed,
    fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
    { noNullPrototype: true },
  ),
});

const bits = ({ dtype, dims, data }: HostTensor) => ({
  dtype,
  dims,
  bytes: [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)],
});

describe("a file comes back as it was written", () => {
  test("any tensors, names and metadata, bit for bit", () => {
    fc.assert(
      fc.property(anyFile, ({ tensors, metadata }) => {
        const back = decodeSafetensors(joined(encodeSafetensors(tensors, { metadata })));
        expect(back.metadata).toEqual(metadata);
        expect(back.tensors.size).toBe(tensors.length);
        for (const [name, tensor] of tensors) expect(bits(back.tensors.get(name)!)).toEqual(bits(tensor));
      }),
    );
  });

  test("every tensor lies aligned to its element size, so nothing is copied in reading", () => {
    fc.assert(
      fc.property(anyFile, ({ tensors }) => {
        const bytes = joined(encodeSafetensors(tensors));
        for (const { data, dtype } of decodeSafetensors(bytes).tensors.values()) {
          expect(data.buffer).toBe(bytes.buffer);
          expect(data.byteOffset % bytesPerElement(dtype)).toBe(0);
        }
      }),
    );
  });

  test("a file at an odd position of a larger buffer is copied where it must be", () => {
    const whole = joined([new Uint8Array(3), ...encodeSafetensors([["w", hostTensor("float32", [2], [1, 2])]])]);
    expect([...decodeSafetensors(whole.subarray(3)).tensors.get("w")!.data]).toEqual([1, 2]);
  });

  test("encoding copies no tensor", () => {
    const tensor = hostTensor("float32", [3], [1, 2, 3]);
    expect(encodeSafetensors([["w", tensor]])[1]!.buffer).toBe(tensor.data.buffer);
  });

  test("the bytes are those of the format's description", () => {
    // Written by hand: a header padded to 56 bytes, then 1.0 and -2.0 as little-endian float32.
    const header = '{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  ';
    const expected = joined([
      new Uint8Array([header.length, 0, 0, 0, 0, 0, 0, 0]),
      utf8(header),
      new Uint8Array([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]),
    ]);
    expect(joined(encodeSafetensors([["w", hostTensor("float32", [2], [1, -2])]]))).toEqual(expected);
  });
});

describe("a bad file is refused with its name and the tensor's", () => {
  const w = '"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}';
  const cases: [what: string, bytes: Uint8Array, message: string][] = [
    ["empty", new Uint8Array(), "x.safetensors: is not a safetensors file: it has 0 bytes"],
    [
      "text",
      utf8("version https://git-lfs.github.com/spec/v1"),
      "x.safetensors: is not a safetensors file: it claims a header of",
    ],
    [
      "header longer than the file",
      joined([new Uint8Array([200, 0, 0, 0, 0, 0, 0, 0]), utf8("{}")]),
      "claims a header of 200 bytes and has 2",
    ],
    ["header not JSON", file("{"), "the header is not JSON"],
    [
      "header not UTF-8",
      joined([new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]), new Uint8Array([0xff])]),
      "the header is not JSON",
    ],
    ["header an array", file("[]"), "the header is not a JSON object"],
    ["cut short", file(`{${w}}`, 7), 'x.safetensors, tensor "w": reaches to byte 70, the file ends at 69'],
    ["bytes to spare", file(`{${w}}`, 9), "x.safetensors: 1 bytes after the last tensor belong to none"],
    [
      "a hole",
      file('{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8),
      'tensor "w": 4 bytes before it belong to no tensor',
    ],
    [
      "an overlap",
      file(`{${w},"v":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8),
      'tensor "v": overlaps the tensor before it by 4 bytes',
    ],
    [
      "a name twice",
      file(`{${w},"\\u0077" :{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`, 8),
      'tensor "w": the header gives this key twice',
    ],
    [
      "a key twice",
      file('{"w":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}}'),
      "gives this key twice",
    ],
    [
      "an unknown type",
      file('{"w":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}', 8),
      'tensor "w": dtype "F8_E4M3" is not supported',
    ],
    [
      "a size that does not fit",
      file('{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', 8),
      'tensor "w": float32 [3] takes 12 bytes, data_offsets [0, 8] hold 8',
    ],
    [
      "sizes that overflow",
      file('{"w":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'),
      'tensor "w": uint8 [4294967296, 4294967296] takes',
    ],
    [
      "a negative size",
      file('{"w":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}', 8),
      'tensor "w": shape must be a list of sizes',
    ],
    [
      "a fraction",
      file('{"w":{"dtype":"F32","shape":[2],"data_offsets":[0.5,8.5]}}', 8),
      'tensor "w": data_offsets must be two positions',
    ],
    [
      "offsets reversed",
      file('{"w":{"dtype":"F32","shape":[0],"data_offsets":[8,0]}}', 8),
      'tensor "w": float32 [0] takes 0 bytes',
    ],
    [
      "an unknown key",
      file('{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"order":"F"}}', 8),
      'tensor "w": has an unknown key "order"',
    ],
    ["a description that is none", file('{"w":3}'), 'tensor "w": must be described by'],
    ["metadata of numbers", file('{"__metadata__":{"step":3}}'), "__metadata__ must map names to strings"],
  ];
  test.each(cases)("%s", (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes, { place: "x.safetensors" })).toThrow(FormatError);
    expect(() => decodeSafetensors(bytes, { place: "x.safetensors" })).toThrow(message);
  });

  test("a file cut anywhere is refused", () => {
    const whole = joined(
      encodeSafetensors([
        ["w", hostTensor("float32", [2], [1, 2])],
        ["b", hostTensor("bool", [1], [1])],
      ]),
    );
    for (let length = 0; length < whole.length; length++)
      expect(() => decodeSafetensors(whole.subarray(0, length))).toThrow(FormatError);
  });

  test("a changed byte gives tensors or a FormatError, never anything else", () => {
    const whole = joined(
      encodeSafetensors(
        [
          ["w", hostTensor("float32", [2], [1, 2])],
          ["b", hostTensor("int8", [3], [1, 2, 3])],
        ],
        { metadata: { a: "b" } },
      ),
    );
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(7), (position, bit) => {
        const bytes = whole.slice();
        bytes[position]! ^= 1 << bit;
        try {
          decodeSafetensors(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("a long text in the metadata is no trouble", () => {
    const metadata = { tokenizer: '"\\{'.repeat(1_000_000) };
    expect(decodeSafetensors(joined(encodeSafetensors([], { metadata }))).metadata).toEqual(metadata);
  });
});

test.each([
  [
    [
      ["w", hostTensor("bool", [1], [1])],
      ["w", hostTensor("bool", [1], [1])],
    ],
    'tensor "w": is given twice',
  ],
  [[["__metadata__", hostTensor("bool", [1], [1])]], 'tensor "__metadata__": this name is the format\'s own'],
  [
    [["w", { dtype: "float32", dims: [3], data: new Float32Array(2) }]],
    'tensor "w": dims [3] want 3 elements, the data has 2',
  ],
  [
    [["w", { dtype: "float32", dims: [2], data: new Float64Array(2) }]],
    'tensor "w": float32 takes 4 bytes an element, the data array has 8',
  ],
] as [[string, HostTensor][], string][])("tensors that cannot be written are refused: %#", (tensors, message) => {
  expect(() => encodeSafetensors(tensors)).toThrow(message);
});
