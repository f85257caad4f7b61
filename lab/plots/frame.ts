// What every plot has around it: a title, two axes with their ticks, a grid and a legend.
import type { Axis } from "./axis.ts";
import { colours, element, ink, label, textWidth, type Drawing } from "./drawing.ts";

/** How the marks of one series look. */
export interface Look {
  readonly colour: string;
  /** SVG's stroke-dasharray. */
  readonly dashes: string | undefined;
}

/** Colours first, then the same colours dashed, then dotted. */
export function lookOf(index: number): Look {
  const dashes = [undefined, "7 4", "2 3"][Math.floor(index / colours.length) % 3];
  return { colour: colours[index % colours.length]!, dashes };
}

export interface FrameOptions {
  title: string;
  x: { readonly label: string; readonly axis: Axis; readonly hasGrid?: boolean };
  y: { readonly label: string; readonly axis: Axis };
  /** Size of the area between the axes. */
  width?: number;
  height?: number;
  legend?: readonly { readonly name: string; readonly look: Look }[];
  /** Marks, given where values lie in pixels of the area. */
  marks: (place: { x: (value: number) => number; y: (value: number) => number }) => string;
}

const titleHeight = 30;
const tickSize = 11;

export function frame({ title, x, y, width = 460, height = 290, legend = [], marks }: FrameOptions): Drawing {
  const left = 34 + Math.max(...y.axis.ticks.map(({ text }) => textWidth(text, tickSize)), 0);
  const [right, bottom] = [left + width, titleHeight + height];
  const placeX = (value: number): number => left + x.axis.place(value) * width;
  const placeY = (value: number): number => bottom - y.axis.place(value) * height;

  const parts = [label(title, { x: 0, y: 14, size: 14, weight: "bold" })];
  const grid = (x1: number, y1: number, x2: number, y2: number): string =>
    element("line", { x1, y1, x2, y2, stroke: ink.grid, "stroke-width": 1 });
  for (const { value, text } of y.axis.ticks) {
    const at = placeY(value);
    parts.push(grid(left, at, right, at));
    parts.push(label(text, { x: left - 6, y: at + 4, anchor: "end", size: tickSize, colour: ink.quiet }));
  }
  for (const { value, text } of x.axis.ticks) {
    const at = placeX(value);
    if (x.hasGrid !== false) parts.push(grid(at, titleHeight, at, bottom));
    parts.push(label(text, { x: at, y: bottom + 16, anchor: "middle", size: tickSize, colour: ink.quiet }));
  }
  parts.push(marks({ x: placeX, y: placeY }));
  parts.push(
    element("polyline", {
      points: `${left},${titleHeight} ${left},${bottom} ${right},${bottom}`,
      fill: "none",
      stroke: ink.axis,
      "stroke-width": 1,
    }),
  );
  parts.push(label(x.label, { x: left + width / 2, y: bottom + 36, anchor: "middle" }));
  parts.push(label(y.label, { x: 12, y: titleHeight + height / 2, anchor: "middle", turn: -90 }));

  const legendLeft = right + 16;
  legend.forEach(({ name, look: { colour, dashes } }, row) => {
    const at = titleHeight + 8 + row * 20;
    const sample = { x1: legendLeft, y1: at, x2: legendLeft + 22, y2: at };
    parts.push(element("line", { ...sample, stroke: colour, "stroke-width": 3, "stroke-dasharray": dashes }));
    parts.push(label(name, { x: legendLeft + 28, y: at + 4 }));
  });
  const legendWidth = legend.length === 0 ? 0 : 44 + Math.max(...legend.map(({ name }) => textWidth(name)));
  return {
    width: Math.max(right + legendWidth + 8, textWidth(title, 14)),
    height: Math.max(bottom + 42, titleHeight + legend.length * 20),
    body: parts.join(""),
  };
}
