// Which characters of the training text get a token of their own.

/** How often each character occurs, given how often each word does. */
export function countCharacters(words: ReadonlyMap<string, number>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [word, count] of words) {
    for (const character of word) counts.set(character, (counts.get(character) ?? 0) + count);
  }
  return counts;
}

/**
 * The most frequent characters that together make up `coverage` (0 to 1) of the text, `limit` of them at most, by code
 * point. Among equally frequent ones the lower code point is kept first.
 */
export function chooseAlphabet(counts: ReadonlyMap<string, number>, coverage: number, limit = Infinity): string[] {
  const byFrequency = [...counts].sort(([a, aCount], [b, bCount]) => bCount - aCount || codePointOrder(a, b));
  const total = byFrequency.reduce((sum, [, count]) => sum + count, 0);
  const kept: string[] = [];
  let covered = 0;
  for (const [character, count] of byFrequency) {
    if (covered >= coverage * total || kept.length >= limit) break;
    kept.push(character);
    covered += count;
  }
  return kept.sort(codePointOrder);
}

function codePointOrder(a: string, b: string): number {
  return a.codePointAt(0)! - b.codePointAt(0)!;
}
