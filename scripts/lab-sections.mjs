// The parts of lab/README.md that are made from a run: a row of the summary and a section, each between marks.

const minutes = (seconds) =>
  seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${(seconds / 60).toFixed(1)} min`;

function markdownTable(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

export function summaryRow({ name, claim, verdict, processorSeconds }) {
  return `| [${name}](#${name}) | ${claim} | ${verdict.held} | ${minutes(processorSeconds)} |`;
}

export function section({ name, claim, source, tables, verdict, processorSeconds, seconds }) {
  return [
    `## ${name}`,
    `**The claim:** ${claim}. (${source}.)`,
    `**It ${verdict.held}.** ${verdict.because}`,
    ...tables.map(({ title, head, rows }) => `${title}:\n\n${markdownTable(head, rows)}`),
    `![${name}](figures/${name}.svg)`,
    `\`npx heddle lab ${name}\`, seed 1; ${minutes(processorSeconds)} of processor time, ${minutes(seconds)} by the clock.`,
  ].join("\n\n");
}

/** The page with a section and a row put in the place of those between the lab's marks. */
export function withSection(page, { name, text, row }) {
  const put = (whole, mark, content) => {
    const [open, close] = [`<!-- ${mark} -->`, `<!-- end of ${mark} -->`];
    const [from, to] = [whole.indexOf(open), whole.indexOf(close)];
    if (from < 0 || to < from) throw new Error(`lab/README.md has no place for "${mark}" (${open} … ${close})`);
    return whole.slice(0, from + open.length) + content + whole.slice(to);
  };
  const rowOf = new RegExp(`^\\| \\[${name}\\].*$`, "m");
  if (!rowOf.test(page)) throw new Error(`lab/README.md has no row for "${name}"`);
  return put(
    page.replace(rowOf, () => row),
    name,
    `\n\n${text}\n\n`,
  );
}
