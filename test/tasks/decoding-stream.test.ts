import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { beforeStop } from "../../src/decode/index.ts";
import { TextStream } from "../../src/tasks/decoding-stream.ts";
import { BpeTokenizer, CharacterTokenizer, WordTokenizer, type Tokenizer } from "../../src/text/index.ts";

const lines = ["a red fox, two red foxes", "the fox (red) said: no!", "é à ü"];
const tokenizers: readonly (readonly [string, Tokenizer])[] = [
  ["BPE with bytes", BpeTokenizer.train(lines, { vocabularySize: 300 })],
  ["characters with bytes", CharacterTokenizer.train(lines, { byteFallback: true })],
  ["words", WordTokenizer.train(lines)],
];

function pieces(tokenizer: Tokenizer, ids: readonly number[], stop: readonly string[] = []): string[] {
  const stream = new TextStream(tokenizer, stop);
  return [...ids.map((id) => stream.push(id)), stream.end()];
}

/** A surrogate without its other half. */
const halfCharacter = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

describe.each(tokenizers)("a stream of text from %s", (_, tokenizer) => {
  it("put together is the text of all tokens, and no piece has half a character", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(tokenizer.vocabularySize - 1), { maxLength: 30 }), (ids) => {
        const said = pieces(tokenizer, ids);
        expect(said.join("")).toBe(tokenizer.decode(ids));
        for (const piece of said) expect(piece).not.toMatch(halfCharacter);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 20 }), (text) => {
        const ids = tokenizer.encode(text, { specialTokens: "text" });
        const said = pieces(tokenizer, ids);
        expect(said.join("")).toBe(tokenizer.decode(ids));
        if (!tokenizer.decode(ids).includes("\ufffd")) for (const piece of said) expect(piece).not.toContain("\ufffd");
      }),
    );
  });

  it("ends before a stop string, of which no beginning is said", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(..."a red fox, (two) ".split("")), { maxLength: 30 }),
        fc.array(fc.constantFrom("red", "ox", ", (", "d f", "a r"), { maxLength: 3 }),
        (characters, stop) => {
          const ids = tokenizer.encode(characters.join(""));
          const said = pieces(tokenizer, ids, stop);
          expect(said.join("")).toBe(beforeStop(tokenizer.decode(ids), stop));
        },
      ),
    );
  });
});

it("a character of several bytes comes whole, with the token after it", () => {
  const [, tokenizer] = tokenizers[0]!;
  const ids = tokenizer.encode("a 🦊 fox");
  const said = pieces(tokenizer, ids).filter((piece) => piece !== "");
  expect(said.join("")).toBe("a 🦊 fox");
  expect(said.some((piece) => piece.includes("🦊"))).toBe(true);
  expect(said.length).toBeGreaterThan(1);
});
