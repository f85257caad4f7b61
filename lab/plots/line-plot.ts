// Values against values, a line each: learning curves, times against lengths.
import { axisOf, type AxisOptions } from "./axis.ts";
import { element, rounded, type Drawing } from "./drawing.ts";
import { frame, lookOf } from "./frame.ts";

export interface Line {
  readonly name: string;
  /** Points that are not finite, or not above 0 on a logarithmic axis, break the line. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** A cross at the last point: from there on there was nothing to draw. */
  readonly isBroken?: boolean;
  /** Dots where points were measured; of use where they are few. */
  readonly hasDots?: boolean;
  /** Which of the looks it has; its place among the lines if not said. */
  readonly look?: number;
}

export interface LinePlotOptions {
  title: string;
  x: AxisOptions;
  y: AxisOptions;
  lines: readonly Line[];
  width?: number;
  height?: number;
  hasLegend?: boolean;
}

/**
 * @example
 * linePlot({ title: "Loss", x: { label: "update" }, y: { label: "nats", scale: "log" }, lines: [{ name: "a", points: [[1, 5], [2, 4]] }] });
 */
export function linePlot({ title, x, y, lines, width, height, hasLegend = true }: LinePlotOptions): Drawing {
  const points = lines.flatMap((line) => line.points);
  const looks = lines.map((line, i) => lookOf(line.look ?? i));
  const isShown = ([at, value]: readonly [number, number]): boolean =>
    Number.isFinite(value) && (x.scale !== "log" || at > 0) && (y.scale !== "log" || value > 0);
  const across = points.map(([at]) => at);
  // Curves run from edge to edge; the axis of their values ends at round numbers.
  const edges = x.scale === "log" || across.length === 0 ? {} : { from: Math.min(...across), to: Math.max(...across) };
  return frame({
    title,
    x: { label: x.label, axis: axisOf(across, { ...edges, ...x }) },
    y: {
      label: y.label,
      axis: axisOf(
        points.map(([, value]) => value),
        y,
      ),
    },
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
    ...(hasLegend && { legend: lines.map(({ name }, i) => ({ name, look: looks[i]! })) }),
    marks: (place) =>
      lines
        .map((line, i) => {
          const { colour, dashes } = looks[i]!;
          let isPenDown = false;
          const path = line.points.map((point) => {
            const [at, value] = point;
            if (!isShown(point)) {
              isPenDown = false;
              return "";
            }
            const command = isPenDown ? "L" : "M";
            isPenDown = true;
            return `${command}${rounded(place.x(at))} ${rounded(place.y(value))}`;
          });
          const shown = line.points.filter(isShown);
          const dots = line.hasDots === true ? shown : [];
          // Where lines lie on one another, the dots of those below look out.
          const radius = shown.length > 8 ? 3 : 3 + 1.4 * Math.min(3, lines.length - 1 - i);
          const last = line.isBroken === true ? shown.at(-1) : undefined;
          return [
            element("path", {
              d: path.join(""),
              fill: "none",
              stroke: colour,
              "stroke-width": 2,
              "stroke-linejoin": "round",
              "stroke-dasharray": dashes,
            }),
            ...dots.map(([at, value]) =>
              element("circle", { cx: place.x(at), cy: place.y(value), r: radius, fill: colour }),
            ),
            last === undefined ? "" : cross(place.x(last[0]), place.y(last[1]), colour),
          ].join("");
        })
        .join(""),
  });
}

function cross(x: number, y: number, colour: string): string {
  const arm = 6;
  return element("path", {
    d: `M${rounded(x - arm)} ${rounded(y - arm)}l${2 * arm} ${2 * arm}m0 ${-2 * arm}l${-2 * arm} ${2 * arm}`,
    stroke: colour,
    "stroke-width": 3,
    fill: "none",
  });
}
