// JSON.parse keeps the last of two equal keys without a word; in a file that may have been tampered with, two are an error.

/** The first key that one object of this valid JSON text gives twice, or undefined. */
export function duplicateKey(json: string): string | undefined {
  // One set per object or array that is open; an array's stays empty.
  const open: Set<string>[] = [];
  for (let position = 0; position < json.length; position++) {
    const character = json[position];
    if (character === "{" || character === "[") open.push(new Set());
    else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      const start = position;
      position = closingQuote(json, start);
      if (!followedByColon(json, position)) continue; // a value, not a key
      const key = JSON.parse(json.slice(start, position + 1)) as string; // "a" and "\u0061" are the same key
      const seen = open.at(-1)!;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}

function closingQuote(json: string, start: number): number {
  let position = start + 1;
  while (json[position] !== '"') position += json[position] === "\\" ? 2 : 1;
  return position;
}

function followedByColon(json: string, quote: number): boolean {
  let position = quote + 1;
  while (" \t\n\r".includes(json[position] ?? ":")) position++;
  return json[position] === ":";
}
