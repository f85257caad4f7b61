// Which tokens are words, and which word of a list each one is.
import { expect, test } from "vitest";
import { BpeTokenizer, CharacterTokenizer, placesOfWords, wordOfToken, WordTokenizer } from "../../src/text/index.ts";

test("a token with the space in front is a word, a piece without is none, punctuation is one either way", () => {
  const tokenizer = BpeTokenizer.train(["low lower lowest , low . new newer, newest."], {
    byteFallback: false,
    vocabularySize: 30,
  });
  const wordOf = wordOfToken(tokenizer);
  const words = Array.from({ length: tokenizer.vocabularySize }, (_, id) => [tokenizer.tokenOf(id)!, wordOf(id)]);
  const table = Object.fromEntries(words) as Record<string, string | undefined>;
  expect(table).toMatchObject({ "▁low": "low", ",": ",", ".": "." });
  expect(table["▁"]).toBeUndefined();
  expect(table["</s>"]).toBeUndefined();
  for (const [token, word] of words)
    if (/^\p{L}/u.test(token!)) expect(word, `${token} may be the end of any word`).toBeUndefined();
});

test("where no token holds a space every token is a word", () => {
  const tokenizer = CharacterTokenizer.train(["abc"]);
  const wordOf = wordOfToken(tokenizer);
  expect(wordOf(tokenizer.idOf("a")!)).toBe("a");
});

test("the very word is taken first, then lower case, then a capital", () => {
  const tokenizer = WordTokenizer.train(["Apple apple MAN berlin ÉCOLE nowhere"]);
  const words = ["apple", "Apple", "man", "Berlin", "école"];
  const places = placesOfWords(tokenizer, words);
  const found = (token: string): string | undefined => words[places[tokenizer.idOf(`▁${token}`)!]!];
  expect(["Apple", "apple", "MAN", "berlin", "ÉCOLE", "nowhere"].map(found)).toEqual([
    "Apple",
    "apple",
    "man",
    "Berlin",
    "école",
    undefined,
  ]);
  // Special tokens are no words, though word2vec calls the end of a line </s>.
  expect(placesOfWords(tokenizer, ["</s>", "<unk>"])).toEqual(new Int32Array(tokenizer.vocabularySize).fill(-1));
});
