// Special tokens: their names, their ids at the front of the vocabulary, and finding them in a text.
import { ConfigError } from "../base/index.ts";
import type { AddedTokenJson } from "./tokenizer.ts";

/** The four that every tokenizer has, in the order of their ids. */
export const basicTokens = { pad: "<pad>", unknown: "<unk>", start: "<s>", end: "</s>" } as const;

/** All special tokens: the basic four, then the user's own. */
export function allSpecialTokens(own: readonly string[]): string[] {
  const tokens: string[] = Object.values(basicTokens);
  for (const token of own) {
    const shown = JSON.stringify(token);
    if (token === "")
      throw new ConfigError("tokenizer.specialTokens", "an empty token can never be found in a text. Remove it.");
    if (!token.isWellFormed())
      throw new ConfigError(
        "tokenizer.specialTokens",
        `${shown} has an unpaired surrogate, which no UTF-8 text holds.`,
      );
    if (looksLikeByte(token))
      throw new ConfigError("tokenizer.specialTokens", `${shown} is the name of a byte. Choose another.`);
    if (tokens.includes(token))
      throw new ConfigError(
        "tokenizer.specialTokens",
        `${shown} is listed twice or is one of ${Object.values(basicTokens).join(" ")}, which are always there. Remove it.`,
      );
    tokens.push(token);
  }
  return tokens;
}

/** The name of a byte's token: 10 → `<0x0A>`. */
export function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/** The names of all 256 bytes, in order. */
export function byteTokens(): string[] {
  return Array.from({ length: 256 }, (_, byte) => byteToken(byte));
}

/**
 * Whether a decoder with byte fallback would take this token for a byte. Hugging Face's reads the two digits as Rust
 * parses a number: lower case counts too, and so does a plus sign.
 */
export function looksLikeByte(token: string): boolean {
  return /^<0x[0-9A-Fa-f+][0-9A-Fa-f]>$/.test(token);
}

/** Cuts a text at special tokens, leftmost first and of those the longest: odd places of the result hold the tokens. */
export function specialTokenCutter(tokens: readonly string[]): (text: string) => string[] {
  const byLength = tokens.toSorted((a, b) => b.length - a.length);
  const pattern = new RegExp(
    `(${byLength.map((token) => token.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|")})`,
    "u",
  );
  return (text) => text.split(pattern);
}

export function addedTokenJson(content: string, id: number): AddedTokenJson {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}
