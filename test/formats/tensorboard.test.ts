import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { crc32c } from "../../src/formats/crc32c.ts";
import { EventSchema } from "../../src/formats/generated/tensorboard_pb.ts";
import { tensorboardOpening, tensorboardResumption, tensorboardScalars } from "../../src/formats/index.ts";
import { utf8 } from "./bytes.ts";

describe("CRC-32C", () => {
  // RFC 3720, appendix B.4 (there as bytes, least significant first), and the check value of the usual catalogues.
  test.each([
    ["32 zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 bytes of ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ["0 to 31", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ["31 to 0", Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    ["123456789", utf8("123456789"), 0xe3069283],
    ["nothing", new Uint8Array(), 0],
  ])("of %s", (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

// Expected: the same events through TensorBoard 2.21's own record writer (tensorboard.summary.writer.record_writer) and messages.
describe("records are, byte for byte, those that TensorBoard itself writes", () => {
  test("the opening", () => {
    expect(hex(tensorboardOpening(1700000000.25))).toBe(
      "1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe9",
    );
  });

  test("the resumption", () => {
    expect(hex(tensorboardResumption(1700000001.5, 101))).toBe(
      "0f000000000000006d532b090900006040fc54d94110653a020801135be167",
    );
  });

  test("scalars, of which one is zero", () => {
    expect(hex(tensorboardScalars(1700000002, 300, { loss: 3.25, "validation/bleu": 0 }))).toBe(
      "33000000000000000ca720560900008040fc54d94110ac022a250a0b0a046c6f737315000050400a160a0f76616c69646174696f6e2f626c65751500000000c1a3849e",
    );
  });
});

test("values that float32 cannot hold, and those that are no numbers, are written as such", () => {
  const bytes = tensorboardScalars(0, 2 ** 40, { huge: 1e300, nothing: NaN, down: -Infinity });
  const { step, what } = fromBinary(EventSchema, bytes.subarray(12, -4));
  expect(step).toBe(2n ** 40n);
  expect(what.case === "summary" ? what.value.value.map(({ value }) => value.value) : what.case).toEqual([
    Infinity,
    NaN,
    -Infinity,
  ]);
});
