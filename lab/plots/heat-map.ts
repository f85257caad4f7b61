// A matrix as coloured cells: attention weights, patterns, scores of two choices.
import { formatNumber } from "./axis.ts";
import { element, ink, label, textWidth, type Drawing } from "./drawing.ts";

export interface HeatMapOptions {
  title: string;
  /** What columns and rows are. */
  x: string;
  y: string;
  columns: readonly string[];
  rows: readonly string[];
  /** [row][column]; what is not finite is left white. */
  values: readonly (readonly number[])[];
  /** What a cell's value is, with its unit, and the values of the lightest and the darkest colour. */
  scale: { readonly label: string; readonly from?: number; readonly to?: number };
  /** Edge of a cell in pixels. */
  cell?: number;
}

/** Without it thin lines of the card show between cells. */
const crisp = { "shape-rendering": "crispEdges" } as const;
const lightest = [247, 251, 255] as const;
const darkest = [8, 48, 107] as const;

export function heatMap({ title, x, y, columns, rows, values, scale, cell = 26 }: HeatMapOptions): Drawing {
  const finite = values.flat().filter(Number.isFinite);
  const { from = Math.min(...finite), to = Math.max(...finite) } = scale;
  const isFew = columns.length <= 24;
  const left = 30 + (isFew ? Math.max(...rows.map((row) => textWidth(row, 11))) : 0);
  const top = 30;
  const [width, height] = [columns.length * cell, rows.length * cell];
  const parts = [label(title, { x: 0, y: 14, size: 14, weight: "bold" })];
  values.forEach((row, i) =>
    row.forEach((value, j) => {
      if (!Number.isFinite(value)) return;
      const at = { x: left + j * cell, y: top + i * cell, width: cell, height: cell };
      parts.push(element("rect", { ...at, fill: colourAt((value - from) / (to - from || 1)), ...crisp }));
    }),
  );
  parts.push(element("rect", { x: left, y: top, width, height, fill: "none", stroke: ink.axis }));
  if (isFew) {
    const tick = { size: 11, colour: ink.quiet } as const;
    rows.forEach((row, i) =>
      parts.push(label(row, { ...tick, x: left - 6, y: top + (i + 0.5) * cell + 4, anchor: "end" })),
    );
    columns.forEach((column, j) =>
      parts.push(label(column, { ...tick, x: left + (j + 0.5) * cell, y: top + height + 15, anchor: "middle" })),
    );
  }
  parts.push(label(x, { x: left + width / 2, y: top + height + (isFew ? 36 : 20), anchor: "middle" }));
  parts.push(label(y, { x: 12, y: top + height / 2, anchor: "middle", turn: -90 }));

  const keyLeft = left + width + 18;
  const steps = 24;
  const keyHeight = Math.min(height, 160);
  for (let i = 0; i < steps; i++) {
    const at = { x: keyLeft, y: top + (i * keyHeight) / steps, width: 14, height: keyHeight / steps + 0.5 };
    parts.push(element("rect", { ...at, fill: colourAt(1 - (i + 0.5) / steps), ...crisp }));
  }
  parts.push(element("rect", { x: keyLeft, y: top, width: 14, height: keyHeight, fill: "none", stroke: ink.axis }));
  parts.push(label(formatNumber(to), { x: keyLeft + 20, y: top + 9, size: 11, colour: ink.quiet }));
  parts.push(label(formatNumber(from), { x: keyLeft + 20, y: top + keyHeight, size: 11, colour: ink.quiet }));
  parts.push(label(scale.label, { x: keyLeft + 20, y: top + keyHeight / 2 + 4, size: 11, colour: ink.quiet }));
  return {
    width: Math.max(keyLeft + 28 + textWidth(scale.label, 11), textWidth(title, 14)),
    height: top + height + 42,
    body: parts.join(""),
  };
}

function colourAt(share: number): string {
  const clipped = Math.min(1, Math.max(0, share));
  return `rgb(${lightest.map((light, i) => Math.round(light + (darkest[i]! - light) * clipped)).join(",")})`;
}
