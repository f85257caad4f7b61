// Text in columns: the first to the left, shapes too, figures to the right.

/** A table with a head and a rule; columns that hold figures alone are set to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const isFigure = head.map((_, column) => rows.length > 0 && rows.every((row) => /^[-\d.,\s%×]+$/.test(row[column]!)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (isFigure[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd();
  return `${[line(head), widths.map((width) => "─".repeat(width)).join("  "), ...rows.map(line)].join("\n")}\n`;
}
