// Where a value lies along an axis, and which values get a tick and a number.

export interface AxisOptions {
  /** What is shown, with its unit. */
  readonly label: string;
  readonly scale?: "linear" | "log";
  /** Where ticks of a logarithmic axis stand: at powers of 10, or of 2 for lengths and sizes. */
  readonly base?: 2 | 10;
  /** Ends of the axis; those of the data if not said. */
  readonly from?: number;
  readonly to?: number;
}

export interface Tick {
  readonly value: number;
  readonly text: string;
}

export interface Axis {
  readonly ticks: readonly Tick[];
  /** 0 at the start of the axis, 1 at its end. */
  place(value: number): number;
}

/** An axis that shows all of these values. */
export function axisOf(values: readonly number[], options: AxisOptions): Axis {
  const { scale = "linear" } = options;
  const shown = values.filter((value) => Number.isFinite(value) && (scale === "linear" || value > 0));
  const low = options.from ?? (shown.length > 0 ? Math.min(...shown) : 1);
  const high = options.to ?? (shown.length > 0 ? Math.max(...shown) : 10);
  return scale === "log" ? logarithmic(low, high, options) : linear(low, high, options);
}

function linear(low: number, high: number, { from, to }: AxisOptions): Axis {
  const span = high > low ? high - low : Math.abs(high) || 1;
  const step = niceStep(span / 5);
  const start = from ?? Math.floor(low / step + 1e-9) * step;
  const end = Math.max(to ?? Math.ceil(high / step - 1e-9) * step, start + step);
  const ticks: Tick[] = [];
  for (let i = Math.ceil(start / step - 1e-9); i * step <= end + step * 1e-9; i++)
    ticks.push({ value: i * step, text: formatNumber(i * step) });
  return { ticks, place: (value) => (value - start) / (end - start) };
}

/** 1, 2 or 5 times a power of ten, the next above. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10);
}

function logarithmic(low: number, high: number, { base = 10, from, to }: AxisOptions): Axis {
  const logarithm = (value: number): number => Math.log(value) / Math.log(base);
  const [first, last] = [logarithm(low), logarithm(high)];
  const margin = Math.max(0.04 * (last - first), 0.02);
  const [start, end] = [from === undefined ? first - margin : first, to === undefined ? last + margin : last];
  // Few powers within reach: numbers between them get ticks too.
  const factors = base === 2 ? [1] : end - start < 1.2 ? [1, 1.5, 2, 3, 4, 5, 7] : end - start < 2.5 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((end - start) / 9));
  const ticks: Tick[] = [];
  for (let power = Math.floor(start); power <= Math.ceil(end); power++) {
    if (power % every !== 0) continue;
    for (const factor of factors) {
      const value = factor * base ** power;
      const at = logarithm(value);
      if (at >= start - 1e-9 && at <= end + 1e-9) ticks.push({ value, text: formatNumber(value) });
    }
  }
  // Within half a power there is none of these numbers, or one: then round ones at equal steps.
  const marks = ticks.length >= 3 ? ticks : linear(low, high, { label: "" }).ticks;
  const place = (value: number): number => (logarithm(value) - start) / (end - start);
  return { ticks: marks.filter(({ value }) => place(value) >= -1e-9 && place(value) <= 1 + 1e-9), place };
}

const raised: Readonly<Record<string, string>> = {
  "-": "⁻",
  "0": "⁰",
  "1": "¹",
  "2": "²",
  "3": "³",
  "4": "⁴",
  "5": "⁵",
  "6": "⁶",
  "7": "⁷",
  "8": "⁸",
  "9": "⁹",
};

/** 0.25, 1,024, 3×10⁻⁵: short enough for a tick. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (value < 0) return `−${formatNumber(size)}`;
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) {
    const power = Math.floor(Math.log10(size) + 1e-9);
    const factor = Number((value / 10 ** power).toPrecision(3));
    const exponent = [...String(power)].map((character) => raised[character]!).join("");
    return factor === 1 ? `10${exponent}` : `${factor}×10${exponent}`;
  }
  return Number(value.toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 6 });
}
