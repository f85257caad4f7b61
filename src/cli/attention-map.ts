// Attention as a picture in the terminal: a row for each target token, a column for each source token.

const shades = [" ", "░", "▒", "▓", "█"] as const;

/** How a token looks in one cell; spaces and controls must still be seen. */
function cell(token: string): string {
  const [first = "·"] = token === "</s>" ? "⏎" : token.replaceAll("▁", "␣");
  return first;
}

/**
 * Rows of weights [target][source], each row summing to 1, as blocks: full where all the weight lies.
 * @example
 * process.stdout.write(drawAttention({ rows: ["2", "1"], columns: ["x", "y"], weights: [[0.9, 0.1], [0, 1]] }));
 */
export function drawAttention({
  rows,
  columns,
  weights,
}: {
  rows: readonly string[];
  columns: readonly string[];
  weights: readonly ArrayLike<number>[];
}): string {
  const header = `      ${columns.map((token) => `${cell(token)} `).join("")}`;
  const lines = rows.map((token, row) => {
    const blocks = Array.from(weights[row]!, (weight) => shades[Math.min(4, Math.round(weight * 4.6))]!.repeat(2)).join(
      "",
    );
    return `   ${cell(token)}  ${blocks}`;
  });
  return `${[header, ...lines].map((line) => line.trimEnd()).join("\n")}\n`;
}
