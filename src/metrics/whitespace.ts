// Where words end. The published scores were computed by a program whose idea of white space is Unicode's White_Space
// plus the four information separators; JavaScript's `\s` and `trim` lack those and U+0085, and take U+FEFF in addition.

const space = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const word = new RegExp(`[^${space}]+`, "g");
const isSpace = new RegExp(`[${space}]`);

/** The runs of characters between white space; none for an empty or blank text. */
export function splitWords(text: string): string[] {
  return text.match(word) ?? [];
}

/** The text with single spaces between words and none around them. */
export function squeezeSpaces(text: string): string {
  return splitWords(text).join(" ");
}

/** The text without white space at its end. */
export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** The text without white space around it. */
export function trim(text: string): string {
  let start = 0;
  while (start < text.length && isSpace.test(text[start]!)) start++;
  return trimEnd(text.slice(start));
}
