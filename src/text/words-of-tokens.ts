// Which tokens of a vocabulary are whole words, and which of a list of words each of them is.
import { meta } from "./scheme.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * The word that a token is: without the ▁ in front that stands for its space. Undefined for pieces of words, which lack it,
 * and for what is no text. Where no token has a ▁ every token is a word; punctuation stands without one too.
 */
export function wordOfToken(tokenizer: Tokenizer): (id: number) => string | undefined {
  const { vocabularySize, special } = tokenizer;
  const specials = new Set(Object.values(special));
  const marksWords = Array.from({ length: vocabularySize }, (_, id) => tokenizer.tokenOf(id)).some(
    (token) => token !== undefined && token.length > 1 && token.startsWith(meta),
  );
  return (id) => {
    const token = specials.has(id) ? undefined : tokenizer.tokenOf(id);
    if (token === undefined || token === meta) return undefined;
    if (token.startsWith(meta)) return token.slice(meta.length);
    return marksWords && /[\p{L}\p{N}]/u.test(token) ? undefined : token;
  };
}

/**
 * For every id of the vocabulary the place of its word in `words`, or −1: the very word, else in lower case, else with a
 * capital, as lists of words differ in what they fold.
 *
 * @example
 * const places = placesOfWords(tokenizer, vectors.words);
 */
export function placesOfWords(tokenizer: Tokenizer, words: readonly string[]): Int32Array {
  const places = new Map(words.map((word, place) => [word, place]));
  const wordOf = wordOfToken(tokenizer);
  return Int32Array.from({ length: tokenizer.vocabularySize }, (_, id) => {
    const word = wordOf(id);
    if (word === undefined) return -1;
    const lower = word.toLowerCase();
    const [first = ""] = lower;
    return places.get(word) ?? places.get(lower) ?? places.get(first.toUpperCase() + lower.slice(first.length)) ?? -1;
  });
}
