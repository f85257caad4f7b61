// The logarithm of a softmax's denominator.

/** log Σ exp(xᵢ), the largest taken out first so that nothing overflows. Entries of −Infinity count nothing. */
export function logSumExp(x: Float32Array): number {
  let largest = -Infinity;
  for (let i = 0; i < x.length; i++) if (x[i]! > largest) largest = x[i]!;
  if (largest === -Infinity) return -Infinity;
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.exp(x[i]! - largest);
  return largest + Math.log(sum);
}
