// A number as the single element of a dtype. The 16-bit floats lie in memory as raw bits, so they have to be made.
import { hostTensor, type DType, type HostTensor } from "../base/index.ts";

/** A host tensor of rank 0 that holds this number, rounded to what the dtype can hold. */
export function scalarValue(value: number, dtype: DType): HostTensor {
  if (dtype === "float16") return hostTensor(dtype, [], [float16Bits(value)]);
  if (dtype === "bfloat16") return hostTensor(dtype, [], [bfloat16Bits(value)]);
  return hostTensor(dtype, [], [value]);
}

/** IEEE 754 binary16, rounded to the nearest, halves to even: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction. */
function float16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00; // nearer to infinity than to the largest, 65504
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude || 1e-9)));
  // Units of the last place at this exponent; below 2⁻¹⁴ they stay those of the subnormal numbers.
  const units = roundHalfEven(magnitude / 2 ** (exponent - 10));
  // A normal number's leading bit, 1024, adds one to the exponent's field; rounding up to 2048 carries into it as it should.
  return sign | ((exponent + 14) * 1024 + units);
}

/** The upper half of a float32, rounded to the nearest, halves to even. */
function bfloat16Bits(value: number): number {
  const word = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  if (Number.isNaN(value)) return 0x7fc0;
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
}

function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
