// One value for each of a few things, in groups: scores of variants, as bars or, where only differences matter, as dots.
import { axisOf, formatNumber, type AxisOptions } from "./axis.ts";
import { element, ink, label, rounded, type Drawing } from "./drawing.ts";
import { frame, lookOf } from "./frame.ts";

export interface Bar {
  readonly value: number;
  /** Ends of an interval around the value. */
  readonly low?: number;
  readonly high?: number;
}

export interface BarPlotOptions {
  title: string;
  /** What the groups are. */
  x: string;
  y: AxisOptions;
  /** Each with one bar a series; a missing bar leaves its place free. */
  groups: readonly { readonly name: string; readonly bars: readonly (Bar | undefined)[] }[];
  /** Names of the bars of every group. */
  series: readonly string[];
  /** Dots on an axis that need not begin at zero; a bar that does not would mislead. */
  hasDots?: boolean;
  width?: number;
  height?: number;
}

export function barPlot({
  title,
  x,
  y,
  groups,
  series,
  hasDots = false,
  width = 460,
  height = 290,
}: BarPlotOptions): Drawing {
  const all = groups.flatMap(({ bars }) => bars.filter((bar) => bar !== undefined));
  const values = all.flatMap(({ value, low = value, high = value }) => [value, low, high]);
  const axis = axisOf(hasDots ? values : [0, ...values], y);
  const groupWidth = 1 / groups.length;
  const barWidth = Math.min((groupWidth * 0.8) / series.length, 0.16);
  const hasNumbers = groups.length * series.length <= 16;
  const centreOf = (group: number): number => (group + 0.5) * groupWidth;
  return frame({
    title,
    width,
    height,
    x: {
      label: x,
      hasGrid: false,
      axis: { ticks: groups.map(({ name }, i) => ({ value: centreOf(i), text: name })), place: (value) => value },
    },
    y: { label: y.label, axis },
    ...(series.length > 1 && { legend: series.map((name, i) => ({ name, look: lookOf(i) })) }),
    marks: (place) =>
      groups
        .flatMap(({ bars }, group) =>
          bars.map((bar, i) => {
            if (bar === undefined) return "";
            const centre = centreOf(group) + (i - (series.length - 1) / 2) * barWidth;
            const [from, to] = [place.x(centre - 0.46 * barWidth), place.x(centre + 0.46 * barWidth)];
            const bottom = hasDots ? place.y(bar.value) : place.y(0);
            const top = place.y(bar.value);
            const middle = (from + to) / 2;
            const { colour } = lookOf(i);
            const { low, high } = bar;
            const highest = high === undefined ? top : place.y(high);
            return [
              hasDots
                ? element("circle", { cx: middle, cy: top, r: 5, fill: colour })
                : element("rect", {
                    x: from,
                    y: Math.min(top, bottom),
                    width: to - from,
                    height: Math.max(1, Math.abs(bottom - top)),
                    fill: colour,
                  }),
              low === undefined || high === undefined ? "" : interval(middle, place.y(low), highest),
              hasNumbers
                ? label(formatNumber(Number(bar.value.toPrecision(3))), {
                    x: middle,
                    y: Math.min(top, bottom, highest) - 5,
                    anchor: "middle",
                    size: 10,
                    colour: ink.quiet,
                  })
                : "",
            ].join("");
          }),
        )
        .join(""),
  });
}

function interval(x: number, low: number, high: number): string {
  const cap = 4;
  const d =
    `M${rounded(x)} ${rounded(low)}V${rounded(high)}` +
    `M${rounded(x - cap)} ${rounded(high)}h${2 * cap}M${rounded(x - cap)} ${rounded(low)}h${2 * cap}`;
  return element("path", { d, stroke: ink.text, "stroke-width": 1.5, fill: "none" });
}
