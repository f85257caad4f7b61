// Decimal notation as scores are published: a number halfway between two decimals goes to the even one.

/**
 * `value` with `width` decimals, ties to even: 31.25 gives "31.2", where `toFixed` gives "31.3".
 * A tie must be exact in binary, so value · 2^(width+1) is then a whole number, and `toFixed(width + 1)` shows all of it.
 */
export function fixed(value: number, width: number): string {
  const size = Math.abs(value);
  const rounded = size.toFixed(width);
  const sign = value < 0 ? "-" : "";
  if (!Number.isInteger(size * 2 ** (width + 1))) return sign + rounded;
  const exact = size.toFixed(width + 1);
  if (!exact.endsWith("5")) return sign + rounded;
  const lower = exact.slice(0, width === 0 ? -2 : -1);
  return sign + (Number(lower.at(-1)) % 2 === 0 ? lower : rounded);
}
