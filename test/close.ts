// Comparing arrays of numbers.
import { expect } from "vitest";

/** The values differ by at most `within` (or `relative` times the expected size, if that is more) wherever `where` holds; else the worst place is named. */
export function expectClose(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  {
    within,
    relative = 0,
    what = "values",
    where = () => true,
  }: { within: number; relative?: number; what?: string; where?: (index: number) => boolean },
): void {
  expect(got.length, `length of ${what}`).toBe(expected.length);
  let worst = -1;
  let excess = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(got[i]! - expected[i]!) / Math.max(within, relative * Math.abs(expected[i]!));
    if (where(i) && !(difference <= Math.max(1, excess)))
      [worst, excess] = [i, Number.isNaN(difference) ? Infinity : difference];
  }
  if (worst >= 0)
    expect.fail(
      `${what} at ${worst}: got ${got[worst]}, expected ${expected[worst]} within ${within}${relative > 0 ? ` or ${relative} relative` : ""}`,
    );
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}
