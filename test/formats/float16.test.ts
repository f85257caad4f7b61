import { expect, test } from "vitest";
import { hostTensor } from "../../src/base/index.ts";
import { float32FromBfloat16, float32FromFloat16, toFloat32 } from "../../src/formats/index.ts";

const everyPattern = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits);

/** A float of `fractionBits` and the rest exponent, by the definition in IEEE 754. */
function defined(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits >>> 15 === 1 ? -1 : 1;
  const top = 2 ** exponentBits - 1;
  const bias = 2 ** (exponentBits - 1) - 1;
  const exponent = (bits >>> fractionBits) & top;
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === top) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}

test("every float16 has the value that its bits define", () => {
  const widened = float32FromFloat16(everyPattern);
  expect([...everyPattern].filter((bits) => !Object.is(widened[bits], defined(bits, 5, 10)))).toEqual([]);
});

test("every bfloat16 has the value that its bits define", () => {
  const widened = float32FromBfloat16(everyPattern);
  expect([...everyPattern].filter((bits) => !Object.is(widened[bits], defined(bits, 8, 7)))).toEqual([]);
});

test("toFloat32 passes float32 through and refuses integers by name", () => {
  const same = hostTensor("float32", [1], [1]);
  expect(toFloat32(same, "w").data).toBe(same.data);
  expect(toFloat32(hostTensor("float16", [2], [0x3c00, 0xc000]), "w")).toEqual(hostTensor("float32", [2], [1, -2]));
  expect(toFloat32(hostTensor("bfloat16", [1], [0x3f80]), "w")).toEqual(hostTensor("float32", [1], [1]));
  expect(() => toFloat32(hostTensor("int64", [1], [1]), 'm.safetensors, tensor "w"')).toThrow(
    'm.safetensors, tensor "w": float32, float16 or bfloat16 was wanted, got int64',
  );
});
