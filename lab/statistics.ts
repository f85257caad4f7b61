// The mean of a few runs and how far it can be trusted.

/** Quantiles of Student's distribution at 97.5 %, by degrees of freedom from 1. */
const quantiles = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262] as const;

/** Mean, and the half width of its 95 % interval by Student's distribution; 0 for a single value. */
export function intervalOf(values: readonly number[]): { readonly mean: number; readonly radius: number } {
  const count = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / count;
  if (count < 2) return { mean, radius: 0 };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  return { mean, radius: (quantiles[count - 2] ?? 1.96) * Math.sqrt(variance / count) };
}
