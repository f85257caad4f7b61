// Rules that the tokenizers of BLEU and TER share for text in Western scripts, in the steps in which they are applied.

/** Undoes four entities, one after the other: `&amp;lt;` ends as `<`. */
export function unescapeEntities(line: string): string {
  if (!line.includes("&")) return line;
  return line.replaceAll("&quot;", '"').replaceAll("&amp;", "&").replaceAll("&lt;", "<").replaceAll("&gt;", ">");
}

/** Spaces around every ASCII mark but ' , - and the full stop. (The range from space to & takes the space too.) */
export function separateMarks(line: string): string {
  return line.replace(/([{-~[-` -&(-+:-@/])/gu, " $1 ");
}

/** Commas and full stops stay only between digits, dashes only after what is no digit. */
export function separateStops(line: string): string {
  return line
    .replace(/([^0-9])([.,])/gu, "$1 $2 ")
    .replace(/([.,])([^0-9])/gu, " $1 $2")
    .replace(/([0-9])(-)/gu, "$1 $2 ");
}
