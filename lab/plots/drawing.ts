// SVG without a library: shapes as text, gathered into drawings that can stand side by side.

/** A picture of a size in pixels; its body is SVG with the origin at its upper left corner. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly body: string;
}

export type Attribute = string | number | undefined;

/** Dark on a card of its own, so that it can be read on any page. */
export const ink = { text: "#1f2328", quiet: "#59636e", grid: "#e4e7eb", axis: "#8c959f", card: "#ffffff" } as const;

/** Told apart by most colour-blind readers (Okabe and Ito 2008, "Color Universal Design"), the yellow left out. */
export const colours = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#a3468c",
  "#b07800",
  "#3b9bd4",
  "#444444",
  "#8b5a2b",
] as const;

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

export function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (character) => escapes[character]!);
}

/** One element; numbers are rounded to hundredths of a pixel, attributes that are undefined are left out. */
export function element(name: string, attributes: Readonly<Record<string, Attribute>>, content = ""): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === "number" ? rounded(value) : escapeText(String(value))}"`)
    .join("");
  return content === "" ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`;
}

export interface LabelOptions {
  x: number;
  y: number;
  anchor?: "start" | "middle" | "end";
  size?: number;
  colour?: string;
  weight?: "normal" | "bold";
  /** Degrees, about the label's own place. */
  turn?: number;
}

/** Text; y is its base line. */
export function label(
  text: string,
  { x, y, anchor = "start", size = 12, colour = ink.text, weight = "normal", turn }: LabelOptions,
): string {
  return element(
    "text",
    {
      x,
      y,
      "text-anchor": anchor === "start" ? undefined : anchor,
      "font-size": size,
      fill: colour,
      "font-weight": weight === "normal" ? undefined : weight,
      transform: turn === undefined ? undefined : `rotate(${turn} ${rounded(x)} ${rounded(y)})`,
    },
    escapeText(text),
  );
}

export function rounded(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** About how wide a text comes out in a sans-serif letter, in pixels. */
export function textWidth(text: string, size = 12): number {
  return [...text].length * size * 0.56;
}

function moved({ body }: Drawing, x: number, y: number): string {
  return element("g", { transform: `translate(${rounded(x)} ${rounded(y)})` }, body);
}

/** Drawings one beside the other. */
export function sideBySide(drawings: readonly Drawing[], gap = 24): Drawing {
  let x = 0;
  const bodies = drawings.map((drawing) => {
    const body = moved(drawing, x, 0);
    x += drawing.width + gap;
    return body;
  });
  return { width: x - gap, height: Math.max(...drawings.map(({ height }) => height)), body: bodies.join("") };
}

/** Drawings one below the other. */
export function stacked(drawings: readonly Drawing[], gap = 24): Drawing {
  let y = 0;
  const bodies = drawings.map((drawing) => {
    const body = moved(drawing, 0, y);
    y += drawing.height + gap;
    return body;
  });
  return { width: Math.max(...drawings.map(({ width }) => width)), height: y - gap, body: bodies.join("") };
}

/** The file: a drawing on its card, with what it shows for those who cannot see it. */
export function svgFile(drawing: Drawing, description: string): string {
  const margin = 20;
  const [width, height] = [drawing.width + 2 * margin, drawing.height + 2 * margin];
  return `${element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      viewBox: `0 0 ${rounded(width)} ${rounded(height)}`,
      width: rounded(width),
      height: rounded(height),
      role: "img",
      "font-family": "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif",
    },
    element("title", {}, escapeText(description)) +
      element("rect", { width, height, rx: 8, fill: ink.card }) +
      moved(drawing, margin, margin),
  )}\n`;
}
