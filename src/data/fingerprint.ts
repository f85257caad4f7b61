// A short name for what data hold, to notice that a saved position refers to other data.
import { mix32 } from "../base/index.ts";

/** 64 bits that change with any number or length, as 16 hexadecimal digits. */
export function fingerprintOf(parts: readonly ArrayLike<number>[]): string {
  let low = 0x9e3779b9;
  let high = 0x85ebca6b;
  for (const part of parts) {
    low = mix32(low ^ part.length);
    for (let i = 0; i < part.length; i++) {
      low = mix32(low ^ part[i]!);
      high = (Math.imul(high, 0x01000193) + low) | 0;
    }
  }
  return [low, high].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
