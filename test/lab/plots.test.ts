import { describe, expect, test } from "vitest";
import { axisOf, formatNumber } from "../../lab/plots/axis.ts";
import { barPlot } from "../../lab/plots/bar-plot.ts";
import { escapeText, sideBySide, stacked, svgFile } from "../../lab/plots/drawing.ts";
import { heatMap } from "../../lab/plots/heat-map.ts";
import { linePlot } from "../../lab/plots/line-plot.ts";

describe("axes", () => {
  test.each([
    [0, "0"],
    [0.25, "0.25"],
    [-1, "−1"],
    [1024, "1,024"],
    [0.00003, "3×10⁻⁵"],
    [1e6, "10⁶"],
    [0.1 + 0.2, "0.3"],
  ])("%d is written %s", (value, text) => expect(formatNumber(value)).toBe(text));

  test("a linear axis ends at round numbers around the data", () => {
    const axis = axisOf([3, 47], { label: "x" });
    expect(axis.ticks.map(({ text }) => text)).toEqual(["0", "10", "20", "30", "40", "50"]);
    expect(axis.place(25)).toBeCloseTo(0.5);
  });

  test("a logarithmic axis has ticks at powers and equal ratios at equal distances", () => {
    const axis = axisOf([512, 8192], { label: "length", scale: "log", base: 2 });
    expect(axis.ticks.map(({ text }) => text)).toEqual(["512", "1,024", "2,048", "4,096", "8,192"]);
    expect(axis.place(1024) - axis.place(512)).toBeCloseTo(axis.place(8192) - axis.place(4096));
  });

  test("values that are not finite, or not above 0 on a logarithmic axis, do not stretch it", () => {
    expect(axisOf([1, 10, Number.NaN, Infinity], { label: "y" }).place(10)).toBe(1);
    const places = axisOf([0, -3, 1, 100], { label: "y", scale: "log" });
    expect(places.place(1)).toBeGreaterThanOrEqual(0);
  });

  test("a logarithmic axis of less than half a power has round numbers in it all the same", () => {
    const axis = axisOf([5.1, 5.6], { label: "loss", scale: "log" });
    expect(axis.ticks.map(({ text }) => text)).toEqual(["5.1", "5.2", "5.3", "5.4", "5.5", "5.6"]);
  });

  test("data that are all alike still have an axis", () => {
    for (const scale of ["linear", "log"] as const)
      expect(Number.isFinite(axisOf([7, 7], { label: "y", scale }).place(7))).toBe(true);
  });
});

describe("plots", () => {
  const line = linePlot({
    title: "loss & <time>",
    x: { label: "update" },
    y: { label: "nats", scale: "log" },
    lines: [
      {
        name: "one",
        points: [
          [0, 5],
          [1, 2],
          [2, Number.NaN],
          [3, 1],
          [4, 0],
        ],
      },
      {
        name: "two",
        points: [
          [0, 4],
          [1, Infinity],
        ],
        isBroken: true,
      },
    ],
  });

  test("a value that cannot be shown breaks the line instead of reaching the file", () => {
    const file = svgFile(line, "a description");
    expect(file).not.toMatch(/NaN|Infinity|undefined/);
    const [first] = /d="(M[^"]*)"/.exec(file)!.slice(1);
    expect(first!.match(/M/g)).toHaveLength(2); // before the gap, and after it
  });

  test("text is escaped", () => {
    expect(escapeText(`<a & "b">`)).toBe("&lt;a &amp; &quot;b&quot;&gt;");
    expect(svgFile(line, "x < y")).toContain("<title>x &lt; y</title>");
  });

  test("drawings beside and below one another are as large as they must be", () => {
    const one = { width: 10, height: 20, body: "" };
    const two = { width: 30, height: 5, body: "" };
    expect(sideBySide([one, two], 4)).toMatchObject({ width: 44, height: 20 });
    expect(stacked([one, two], 4)).toMatchObject({ width: 30, height: 29 });
  });

  test("bars stand on zero, with a mark for their interval, and a missing one leaves its place free", () => {
    const { body } = barPlot({
      title: "score",
      x: "what",
      y: { label: "%" },
      series: ["a", "b"],
      groups: [
        { name: "one", bars: [{ value: 80, low: 75, high: 85 }, undefined] },
        { name: "two", bars: [{ value: 40 }, { value: 20 }] },
      ],
    });
    expect(body).not.toMatch(/NaN|undefined/);
    const heights = [...body.matchAll(/<rect [^>]*height="([\d.]+)"/g)].map(([, height]) => Number(height));
    expect(heights).toHaveLength(3);
    expect(heights[0]! / heights[1]!).toBeCloseTo(2, 1);
    expect(heights[1]! / heights[2]!).toBeCloseTo(2, 1);
  });

  test("dots stand on an axis of their own values", () => {
    const dots = { title: "loss", x: "what", y: { label: "nats" }, series: ["a"], hasDots: true };
    const { body } = barPlot({
      ...dots,
      groups: [1.31, 1.34].map((value) => ({ name: `${value}`, bars: [{ value }] })),
    });
    const [lower, higher] = [...body.matchAll(/<circle [^>]*cy="([\d.]+)"/g)].map(([, y]) => Number(y));
    expect(lower! - higher!).toBeGreaterThan(100);
  });

  test("a heat map has one cell a value, and none for a value that is missing", () => {
    const { body } = heatMap({
      title: "weights",
      x: "key",
      y: "query",
      columns: ["a", "b"],
      rows: ["a", "b"],
      values: [
        [1, 0],
        [0.5, Number.NaN],
      ],
      scale: { label: "weight" },
    });
    expect(body).not.toContain("NaN");
    expect(body).toContain("rgb(8,48,107)"); // 1: the darkest
    expect(body).toContain("rgb(247,251,255)"); // 0: the lightest
  });
});
