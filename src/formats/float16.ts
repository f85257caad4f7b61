// The 16-bit floats of weight files, widened to what we calculate with. Widening is exact: every such value is a float32.
import { FormatError, type HostTensor } from "../base/index.ts";

/** bfloat16 is the upper half of a float32. */
export function float32FromBfloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

/** IEEE 754 binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction. */
export function float32FromFloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  const floats = new Float32Array(words.buffer);
  for (let i = 0; i < bits.length; i++) {
    const half = bits[i]!;
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0) {
      // Zero or subnormal; float32 has the range to hold the latter as a normal number.
      floats[i] = fraction * 2 ** -24;
      words[i]! |= sign;
    } else {
      // Infinity and NaN keep their all-ones exponent; others move from bias 15 to 127.
      words[i] = sign | ((exponent === 0x1f ? 0xff : exponent + 112) << 23) | (fraction << 13);
    }
  }
  return floats;
}

/** A floating-point tensor of up to 32 bits as float32; float32 itself is passed through. `place` names the tensor in errors. */
export function toFloat32(tensor: HostTensor, place: string): HostTensor<"float32"> {
  const { dtype, dims, data } = tensor;
  switch (dtype) {
    case "float32":
      return { dtype, dims, data: data as Float32Array };
    case "float16":
      return { dtype: "float32", dims, data: float32FromFloat16(data as Uint16Array) };
    case "bfloat16":
      return { dtype: "float32", dims, data: float32FromBfloat16(data as Uint16Array) };
    default:
      throw new FormatError(place, `float32, float16 or bfloat16 was wanted, got ${dtype}`);
  }
}
